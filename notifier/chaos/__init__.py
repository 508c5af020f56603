"""Fault injection: the whole system as real processes, broken from outside, its ledger compared with the sandbox's.

Nothing here runs in production, and production code knows nothing of it.
"""
