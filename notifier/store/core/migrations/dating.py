"""How rows get dated ids, from the tables of revision 0017: what revision 0018 does, in statements of its own.

Like every migration it stays as it is, whatever becomes of the tables.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import mysql, postgresql

from notifier.domain.ids import dated, instant_of, make_id
from notifier.store.core.migrations.short_decisions import deliveries_of, short_answers, short_standing
from notifier.store.core.resumable import Tell, keep

DAY: Final = 86_400_000  # milliseconds
CHUNK: Final = 1_000
"""Ids in one statement."""
PAGE: Final = 5_000
"""Decisions that are held in memory: of one event a campaign makes a million."""


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


HEX = _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
TAIL = _words(20).with_variant(mysql.CHAR(20, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
ID = sa.String(32).with_variant(postgresql.UUID(), "postgresql").with_variant(mysql.BINARY(16), "mysql", "mariadb")
NAME = _words(190)
WORD = _words(40)
DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
BIG, SMALL, NUMBER = sa.BigInteger(), sa.SmallInteger(), sa.Integer()


COLUMNS: Final[dict[str, list[tuple[Any, ...]]]] = {
    "event": [
        ("id", ID), ("digest", ID), ("occurred_at", BIG), ("accepted_at", BIG), ("source", sa.String(1000)),
        ("source_id", sa.String(1000)), ("type", NAME), ("subject?", sa.String(1000)), ("data", DOCUMENT),
    ],
    "open_event": [
        ("id", ID), ("next_check_at?", BIG), ("quarantined_at?", BIG), ("handled_at?", BIG), ("deliveries?", NUMBER),
        ("tries", SMALL, "0"), ("cursor?", NAME),
    ],
    "plan": [("event_id", ID), ("decided_at", BIG), ("deliveries", NUMBER)],
    "tally": [
        ("id", ID), ("number", BIG), ("day", NUMBER), ("part", WORD), ("state", WORD), ("channel", WORD),
        ("reason", WORD),
    ],
    "delivery": [
        ("id", ID), ("event_id", ID), ("subject_key", ID), ("digest_id?", ID), ("redrive_of?", ID),
        ("lease_token?", ID), ("created_at", BIG), ("due_at", BIG), ("expires_at", BIG), ("step", SMALL, "0"),
        ("recipient_id", NAME), ("type", NAME), ("channel", WORD), ("target", HEX), ("lane", WORD), ("state", WORD),
        ("reason?", WORD),
    ],
    "open_delivery": [
        ("id", ID), ("subject_key", ID), ("lease_token?", ID), ("updated_at", BIG), ("due_at", BIG),
        ("next_check_at?", BIG), ("attempts", SMALL), ("crashes", SMALL, "0"), ("lane", WORD), ("channel", WORD),
        ("state", WORD), ("reason?", WORD), ("code?", WORD),
    ],
    "lease": [("token", ID), ("channel", WORD), ("ends_at", BIG), ("waiting", NUMBER), ("deliveries", DOCUMENT)],
    "outcome": [
        ("delivery_id", ID), ("content_hash?", ID), ("at", BIG), ("started_at?", BIG), ("handled_at?", BIG),
        ("version?", NUMBER), ("number", SMALL), ("attempts", SMALL), ("crashes", SMALL, "0"), ("state", WORD),
        ("reason?", WORD), ("code?", WORD), ("answer?", WORD), ("provider?", WORD), ("provider_reference?", NAME),
        ("locale?", WORD), ("time_zone?", sa.String(64)),
    ],
    "delivery_note": [
        ("delivery_id", ID), ("recipient_id", NAME), ("seen_at?", BIG), ("read_at?", BIG), ("archived_at?", BIG),
        ("updated_at", BIG),
    ],
    "decision": [
        ("event_id", ID), ("type", NAME), ("recipient_id", NAME), ("decided_at", BIG), ("answers", DOCUMENT),
        ("standing?", DOCUMENT),
    ],
    "supersession": [("subject_key", ID), ("until", BIG), ("reason", WORD), ("event_id", ID)],
    "retention_late": [("part", WORD), ("id", ID)],
}  # fmt: skip
"""The tables that are written anew, column by column."""

WAS: Final = {"next_check_at": "signal_at"}
"""Columns that have another name from here on; `subject_key`, which was `about`, holds an id."""


class Copy:
    """Writes the new tables from the old ones, with ids as this engine keeps them."""

    def __init__(self, connection: Connection, tell: Tell) -> None:
        self._connection = connection
        self._tell = tell
        self._engine = "mysql" if connection.dialect.name == "mariadb" else connection.dialect.name

    def everything(self) -> None:
        self._rename_redrives()
        for number, days, first in self._days("event", "accepted_at"):
            self._tell(f"events, day {number} of {days}")
            self._events(first)
            keep(self._connection)
            self._decisions(first)
        for number, days, first in self._days("delivery", "created_at"):
            self._tell(f"deliveries, day {number} of {days}")
            self._deliveries(first)
            keep(self._connection)
        self._others()
        keep(self._connection)
        self._books()
        keep(self._connection)

    def _days(self, table: str, column: str) -> Iterator[tuple[int, int, int]]:
        """The days of which there are rows: a number, how many there are, and the instant at which it begins."""
        found = self._connection.execute(
            sa.text(f"SELECT DISTINCT {column} - {column} % {DAY} FROM {table} ORDER BY 1")  # noqa: S608
        )
        days = [int(first) for first in found.scalars()]
        for number, first in enumerate(days, start=1):
            yield number, len(days), first

    def _rename_redrives(self) -> None:
        """What replaces a dead letter is called after it, and so by its new name."""
        self._connection.execute(sa.text("DELETE FROM renamed_delivery"))
        found = self._connection.execute(
            sa.text(
                "SELECT d.id, d.redrive_of, o.created_at FROM delivery d JOIN delivery o ON o.id = d.redrive_of"
                " ORDER BY d.created_at, d.id"
            )
        )
        named: dict[str, str] = {}
        for id_, of, created_at in found:
            before = named.get(of) or dated(of, created_at)
            named[id_] = dated(make_id("redrive", before), instant_of(before))
        if named:
            rows = [{"old": old, "new": new} for old, new in named.items()]
            self._connection.execute(sa.text("INSERT INTO renamed_delivery (old, new) VALUES (:old, :new)"), rows)
        keep(self._connection)

    def _events(self, first: int) -> None:
        day = f"e.accepted_at >= {first} AND e.accepted_at < {first + DAY}"
        own = self._dated("e.id", "e.accepted_at")
        self._fill("identity", {"id": self._bare("e.id"), "first_at": "e.accepted_at"}, f"event e WHERE {day}")
        self._fill(
            "dated_event", self._as_is("event", "e", id=own, digest=self._bare("e.digest")), f"event e WHERE {day}"
        )
        self._fill(
            "dated_plan", self._as_is("plan", "p", event_id=own),
            f"event e JOIN plan p ON p.event_id = e.id WHERE {day}",
        )  # fmt: skip

    def _decisions(self, first: int) -> None:
        """Decisions name deliveries in their answers; they are written in short besides."""
        day = sa.text(
            "SELECT id, accepted_at FROM event WHERE accepted_at >= :first AND accepted_at < :behind ORDER BY id"
        )
        of = [tuple(row) for row in self._connection.execute(day, {"first": first, "behind": first + DAY})]
        for start in range(0, len(of), CHUNK):
            accepted = dict(of[start : start + CHUNK])
            last: tuple[str, str, str] | None = ("", "", "")
            while last is not None:
                found = self._decided(list(accepted), last)
                self._write_decisions(accepted, found)
                keep(self._connection)
                last = (found[-1].event_id, found[-1].type, found[-1].recipient_id) if len(found) == PAGE else None

    def _decided(self, events: list[str], after: tuple[str, str, str]) -> list[Any]:
        """The next decisions about these events."""
        query = sa.text(
            "SELECT * FROM decision WHERE event_id IN :events"
            " AND (event_id, type, recipient_id) > (:event, :type, :recipient)"
            " ORDER BY event_id, type, recipient_id LIMIT :page"
        ).bindparams(sa.bindparam("events", expanding=True))
        place = dict(zip(("event", "type", "recipient"), after, strict=True))
        return list(self._connection.execute(query, {"events": events, "page": PAGE, **place}))

    def _write_decisions(self, accepted: Mapping[str, int], found: Sequence[Any]) -> None:
        named = {each for row in found for each in deliveries_of(row.answers)}
        created = sa.text("SELECT id, created_at FROM delivery WHERE id IN :ids")
        made: dict[str, int] = {}
        ids = sorted(named)
        for start in range(0, len(ids), CHUNK):
            query = created.bindparams(sa.bindparam("ids", expanding=True))
            part = {"ids": ids[start : start + CHUNK]}
            made |= {row.id: row.created_at for row in self._connection.execute(query, part)}
        rows = [
            {
                "event_id": dated(row.event_id, accepted[row.event_id]), "type": row.type,
                "recipient_id": row.recipient_id, "decided_at": row.decided_at,
                "answers": short_answers(
                    row.answers, row.decided_at, partial(_renamed, made, row.decided_at)
                ),
                "standing": short_standing(row.standing, row.type, row.decided_at),
            }
            for row in found
        ]  # fmt: skip
        if not rows:
            return
        into = "INTO dated_decision (event_id, type, recipient_id, decided_at, answers, standing) VALUES"
        values = ":type, :recipient_id, :decided_at, :answers, :standing"
        if self._engine == "mysql":  # whose driver sends many rows at once where there are plain values alone
            given = [row | {"event_id": bytes.fromhex(row["event_id"])} for row in rows]
            self._connection.execute(sa.text(f"INSERT IGNORE {into} (:event_id, {values})"), given)
        else:
            id_ = self._bare(":event_id")
            self._connection.execute(sa.text(f"INSERT {into} ({id_}, {values}) ON CONFLICT DO NOTHING"), rows)

    def _deliveries(self, first: int) -> None:
        day = f"d.created_at >= {first} AND d.created_at < {first + DAY}"
        own, of = self._delivery("d")
        digest, of_digest = self._delivery("g")
        redriven, of_redriven = self._delivery("o")
        self._fill(
            "dated_delivery",
            self._as_is(
                "delivery", "d", id=own, event_id=f"coalesce({self._dated('e.id', 'e.accepted_at')}, "
                f"{self._bare('d.event_id')})", subject_key=self._bare("d.about"), digest_id=digest,
                redrive_of=redriven, lease_token="NULL",  # noqa: S106 (SQL)
            ),
            f"delivery d {of} LEFT JOIN event e ON e.id = d.event_id"
            f" LEFT JOIN delivery g ON g.id = d.digest_id {of_digest}"
            f" LEFT JOIN delivery o ON o.id = d.redrive_of {of_redriven} WHERE {day}",
        )  # fmt: skip
        self._fill(
            "dated_outcome",
            self._as_is("outcome", "o", delivery_id=own, content_hash=self._bare("substr(o.content_hash, 1, 32)")),
            f"delivery d {of} JOIN outcome o ON o.delivery_id = d.id WHERE {day}",
        )
        self._fill(
            "earlier_delivery",
            {"tail": "substr(d.id, 1, 20)", "id": own},
            f"delivery d {of} WHERE {day} AND d.channel <> 'none'",
        )

    def _others(self) -> None:
        event_of = self._dated("e.id", "e.accepted_at")
        own, of = self._delivery("d")
        self._fill(
            "dated_open_event", self._as_is("open_event", "o", id=event_of), "open_event o JOIN event e ON e.id = o.id"
        )
        self._fill(
            "dated_open_delivery",
            self._as_is(
                "open_delivery", "o", id=own, subject_key=self._bare("o.about"), lease_token=self._bare("o.lease_token")
            ),
            f"open_delivery o JOIN delivery d ON d.id = o.id {of}",
        )
        self._fill(
            "dated_delivery_note", self._as_is("delivery_note", "n", delivery_id=own),
            f"delivery_note n JOIN delivery d ON d.id = n.delivery_id {of}",
        )  # fmt: skip
        self._fill(
            "dated_supersession",
            self._as_is(
                "supersession", "s", subject_key=self._bare("s.about"),
                event_id=f"coalesce({event_of}, {self._bare('s.event_id')})",
            ),
            "supersession s LEFT JOIN event e ON e.id = s.event_id",
        )  # fmt: skip

    def _books(self) -> None:
        """The sums over events stand; those over deliveries are of the days that their new ids begin with."""
        self._connection.execute(sa.text("DELETE FROM dated_tally"))
        self._fill("dated_tally", self._as_is("tally", "t", id=self._bare("t.id")), "tally t WHERE t.part = 'event'")
        instant = {
            "postgresql": "('x' || left(replace(d.id::text, '-', ''), 12))::bit(48)::bigint",
            "mysql": "CAST(CONV(LEFT(HEX(d.id), 12), 16, 10) AS UNSIGNED)",
            "sqlite": " + ".join(
                f"(instr('0123456789abcdef', substr(d.id, {place}, 1)) - 1) * {16 ** (12 - place)}"
                for place in range(1, 13)
            ),
        }[self._engine]
        day = f"({instant}) {'DIV' if self._engine == 'mysql' else '/'} {DAY}"
        found = self._connection.execute(
            sa.text(
                f"SELECT {day}, d.state, d.channel, coalesce(d.reason, ''), count(*)"  # noqa: S608
                " FROM dated_delivery d LEFT JOIN dated_open_delivery o ON o.id = d.id WHERE o.id IS NULL"
                " GROUP BY 1, 2, 3, 4"
            )
        )
        for day, state, channel, reason, count in list(found):
            told = {"day": int(day), "state": state, "channel": channel, "reason": reason, "number": count}
            self._connection.execute(
                sa.text(
                    "INSERT INTO dated_tally (id, day, part, state, channel, reason, number)"
                    f" SELECT {self._bare(':id')}, :day, 'delivery', :state, :channel, :reason, :number"
                ),
                {"id": secrets.token_hex(16), **told},
            )

    def _fill(self, table: str, columns: dict[str, str], source: str) -> None:
        """Write the rows of a source that a table doesn't have yet."""
        skip = {"postgresql": "ON CONFLICT DO NOTHING", "sqlite": "ON CONFLICT DO NOTHING", "mysql": ""}[self._engine]
        ignore = "IGNORE " if self._engine == "mysql" else ""
        if self._engine == "sqlite" and " WHERE " not in source:
            source += " WHERE true"  # otherwise ON CONFLICT would be read as a join's condition
        self._connection.execute(
            sa.text(
                f"INSERT {ignore}INTO {table} ({', '.join(map(self._quoted, columns))})"  # noqa: S608
                f" SELECT {', '.join(columns.values())} FROM {source} {skip}"
            )
        )

    def _as_is(self, table: str, alias: str, **other: str) -> dict[str, str]:
        """The columns of a new table as those of the old one under an alias, but for some."""
        names = (name.rstrip("?") for name, *_ in COLUMNS[table])
        return {name: other.get(name) or f"{alias}.{self._quoted(WAS.get(name, name))}" for name in names}

    def _delivery(self, alias: str) -> tuple[str, str]:
        """A delivery's new id, and the join that this takes."""
        renamed = f"r_{alias}"
        given = f"coalesce({self._bare(f'{renamed}.new')}, {self._dated(f'{alias}.id', f'{alias}.created_at')})"
        return given, f"LEFT JOIN renamed_delivery {renamed} ON {renamed}.old = {alias}.id"

    def _dated(self, id_: str, at: str) -> str:
        return {
            "postgresql": f"CAST(lpad(to_hex({at}), 12, '0') || left({id_}, 20) AS uuid)",
            "mysql": f"UNHEX(CONCAT(LPAD(HEX({at}), 12, '0'), LEFT({id_}, 20)))",
            "sqlite": f"CASE WHEN {id_} IS NOT NULL THEN printf('%012x', {at}) || substr({id_}, 1, 20) END",
        }[self._engine]

    def _bare(self, id_: str) -> str:
        return {"postgresql": f"CAST({id_} AS uuid)", "mysql": f"UNHEX({id_})", "sqlite": id_}[self._engine]

    def _quoted(self, name: str) -> str:
        return self._connection.dialect.identifier_preparer.quote(name)


def _renamed(made: Mapping[str, int], decided_at: int, id_: str) -> str:
    """A delivery's new id; one that isn't there any more was made when it was decided."""
    return dated(id_, made.get(id_, decided_at))
