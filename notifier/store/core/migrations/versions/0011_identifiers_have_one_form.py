"""Charging tokens and topics are kept in capitals, and a line of the phone under one key, whichever form of its number
was given: a STOP from an old form of a number holds for the new one."""

import hmac

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

from notifier.domain.identifiers import CASELESS, RENUMBERED, audience, line, old_forms

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PAGE = 1000  # rows read in one query
KEY_DIGITS = 32  # characters of an address's key

membership = sa.table("membership", *map(sa.column, ("audience", "recipient_id", "position")))
recipient = sa.table("recipient", *map(sa.column, ("id", "phone", "phone_key")))
suppression = sa.table("suppression", *map(sa.column, ("address_key", "reason", "since")))
secret = sa.table("secret", *map(sa.column, ("name", "value")))


def upgrade() -> None:
    connection = op.get_bind()
    for group in sorted(CASELESS):
        _capitals(connection, group)
    found = connection.execute(sa.select(secret.c.value).where(secret.c.name == "address")).scalar()
    if found is not None:  # otherwise there is no address yet
        for prefix in RENUMBERED:
            _lines(connection, bytes.fromhex(found), prefix)


def _capitals(connection: Connection, group: str) -> None:
    last = ("", "")
    key = sa.tuple_(membership.c.audience, membership.c.recipient_id)
    while page := list(
        connection.execute(
            sa.select(membership)
            .where(membership.c.audience.startswith(f"{group}:", autoescape=True), key > sa.tuple_(*last))
            .order_by(membership.c.audience, membership.c.recipient_id)
            .limit(PAGE)
        )
    ):
        last = (page[-1].audience, page[-1].recipient_id)
        old = [row for row in page if _form(group, row.audience) != row.audience]
        for row in old:
            new = {**row._asdict(), "audience": _form(group, row.audience)}
            if not _there(connection, new):
                connection.execute(sa.insert(membership).values(new))
            connection.execute(sa.delete(membership).where(*_one(row.audience, row.recipient_id)))


def _form(group: str, key: str) -> str:
    return audience(group, key.partition(":")[2])


def _there(connection: Connection, row: dict[str, str]) -> bool:
    query = sa.select(membership.c.audience).where(*_one(row["audience"], row["recipient_id"]))
    return connection.execute(query).first() is not None


def _one(key: str, recipient_id: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return membership.c.audience == key, membership.c.recipient_id == recipient_id


def _lines(connection: Connection, key: bytes, prefix: str) -> None:
    """Each line's number under the key of its present form, with what the keys of its old forms were suppressed for."""
    last = ""
    while page := list(
        connection.execute(
            sa.select(recipient)
            .where(recipient.c.phone.startswith(prefix, autoescape=True), recipient.c.id > last)
            .order_by(recipient.c.id)
            .limit(PAGE)
        )
    ):
        last = page[-1].id
        for row in page:
            number = line(row.phone)
            now = _key(key, number)
            for old in (row.phone, *old_forms(number)):
                _heed(connection, _key(key, old), now)
            if row.phone_key != now:
                connection.execute(sa.update(recipient).where(recipient.c.id == row.id).values(phone_key=now))


def _heed(connection: Connection, old: str, now: str) -> None:
    kept = {row.address_key: row for row in connection.execute(_suppressed(old, now))}
    if old in kept and now not in kept:
        connection.execute(sa.insert(suppression).values({**kept[old]._asdict(), "address_key": now}))
    elif (
        old != now and old in kept and kept[old].reason == "stopped"
    ):  # the person's word takes precedence over a provider's report
        told = sa.update(suppression).where(suppression.c.address_key == now)
        connection.execute(told.values(reason="stopped"))


def _suppressed(*keys: str) -> sa.Select[tuple[str, str, int]]:
    return sa.select(suppression).where(suppression.c.address_key.in_(keys))


def _key(secret_key: bytes, number: str) -> str:
    return hmac.digest(secret_key, f"sms:{number}".encode(), "sha256").hex()[:KEY_DIGITS]
