"""On PostgreSQL the large tables are divided by the instants with which ids begin; what there is is the first part."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

KEYS = {
    "event": "id", "plan": "event_id", "delivery": "id", "outcome": "delivery_id", "delivery_note": "delivery_id",
    "decision": "event_id",
}  # fmt: skip
INDEXES = (
    "SELECT c.relname AS name, i.indisprimary AS is_key, pg_get_indexdef(c.oid) AS made FROM pg_index i"
    " JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass('{}')"
)
LAST = "SELECT {1} FROM {0} ORDER BY {1} DESC LIMIT 1"
DAY = 24 * 3600 * 1000


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        last = [op.get_bind().execute(sa.text(LAST.format(table, key))).scalar() for table, key in KEYS.items()]
        days = [int(str(id_).replace("-", "")[:12], 16) // DAY + 1 for id_ in last if id_ is not None]
        for table, key in KEYS.items():
            _divide(op.get_bind(), table, key, max(days, default=0))


def _divide(connection: sa.Connection, table: str, key: str, end: int) -> None:
    """Make the table the first partition of one of its name, up to the beginning of a day. The server reads it once, to
    see that no row lies behind that."""
    last, hold = f"{table}_first", f"{table}_default"
    indexes = list(connection.execute(sa.text(INDEXES.format(table))))
    op.rename_table(table, last)
    for index in indexes:
        op.execute(f"ALTER INDEX {index.name} RENAME TO {index.name}_first")
    op.execute(f"CREATE TABLE {table} (LIKE {last} INCLUDING DEFAULTS) PARTITION BY RANGE ({key})")
    for index in indexes:
        if index.is_key:
            columns = index.made[index.made.rindex("(") :]
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {index.name} PRIMARY KEY {columns}")
        else:
            op.execute(index.made)
    if end:
        op.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {last} FOR VALUES FROM (MINVALUE) TO ('{end * DAY:012x}{0:020x}')"
        )
    else:
        op.execute(f"DROP TABLE {last}")
    op.execute(f"CREATE TABLE {hold} PARTITION OF {table} DEFAULT")
