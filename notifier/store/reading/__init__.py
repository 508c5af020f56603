"""Read models: activity, explanations, dead letters, the ledger, exports."""
