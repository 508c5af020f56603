"""A port for probes and Prometheus in every process: `/livez`, `/readyz` and `/metrics`.

`listener` answers HTTP, and `pages` says what a process answers. Of a group of worker processes the supervisor answers
for all: each of them reports to it (`reports`), and `group` makes one answer of theirs (`totals`).
"""
