"""What is read afterwards: activity, explanations, dead letters, the ledger, exports."""
