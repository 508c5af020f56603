"""Accept: write events, signal `decide`, and only then answer.

An event is accepted once its row is committed. If only the signal fails it is accepted all the same: the clock finds
it.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from notifier import metrics
from notifier.domain.buckets import bucket_of, home
from notifier.domain.cloudevents import MAX_BATCH, CheckedEvent
from notifier.domain.errors import Problem
from notifier.domain.problems import problem
from notifier.domain.trace_context import with_context
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.pipeline.signalling import signal_undecided
from notifier.pipeline.traces import begin_accepting, end_accepting, fail_accepting
from notifier.runtime.background import once
from notifier.runtime.coalesce import Coalescer
from notifier.runtime.stages import Stage, metered
from notifier.runtime.tracing import Tracer
from notifier.store.delivery import events


class Accepted(msgspec.Struct, frozen=True, tag_field="status", tag="accepted"):
    """The answer to an event that is stored: its source, its id there, and ours. A repeat gets the same answer."""

    source: str
    id: str
    event: str


class Intake:
    """Batches concurrent callers' events into one write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writers: list[Coalescer[CheckedEvent, events.Stored]] = [
            Coalescer(partial(self._write, each), limit=MAX_BATCH) for each in engine.buckets
        ]
        self._tracer = engine.tracer
        self._signals: set[asyncio.Task[None]] = set()

    async def accept(self, candidates: Sequence[CheckedEvent | Problem], lane: str = "") -> list[Accepted | Problem]:
        """Accept events: one answer per candidate, in order; an invalid one doesn't keep the others out.

        Lanes, such as the keys that report, take turns: what one reports at once keeps no other waiting.

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

    def signal(self, engine: Engine, types: Mapping[str, str]) -> None:
        """Signal that events of a bucket wait for a decision, without making the caller wait for the broker. `types`
        are their event types by id."""
        task = once("signal", partial(signal_undecided, engine, types))
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
        if len(self._writers) == 1:
            return await self._writers[0].add(fit, lane)
        homes = [bucket_of(_home(checked), len(self._writers)) for checked in fit]
        parts: dict[int, list[CheckedEvent]] = {}
        for checked, its in zip(fit, homes, strict=True):
            parts.setdefault(its, []).append(checked)
        written = await asyncio.gather(*(self._writers[home].add(part, lane) for home, part in parts.items()))
        stored = {home: iter(each) for home, each in zip(parts, written, strict=True)}
        return [next(stored[home]) for home in homes]

    @metered(Stage.ACCEPT)
    async def _write(self, engine: Engine, batch: list[CheckedEvent]) -> list[events.Stored]:
        now = engine.clock.now()
        first = {checked.id: checked for checked in reversed(batch)}
        stored = await events.add(engine.database, [self._new_event(checked, now) for checked in first.values()])
        self.signal(engine, {stored[undated].id: checked.type for undated, checked in first.items()})
        return [stored[checked.id] for checked in batch]

    def _new_event(self, checked: CheckedEvent, now: int) -> events.NewEvent:
        """The row of an event; where nothing is traced, none of the context that it came with is kept."""
        if self._tracer is None and checked.trace is not None:
            checked = msgspec.structs.replace(checked, trace=None)
        return new_event(checked, now)


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


def new_event(checked: CheckedEvent, now: int) -> events.NewEvent:
    """The row of an event accepted now; the clock signals it unless another signal is acted on first."""
    return events.NewEvent(
        id=checked.id, source=checked.source, source_id=checked.source_id, type=checked.type, subject=checked.subject,
        occurred_at=checked.occurred_at, accepted_at=now, digest=checked.digest,
        data=with_context(checked.data, checked.trace), next_check_at=now + SIGNAL_AGAIN,
    )  # fmt: skip


def _answer(checked: CheckedEvent, stored: events.Stored) -> Accepted | Problem:
    if stored.digest != checked.digest:
        return problem(
            40901,
            f"source {checked.source!r} already sent another event with id {checked.source_id!r}",
            "/id",
        )
    return Accepted(checked.source, checked.source_id, stored.id)
