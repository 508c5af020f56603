"""Real clusters on this machine, each started from Debian's packages by the scenario that breaks it.

Each module holds one cluster as an async context manager, which yields its `url` and a way to kill its leader. Servers
listen on 127.0.0.1, on ports of their own, and keep their data in a temporary folder.
"""
