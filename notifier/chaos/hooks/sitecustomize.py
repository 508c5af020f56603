"""Faults from inside a process, as its environment says. Python imports this before anything else (see `site`).

    CHAOS_CRASH   "before notifier.store.delivery.leases.settle; …": end there as by `kill -9` when the folder
                  CHAOS_ARMED holds a file of that name; it is removed first, so that one arming is one crash
    CHAOS_POISON  "word notifier.policy.decide; …": end there each time an argument's `data` holds the word
    CHAOS_SKEW    seconds that this process's wall clock is fast; its monotonic clock is right

Functions are named by module and name, and wrapped when their module is imported.
"""

import functools
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

KILLED = 137  # the exit status of a process that `kill -9` ended, as a shell tells it


class _Wrapping(MetaPathFinder):
    """Wraps a function once its module has been executed, and before anybody has it."""

    def __init__(self, function: str, wrap: Callable[[Any], Any]) -> None:
        self._module, _, self._function = function.rpartition(".")
        self._wrap = wrap

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_wrap(module: ModuleType) -> None:
            execute(module)
            setattr(module, self._function, self._wrap(getattr(module, self._function)))

        spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]
        return spec


def _crashing(when: str, armed: Path) -> Callable[[Any], Any]:
    def crash() -> None:
        try:
            armed.unlink()
        except FileNotFoundError:
            return
        os._exit(KILLED)

    def wrap(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapped(*arguments: Any, **keywords: Any) -> Any:
            if when == "before":
                crash()
            answer = await function(*arguments, **keywords)
            if when == "after":
                crash()
            return answer

        return wrapped

    return wrap


def _poisoned(word: str) -> Callable[[Any], Any]:
    def wrap(function: Any) -> Any:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            if any(word in str(getattr(argument, "data", "")) for argument in arguments):
                os._exit(KILLED)
            return function(*arguments, **keywords)

        return wrapped

    return wrap


def _skew(seconds: float) -> None:
    true, true_ns = time.time, time.time_ns
    time.time = lambda: true() + seconds
    time.time_ns = lambda: true_ns() + round(seconds * 1e9)


def _orders(variable: str) -> Iterator[tuple[str, str, str]]:
    """Each order of a variable: as a whole, its first word, and the function."""
    for order in filter(None, os.environ.get(variable, "").split("; ")):
        word, _, function = order.partition(" ")
        yield order, word, function


for _order, _when, _function in _orders("CHAOS_CRASH"):
    sys.meta_path.insert(0, _Wrapping(_function, _crashing(_when, Path(os.environ["CHAOS_ARMED"], _order))))
for _, _word, _function in _orders("CHAOS_POISON"):
    sys.meta_path.insert(0, _Wrapping(_function, _poisoned(_word)))
if seconds := os.environ.get("CHAOS_SKEW"):
    _skew(float(seconds))
