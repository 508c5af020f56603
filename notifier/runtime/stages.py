"""What the stages of an event's way cost: CPU seconds of this process, in `/metrics`.

A stage is what its functions do: the time of the thread that runs them, step by step where they wait in between, less
that of the stages called from within. What an event loop does for nobody in particular (waking tasks, reading sockets)
is not in it, and on SQLite neither are the statements, which run in threads of their own.
"""

import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache, wraps
from itertools import count
from time import thread_time
from typing import Any, Final, Generic, ParamSpec, TypeVar

from prometheus_client import Counter

P = ParamSpec("P")
T = TypeVar("T")

cpu_seconds: Final = Counter(
    "notifier_stage_cpu_seconds_total", "CPU time by stage of an event's processing", ["stage"], registry=None
)


class Stage(StrEnum):
    """Of an event's way: taken in, decided, made a message, handed over, settled; and the database's client."""

    ACCEPT = "accept"
    DECIDE = "decide"
    RENDER = "render"
    SEND = "send"
    SETTLE = "settle"
    STORE = "store"


class _Within(threading.local):
    """CPU seconds that have gone to the stages called from within the one that runs."""

    seconds = 0.0


_within = _Within()


def metered(
    stage: Stage, *, every: int = 1
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Awaitable[T]]]:
    """Count what a coroutine function takes; of many calls, each `every`th one for all of them."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Awaitable[T]]:
        calls = count()

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
            work = function(*args, **kwargs)
            return work if next(calls) % every else _Metered(work, stage, every)

        return call

    return decorate


@contextmanager
def meter(stage: Stage) -> Iterator[None]:
    """Count the CPU time of a block of synchronous code for a stage."""
    before, began = _begin()
    try:
        yield
    finally:
        _counter(stage).inc(_end(before, began))


class _Metered(Generic[T]):
    """A coroutine that counts its steps when it is awaited."""

    def __init__(self, work: Coroutine[Any, Any, T], stage: Stage, weight: int) -> None:
        self._work = work
        self._stage = stage
        self._weight = weight

    def __await__(self) -> Generator[Any, Any, T]:
        spent, thrown = 0.0, None
        try:
            while True:
                before, began = _begin()
                try:
                    waits_for = self._work.send(None) if thrown is None else self._work.throw(thrown)
                except StopIteration as done:
                    result: T = done.value
                    return result
                finally:
                    spent += _end(before, began)
                try:
                    thrown = None
                    yield waits_for
                except BaseException as error:  # noqa: BLE001 (cancelled or closed: the coroutine's to answer)
                    thrown = error
        finally:
            _counter(self._stage).inc(spent * self._weight)


def _begin() -> tuple[float, float]:
    before, _within.seconds = _within.seconds, 0.0
    return before, thread_time()


def _end(before: float, began: float) -> float:
    took = thread_time() - began
    own, _within.seconds = took - _within.seconds, before + took
    return own


@cache
def _counter(stage: Stage) -> Counter:
    return cpu_seconds.labels(stage)
