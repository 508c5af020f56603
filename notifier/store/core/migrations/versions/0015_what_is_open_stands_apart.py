"""What is open stands apart from what is over, which isn't changed again; the books are sums that were written down.

Rows are moved a slice of ids at a time. On MySQL and MariaDB each slice is committed, and a run that was interrupted is
gone on with; on the others all is one transaction. Processes of earlier releases can't work on these tables: the first
change renames a column that each of their statements needs, so that they fail rather than change what was moved.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection
from sqlalchemy.dialects import mysql

from notifier.store.core.resumable import has_column, keep

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

DAY = 86_400_000  # milliseconds
SLICES = "0123456789abcdef"  # first digits of ids, which are evenly spread hashes: of six million rows 375,000 each
TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
MOVED = ("decided_at", "signal_at_before", "tries", "cursor", "deliveries", "quarantined_at", "handled_at")
OPEN = ("id", "signal_at", "tries", "cursor", "deliveries", "quarantined_at", "handled_at")

event = sa.table("event", *(sa.column(name) for name in ("id", "accepted_at", *MOVED)))
open_event = sa.table("open_event", *map(sa.column, OPEN))
plan = sa.table("plan", *map(sa.column, ("event_id", "decided_at", "deliveries")))
tally = sa.table("tally", *map(sa.column, ("id", "day", "part", "state", "channel", "reason", "number")))


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


ID = _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
WORD = _words(40)


def upgrade() -> None:
    connection = op.get_bind()
    _tell("from here on no process of an earlier release can work on this database: those that still run have to stop")
    _add_tables()
    if has_column(connection, "event", MOVED[0]):  # otherwise all has been moved
        op.alter_column("event", "signal_at", new_column_name="signal_at_before", existing_type=sa.BigInteger())
        _move_events(connection)
    op.drop_index("ix_event_signal_at", "event")
    op.drop_index("ix_event_quarantined", "event")
    if left := [name for name in MOVED if has_column(connection, "event", name)]:
        with op.batch_alter_table("event") as batch:
            for name in left:
                batch.drop_column(name)


def _add_tables() -> None:
    op.create_table(
        "open_event",
        sa.Column("id", ID, nullable=False),
        sa.Column("signal_at", sa.BigInteger()),
        sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("cursor", _words(190)),
        sa.Column("deliveries", sa.Integer()),
        sa.Column("quarantined_at", sa.BigInteger()),
        sa.Column("handled_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_open_event")),
        **TABLE,
    )
    _partial("ix_open_event_signal_at", ["signal_at"], "signal_at IS NOT NULL")
    _partial(
        "ix_open_event_quarantined", ["quarantined_at", "id"], "quarantined_at IS NOT NULL AND handled_at IS NULL"
    )  # fmt: skip
    op.create_table(
        "plan",
        sa.Column("event_id", ID, nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_plan")),
        **TABLE,
    )
    op.create_table(
        "tally",
        sa.Column("id", ID, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        *(sa.Column(name, WORD, nullable=False) for name in ("part", "state", "channel", "reason")),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
        **TABLE,
    )
    op.create_index("ix_tally_day", "tally", ["day"])


def _partial(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "open_event", columns, postgresql_where=where, sqlite_where=where)


def _move_events(connection: Connection) -> None:
    for number, part in enumerate(_slices(connection, event), start=1):
        _tell(f"events, part {number} of {len(SLICES)}")
        is_moved = sa.exists().where(open_event.c.id == event.c.id)
        own = [event.c.signal_at_before if name == "signal_at" else event.c[name] for name in OPEN]
        waiting = sa.select(*own).where(part, event.c.decided_at.is_(None), ~is_moved)
        connection.execute(sa.insert(open_event).from_select(OPEN, waiting))
        is_moved = sa.exists().where(plan.c.event_id == event.c.id)
        decided = sa.select(event.c.id, event.c.decided_at, sa.func.coalesce(event.c.deliveries, 0))
        columns = ["event_id", "decided_at", "deliveries"]
        decided = decided.where(part, event.c.decided_at.is_not(None), ~is_moved)
        connection.execute(sa.insert(plan).from_select(columns, decided))
        keep(connection)
    day = (event.c.accepted_at // sa.literal_column(str(DAY))).label("day")
    numbers = {
        "accepted": sa.func.count(), "decided": sa.func.count(event.c.decided_at),
        "planned": sa.func.coalesce(sa.func.sum(event.c.deliveries), 0),
    }  # fmt: skip
    sums = connection.execute(sa.select(day, *(each.label(name) for name, each in numbers.items())).group_by(day))
    told = [
        {
            "id": secrets.token_hex(16), "day": int(row.day), "part": "event", "state": name, "channel": "",
            "reason": "", "number": int(getattr(row, name)),
        }
        for row in sums
        for name in numbers
        if getattr(row, name)
    ]  # fmt: skip
    connection.execute(sa.delete(tally).where(tally.c.part == "event"))
    if told:
        connection.execute(sa.insert(tally), told)
    keep(connection)


def _slices(connection: Connection, table: sa.TableClause) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that each hold for a part of a table's rows; none where the table is empty."""
    if connection.execute(sa.select(table.c.id).limit(1)).first() is not None:
        for first, behind in zip(SLICES, [*SLICES[1:], None], strict=True):
            begins = sa.true() if first == SLICES[0] else table.c.id >= first
            yield begins if behind is None else sa.and_(begins, table.c.id < behind)


def _tell(what: str) -> None:
    op.get_context().opts["tell"](what)
