"""Telling services what became of their deliveries: pages for those that ask, and batches for those that subscribe."""
