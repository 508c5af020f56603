"""Dead letters: redrive or discard them. A state never moves back: a redrive makes a new delivery."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.deliveries import Lane, State, by_queue
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.policy import phrases
from notifier.store.core import audit
from notifier.store.delivery import deliveries
from notifier.store.reading import dead
from notifier.store.reading.dead import DEAD_STATES, Candidate, CandidateEvent, DeadLetter, Redriven, successor_id

AT_ONCE = 100  # redriven together they are signalled at once; of more the clock lets in what there is room for

Refusal = Literal["not_found", "not_dead", "redriven", "discarded", "type_gone"]


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result for one id. `delivery` is the one that replaces a redriven delivery; `reason` says why a redrive was
    refused."""

    id: str
    status: Literal["redriven", "discarded", "refused"]
    delivery: str | None = None
    reason: Refusal | None = None


def explain(letter: DeadLetter) -> str:
    """Why a delivery or event is a dead letter, in words."""
    return phrases.reason(letter.reason or letter.state)


async def redrive(engine: Engine, ids: Sequence[str], actor: str) -> list[Result]:
    """Redrive dead letters; returns one result for each id, in order.

    A delivery is replaced by a new one, due now, with its type's full time to live; redriving again gives the same
    answer. An event is decided after all. Raises StoreUnavailable, and then nothing has changed.
    """
    now = engine.clock.now()
    ids = list(dict.fromkeys(ids))

    async def work(connection: AsyncConnection) -> tuple[list[Result], list[Redriven], list[str]]:
        dialect = engine.database.dialect
        letters = await dead.take(connection, dialect, ids)
        before = await deliveries.existing(connection, dialect, [successor_id(id_) for id_ in ids])
        results = [_redrive(engine.catalog, id_, letters.get(id_), before) for id_ in ids]
        done = [letters[result.id] for result in results if result.status == "redriven"]
        taken_up = [each for each in done if isinstance(each, Candidate) and successor_id(each.id) not in before]
        released = [each.id for each in done if isinstance(each, CandidateEvent)]
        at_once = len(taken_up) <= AT_ONCE
        new = [_successor(engine.catalog.types[each.type], each, now, at_once) for each in taken_up]
        await dead.redrive(connection, dialect, new, now)
        await dead.release(connection, dialect, released, now + SIGNAL_AGAIN)
        await _record(connection, dialect, "dead.redrive", [*(each.id for each in taken_up), *released], actor, now)
        return results, new, released

    results, new, released = await engine.database.write(work)
    await engine.signals.decide(released)
    signalled = (each for each in new if each.signal_at != now)
    await engine.signals.deliver(by_queue((each.id, each.channel, each.lane) for each in signalled))
    return results


async def discard(engine: Engine, ids: Sequence[str], actor: str) -> list[Result]:
    """Discard dead letters: they stay as they are, and are no longer listed.

    One result for each id, in order. Raises StoreUnavailable, and then nothing has changed.
    """
    now = engine.clock.now()
    ids = list(dict.fromkeys(ids))

    async def work(connection: AsyncConnection) -> list[Result]:
        dialect = engine.database.dialect
        letters = await dead.take(connection, dialect, ids)
        before = await deliveries.existing(connection, dialect, [successor_id(id_) for id_ in ids])
        results = [_discard(id_, letters.get(id_), before) for id_ in ids]
        done = [letters[result.id] for result in results if result.status == "discarded"]
        new = [each for each in done if each.handled_at is None]
        await dead.discard(connection, dialect, new, now)
        await _record(connection, dialect, "dead.discard", [each.id for each in new], actor, now)
        return results

    return await engine.database.write(work)


def _redrive(catalog: Catalog, id_: str, letter: Candidate | CandidateEvent | None, before: set[str]) -> Result:
    if successor_id(id_) in before:
        return Result(id=id_, status="redriven", delivery=successor_id(id_))
    refusal = _refusal(letter)
    if refusal is None and isinstance(letter, Candidate) and letter.type not in catalog.types:
        refusal = "type_gone"
    if refusal is not None:
        return Result(id=id_, status="refused", reason=refusal)
    return Result(id=id_, status="redriven", delivery=successor_id(id_) if isinstance(letter, Candidate) else None)


def _discard(id_: str, letter: Candidate | CandidateEvent | None, before: set[str]) -> Result:
    refusal = "redriven" if successor_id(id_) in before else _refusal(letter)
    if refusal in (None, "discarded"):
        return Result(id=id_, status="discarded")
    return Result(id=id_, status="refused", reason=refusal)


def _refusal(letter: Candidate | CandidateEvent | None) -> Refusal | None:
    """Why a dead letter can't be handled; None where it can."""
    match letter:
        case None:
            return "not_found"
        case Candidate() if letter.state not in DEAD_STATES:
            return "not_dead"
        case CandidateEvent() if letter.quarantined_at is None:
            return "not_dead"
        case _:
            return None if letter.handled_at is None else "discarded"


def _successor(kind: NotificationType, letter: Candidate, now: int, at_once: bool) -> Redriven:
    signalled = at_once and letter.lane != Lane.BULK
    return Redriven(
        id=successor_id(letter.id), event_id=letter.event_id, recipient_id=letter.recipient_id, type=letter.type,
        channel=letter.channel, target=letter.target, lane=letter.lane, about=letter.about, state=State.PENDING,
        reason=None, created_at=now, updated_at=now, due_at=now, expires_at=now + kind.ttl,
        signal_at=now + SIGNAL_AGAIN if signalled else now, digest_id=letter.digest_id, redrive_of=letter.id,
    )  # fmt: skip


async def _record(
    connection: AsyncConnection, dialect: str, action: str, ids: Sequence[str], actor: str, now: int
) -> None:
    entries = [audit.AuditEntry(at=now, actor=actor, action=action, subject=id_) for id_ in ids]
    await audit.add(connection, dialect, entries)
