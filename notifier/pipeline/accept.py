"""Accept: write events, signal `decide`, and only then answer.

An event is accepted once its row is committed. If only the signal fails it is accepted all the same: the clock finds
it.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from notifier import metrics
from notifier.domain.buckets import bucket_of, home
from notifier.domain.clock import SECOND
from notifier.domain.cloudevents import MAX_BATCH, CheckedEvent
from notifier.domain.errors import Problem
from notifier.domain.problems import problem
from notifier.domain.trace_context import with_context
from notifier.domain.turns import Turns
from notifier.domain.twins import is_test
from notifier.pipeline.engine import EXPAND_AGAIN, LATER_AGAIN, SIGNAL_AGAIN, Engine
from notifier.pipeline.signalling import signal_undecided
from notifier.pipeline.traces import begin_accepting, end_accepting, fail_accepting
from notifier.runtime.background import once
from notifier.runtime.coalesce import Coalescer
from notifier.runtime.recent import Recent
from notifier.runtime.stages import Stage, metered
from notifier.runtime.tracing import Tracer
from notifier.store.delivery import events, open_events

BEHIND: Final = SECOND // 8
"""Milliseconds that an event waits for its decision when more is reported than is decided: twice as long as
otherwise."""
LOOK: Final = SECOND // 10
"""Milliseconds between two looks at how long events wait."""


class Accepted(msgspec.Struct, frozen=True, tag_field="status", tag="accepted"):
    """The answer to an event that is stored: its source, its id there, and ours. A repeat gets the same answer."""

    source: str
    id: str
    event: str


class _Reported(NamedTuple):
    """An event to be written, and whether its key has its turn: others come later where events wait."""

    event: CheckedEvent
    has_turn: bool


class Intake:
    """Batches concurrent callers' events into one write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writers: list[Coalescer[_Reported, events.Stored]] = [
            Coalescer(partial(self._write, each), limit=MAX_BATCH) for each in engine.buckets
        ]
        self._behind = [Recent(partial(_is_behind, each), engine.clock, LOOK) for each in engine.buckets]
        self._turns, self._urgent_turns = Turns(), Turns()
        self._tracer = engine.tracer
        self._signals: set[asyncio.Task[None]] = set()

    async def accept(self, candidates: Sequence[CheckedEvent | Problem], lane: str = "") -> list[Accepted | Problem]:
        """Accept events: one answer per candidate, in order; an invalid one doesn't keep the others out.

        Lanes, such as the keys that report, take turns: what one reports at once keeps no other waiting for its answer.
        Nor for its decision: while events wait, those of a lane that reports far more than others come later.

        Raises StoreUnavailable where nothing could be written.
        """
        fit = [candidate for candidate in candidates if isinstance(candidate, CheckedEvent)]
        if self._tracer is None:
            stored = iter(await self._store(fit, lane))
        else:
            stored = iter(await self._store_traced(self._tracer, fit, lane))
        answers = [
            candidate if isinstance(candidate, Problem) else _answer(candidate, next(stored))
            for candidate in candidates
        ]
        _count(candidates, answers)
        return answers

    async def comes_later(self, engine: Engine, lane: str) -> bool:
        """Whether an event of a lane that isn't urgent comes behind those of others in a bucket."""
        has_turn = self._turns.has_turn(lane, 1, engine.clock.now())
        return not has_turn and await self._behind[engine.database.bucket].get()

    def signal(self, engine: Engine, types: Mapping[str, str], later: Collection[str] = ()) -> None:
        """Signal that events of a bucket wait for a decision, without making the caller wait for the broker. `types`
        are their event types by id, `later` those ids that come behind all others."""
        task = once("signal", partial(signal_undecided, engine, types, later))
        self._signals.add(task)
        task.add_done_callback(self._signals.discard)

    async def close(self) -> None:
        """Wait for signals under way."""
        await asyncio.gather(*self._signals)

    async def _store_traced(self, tracer: Tracer, fit: Sequence[CheckedEvent], lane: str) -> Sequence[events.Stored]:
        """Write events, those that are traced with the context of their spans."""
        begun = begin_accepting(tracer, fit, self._engine.clock.now())
        try:
            stored = await self._store([checked for checked, _ in begun], lane)
        except BaseException as error:
            fail_accepting(begun, error, self._engine.clock.now())
            raise
        end_accepting(begun, stored, self._engine.clock.now())
        return stored

    async def _store(self, fit: Sequence[CheckedEvent], lane: str) -> Sequence[events.Stored]:
        """Write events, each in the bucket where it is at home."""
        reported = self._in_turn(fit, lane)
        if len(self._writers) == 1:
            return await self._writers[0].add(reported, lane)
        homes = [bucket_of(_home(checked), len(self._writers)) for checked in fit]
        parts: dict[int, list[_Reported]] = {}
        for each, its in zip(reported, homes, strict=True):
            parts.setdefault(its, []).append(each)
        written = await asyncio.gather(*(self._writers[home].add(part, lane) for home, part in parts.items()))
        stored = {home: iter(each) for home, each in zip(parts, written, strict=True)}
        return [next(stored[home]) for home in homes]

    def _in_turn(self, fit: Sequence[CheckedEvent], lane: str) -> list[_Reported]:
        """Events with whether their lane has its turn; urgent ones take turns among themselves. Tests have none, and
        nobody's turn goes by them."""
        if fit and is_test(fit[0].type):  # a key reports tests alone, or none
            return [_Reported(each, False) for each in fit]
        now, is_urgent = self._engine.clock.now(), [each.type in self._engine.catalog.urgent for each in fit]
        urgent = sum(is_urgent)
        turns = {
            True: not urgent or self._urgent_turns.has_turn(lane, urgent, now),
            False: urgent == len(fit) or self._turns.has_turn(lane, len(fit) - urgent, now),
        }
        return [_Reported(each, turns[its]) for each, its in zip(fit, is_urgent, strict=True)]

    @metered(Stage.ACCEPT)
    async def _write(self, engine: Engine, batch: list[_Reported]) -> list[events.Stored]:
        first = {each.event.id: each for each in reversed(batch)}
        later = {id_ for id_, each in first.items() if not each.has_turn}
        if later and not await self._behind[engine.database.bucket].get():
            later = set()
        now = engine.clock.now()
        new = [
            self._new_event(each.event, now, LATER_AGAIN if id_ in later else SIGNAL_AGAIN)
            for id_, each in first.items()
        ]
        stored = await events.add(engine.database, new)
        types = {stored[id_].id: each.event.type for id_, each in first.items()}
        self.signal(engine, types, [stored[id_].id for id_ in later])
        return [stored[each.event.id] for each in batch]

    def _new_event(self, checked: CheckedEvent, now: int, again: int) -> events.NewEvent:
        """The row of an event; where nothing is traced, none of the context that it came with is kept."""
        if self._tracer is None and checked.trace is not None:
            checked = msgspec.structs.replace(checked, trace=None)
        return new_event(checked, now, again)


async def _is_behind(engine: Engine) -> bool:
    """Whether events of a bucket wait for long: those that are to be decided now, or any that come later."""
    looks = await open_events.looks(engine.database)
    if looks is None:
        return False
    (first, last), now = looks, engine.clock.now()
    return first < now + SIGNAL_AGAIN - BEHIND or last > now + EXPAND_AGAIN


def _home(checked: CheckedEvent) -> str:
    return home(checked.source, checked.source_id, checked.subject, msgspec.json.decode(checked.data))


def _count(candidates: Sequence[CheckedEvent | Problem], answers: Sequence[Accepted | Problem]) -> None:
    refused = Counter(answer.code for answer in answers if isinstance(answer, Problem))
    taken = Counter(
        candidate.type
        for candidate, answer in zip(candidates, answers, strict=True)
        if isinstance(candidate, CheckedEvent) and isinstance(answer, Accepted)
    )
    for code, count in refused.items():
        metrics.events_refused.labels(str(code)).inc(count)
    for type_, count in taken.items():
        metrics.events_accepted.labels(type_).inc(count)


def new_event(checked: CheckedEvent, now: int, again: int = SIGNAL_AGAIN) -> events.NewEvent:
    """The row of an event accepted now; the clock signals it after `again` unless another signal is acted on first."""
    return events.NewEvent(
        id=checked.id, source=checked.source, source_id=checked.source_id, type=checked.type, subject=checked.subject,
        occurred_at=checked.occurred_at, accepted_at=now, digest=checked.digest,
        data=with_context(checked.data, checked.trace), next_check_at=now + again,
    )  # fmt: skip


def _answer(checked: CheckedEvent, stored: events.Stored) -> Accepted | Problem:
    if stored.digest != checked.digest:
        return problem(
            40901,
            f"source {checked.source!r} already sent another event with id {checked.source_id!r}",
            "/id",
        )
    return Accepted(checked.source, checked.source_id, stored.id)
