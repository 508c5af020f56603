"""Faults on purpose: the whole system as real processes, broken from outside, its ledger held against the sandbox's.

Nothing here runs in production, and production code knows nothing of it.
"""
