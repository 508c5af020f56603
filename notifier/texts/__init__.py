"""The texts' way to people: what a draft must pass, and how a version is published."""
