"""Benchmarks of the whole path on real servers: `python -m bench [SCENARIO] [--json]` (docs/performance.md)."""
