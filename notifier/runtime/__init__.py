"""What every process needs to run: settings, addresses and accounts, logs, and how work is batched and supervised."""
