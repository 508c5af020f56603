"""Experiments: how each process comes to know those that run, how people set them up, and what they have come to."""
