"""What the operator's own staff keep: users, sign-ins, API keys, texts' versions, test contacts."""
