"""A notification and messaging delivery engine for EV charging networks.

The way of an event: accept → decide → deliver → settle, and the clock (`notifier.pipeline`).
"""
