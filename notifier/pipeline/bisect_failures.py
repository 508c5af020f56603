"""Isolating the items that make a batch fail."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from notifier.domain.errors import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")


async def bisect_failures(
    work: Callable[[Sequence[T]], Awaitable[R]], items: Sequence[T]
) -> list[tuple[Sequence[T], R | Exception]]:
    """Apply `work` to the items, in order: a failing part is halved until each faulty item stands alone, with its
    error. Raises StoreUnavailable, which would hit every part."""
    try:
        return [(items, await work(items))]
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 (the caller tells of it)
        if len(items) == 1:
            return [(items, error)]
    middle = len(items) // 2
    return [*await bisect_failures(work, items[:middle]), *await bisect_failures(work, items[middle:])]
