"""The consent ledger: every statement of a person, appended and never changed. The resulting consents stand on the
person's row, written in the same transaction."""

import secrets
from collections.abc import Mapping, Sequence
from functools import cache, reduce

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.consent import Agreed, Consent, apply
from notifier.store.core import rows
from notifier.store.core.buckets import of_person
from notifier.store.core.database import Database
from notifier.store.core.schema import consent, recipient


class ConsentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger. `actor` is who wrote it down: a key's name, or `recipient`."""

    id: str
    at: int
    category: str
    channel: str
    granted: bool
    wording: str
    source: str
    actor: str


_decode = msgspec.json.Decoder(dict[str, dict[str, bool]]).decode


async def append(
    connection: AsyncConnection, dialect: str, said: Mapping[str, Sequence[Consent]], actor: str, now: int
) -> dict[str, list[ConsentEntry]]:
    """Append statements by recipient, in order; returns the entries of recipients who exist.

    Their rows stay locked until the transaction ends, so that the ledger and the resulting consents never differ.
    """
    if not said:
        return {}
    found = await connection.execute(_locked(dialect), {"rows": rows.names(said)})
    before = {row.id: row.consents for row in found}
    entries = {id_: _entries(said[id_], actor, now) for id_ in before}
    written = [
        {"recipient_id": id_, **msgspec.structs.asdict(each), "granted": int(each.granted)}
        for id_, told in entries.items()
        for each in told
    ]
    if written:
        await connection.execute(_append(dialect), {"rows": written})
    changed = []
    for id_, document in before.items():
        agreed = _decode(document)
        after: Agreed = reduce(apply, said[id_], agreed)
        if after != agreed:
            changed.append({"id": id_, "consents": after})
    if changed:
        await connection.execute(_write(dialect), {"rows": changed, "now": now})
    return entries


@of_person
async def add(database: Database, recipient_id: str, word: Consent, actor: str, now: int) -> ConsentEntry | None:
    """Append one statement of one person; None where there is no such recipient."""

    async def work(connection: AsyncConnection) -> ConsentEntry | None:
        entries = await append(connection, database.dialect, {recipient_id: [word]}, actor, now)
        return entries[recipient_id][0] if entries else None

    return await database.write(work)


@of_person
async def get(database: Database, recipient_id: str, limit: int) -> tuple[Agreed, list[ConsentEntry]] | None:
    """A person's consents, and the latest ledger entries, newest first; None where there is no such recipient."""
    columns = [consent.c[name] for name in ConsentEntry.__struct_fields__]
    ledger = sa.select(*columns).where(consent.c.recipient_id == recipient_id).order_by(consent.c.id.desc())

    async def work(connection: AsyncConnection) -> tuple[Agreed, list[ConsentEntry]] | None:
        held = sa.select(recipient.c.consents).where(recipient.c.id == recipient_id)
        document = (await connection.execute(held)).scalar()
        if document is None:
            return None
        found = await connection.execute(ledger.limit(limit))
        return _decode(document), [rows.read(row, ConsentEntry) for row in found]

    return await database.read(work)


def _entries(said: Sequence[Consent], actor: str, now: int) -> list[ConsentEntry]:
    # The ids sort in the order of the consents.
    return [
        ConsentEntry(
            id=f"{now:012x}{number:04x}{secrets.token_hex(8)}", at=now, category=word.category, channel=word.channel,
            granted=word.granted, wording=word.wording, source=word.source, actor=actor,
        )
        for number, word in enumerate(said)
    ]  # fmt: skip


@cache
def _locked(dialect: str) -> sa.Select[tuple[str, str]]:
    return rows.locked(dialect, [recipient.c.id, recipient.c.consents])


@cache
def _append(dialect: str) -> sa.Insert:
    return rows.insert(dialect, consent, list(consent.c))


@cache
def _write(dialect: str) -> sa.Update:
    given = rows.batch(dialect, [recipient.c.id, recipient.c.consents])
    return (
        sa.update(recipient)
        .where(recipient.c.id == given.c.id)
        .values(consents=given.c.consents, updated_at=sa.bindparam("now"))
    )
