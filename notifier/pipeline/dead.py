"""Dead letters: redrive or discard them. A state never moves back: a redrive makes a new delivery."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import CampaignState
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.deliveries import DEAD, Channel, Lane, State, by_queue, channel_of
from notifier.domain.keys import UNBOUND, Bounds
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.policy import phrases
from notifier.store.core import audit
from notifier.store.delivery import campaigns, deliveries
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.reading import dead_handling
from notifier.store.reading.dead import DeadLetter, successor_id
from notifier.store.reading.dead_handling import Candidate, CandidateEvent

# up to this many redriven deliveries are signalled at once; of more the clock signals as many as there is room for
AT_ONCE = 100

Refusal = Literal["not_found", "not_dead", "redriven", "discarded", "type_gone", "channel_gone", "data_gone"]


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


async def redrive(engine: Engine, ids: Sequence[str], actor: str, bounds: Bounds = UNBOUND) -> list[Result]:
    """Redrive dead letters; returns one result for each id, in order.

    A delivery is replaced by a new one, due now, with its type's full time to live; redriving again gives the same
    answer. An event is decided after all, and a paused campaign goes on. What is beyond the bounds is not found. Raises
    StoreUnavailable, and then nothing has changed but what other buckets than the one that is away have of them.
    """
    ids = list(dict.fromkeys(ids))
    return _join(await asyncio.gather(*(_redrive_in(each, ids, actor, bounds) for each in engine.buckets)))


async def discard(engine: Engine, ids: Sequence[str], actor: str, bounds: Bounds = UNBOUND) -> list[Result]:
    """Discard dead letters: they stay as they are, and are no longer listed. Of a paused campaign what is left is
    cancelled.

    One result for each id, in order; what is beyond the bounds is not found.
    Raises StoreUnavailable, as `redrive` does.
    """
    ids = list(dict.fromkeys(ids))
    return _join(await asyncio.gather(*(_discard_in(each, ids, actor, bounds) for each in engine.buckets)))


def _join(found: Iterable[Sequence[Result]]) -> list[Result]:
    """The result for each id of several buckets: a delivery is in one, and an event may be dead in some."""
    return [min(of_one, key=_weight) for of_one in zip(*found, strict=True)]


def _weight(result: Result) -> int:
    return 2 if result.reason == "not_found" else int(result.status == "refused")


async def _redrive_in(engine: Engine, ids: Sequence[str], actor: str, bounds: Bounds) -> list[Result]:
    """Redrive the dead letters that a bucket has."""
    now = engine.clock.now()

    async def work(connection: AsyncConnection) -> tuple[list[Result], list[NewDelivery], list[str]]:
        dialect = engine.database.dialect
        known = await dead_handling.within(connection, dialect, ids, bounds)
        letters = await dead_handling.take(connection, dialect, known)
        before = await deliveries.existing(connection, dialect, [successor_id(id_) for id_ in known])
        behind = {each.event_id for each in letters.values() if isinstance(each, Candidate)}
        blank = await dead_handling.blank(connection, dialect, behind)
        results = [_redrive(engine.catalog, id_, letters.get(id_), before, blank) for id_ in ids]
        done = [letters[each.id] for each in results if each.status == "redriven" and each.id in letters]
        taken_up = [each for each in done if isinstance(each, Candidate) and successor_id(each.id) not in before]
        put_aside = [each for each in done if isinstance(each, CandidateEvent)]
        released = [each.id for each in put_aside if not each.is_campaign]
        lifted = [each.id for each in put_aside if each.is_campaign]
        at_once = len(taken_up) <= AT_ONCE
        new = [_successor(engine.catalog.with_twins[each.type], each, now, at_once) for each in taken_up]
        await dead_handling.redrive(connection, dialect, taken_up, new, now)
        await dead_handling.release(connection, dialect, released, now + SIGNAL_AGAIN)
        await campaigns.handle(connection, dialect, lifted, CampaignState.LIFTED, now)
        handled = [*(each.id for each in taken_up), *released, *lifted]
        await _record(connection, dialect, "dead.redrive", handled, actor, now)
        return results, new, released

    results, new, released = await engine.database.write(work)
    await engine.signals.decide(released)
    signalled = (each for each in new if each.next_check_at != now)
    await engine.signals.deliver(by_queue((each.id, each.channel, each.lane) for each in signalled))
    return results


async def _discard_in(engine: Engine, ids: Sequence[str], actor: str, bounds: Bounds) -> list[Result]:
    """Discard the dead letters that a bucket has."""
    now = engine.clock.now()

    async def work(connection: AsyncConnection) -> list[Result]:
        dialect = engine.database.dialect
        known = await dead_handling.within(connection, dialect, ids, bounds)
        letters = await dead_handling.take(connection, dialect, known)
        before = await deliveries.existing(connection, dialect, [successor_id(id_) for id_ in known])
        results = [_discard(id_, letters.get(id_), before) for id_ in ids]
        done = [letters[result.id] for result in results if result.status == "discarded"]
        new = [each for each in done if each.handled_at is None]
        await dead_handling.discard(connection, dialect, new, now)
        await _record(connection, dialect, "dead.discard", [each.id for each in new], actor, now)
        return results

    return await engine.database.write(work)


def _redrive(
    catalog: Catalog, id_: str, letter: Candidate | CandidateEvent | None, before: set[str], blank: set[str]
) -> Result:
    if successor_id(id_) in before:
        return Result(id=id_, status="redriven", delivery=successor_id(id_))
    refusal = _refusal(letter)
    if refusal is None and isinstance(letter, Candidate):
        refusal = _gone(catalog, letter, blank)
    if refusal is not None:
        return Result(id=id_, status="refused", reason=refusal)
    return Result(id=id_, status="redriven", delivery=successor_id(id_) if isinstance(letter, Candidate) else None)


def _gone(catalog: Catalog, letter: Candidate, blank: set[str]) -> Refusal | None:
    """What a redrive of a delivery lacks here, such as a channel that only another release has, or its event's data;
    None where it lacks nothing."""
    if letter.type not in catalog.with_twins:
        return "type_gone"
    if letter.event_id in blank:
        return "data_gone"
    return "channel_gone" if channel_of(letter.channel) is None else None


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
        case Candidate() if letter.state not in DEAD:
            return "not_dead"
        case CandidateEvent() if letter.put_aside_at is None:
            return "not_dead"
        case _:
            return None if letter.handled_at is None else "discarded"


def _successor(kind: NotificationType, letter: Candidate, now: int, at_once: bool) -> NewDelivery:
    signalled = at_once and letter.lane != Lane.BULK
    return NewDelivery(
        id=successor_id(letter.id), event_id=letter.event_id, recipient_id=letter.recipient_id, type=letter.type,
        channel=Channel(letter.channel), target=letter.target, lane=letter.lane, subject_key=letter.subject_key,
        state=State.PENDING, reason=None, created_at=now, updated_at=now, due_at=now, expires_at=now + kind.ttl,
        next_check_at=now + SIGNAL_AGAIN if signalled else now, digest_id=letter.digest_id, redrive_of=letter.id,
    )  # fmt: skip


async def _record(
    connection: AsyncConnection, dialect: str, action: str, ids: Sequence[str], actor: str, now: int
) -> None:
    entries = [audit.AuditEntry(at=now, actor=actor, action=action, subject=id_) for id_ in ids]
    await audit.add(connection, dialect, entries)
