"""What a benchmark is asked for."""

from typing import Literal, NamedTuple

DatabaseKind = Literal["postgresql", "pgbouncer", "mariadb", "sqlite"]
"""What the database is; `pgbouncer` is PostgreSQL by way of one, in transaction mode."""


class Options(NamedTuple):
    """How much of everything; `peers` says whether others do the same job beside it, `buckets` into how many the
    database is divided, `viewers` how many look at the map."""

    events: int = 5_000
    people: int = 1_000_000
    rows: int = 1_000_000
    seconds: int = 10
    database: DatabaseKind = "postgresql"
    buckets: int = 1
    peers: bool = True
    viewers: int = 5_000
