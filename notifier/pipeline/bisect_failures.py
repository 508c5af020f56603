"""A batch that fails as a whole because of a few of its items."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from notifier.domain.errors import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")


async def bisect_failures(
    work: Callable[[Sequence[T]], Awaitable[R]], items: Sequence[T]
) -> list[tuple[Sequence[T], R | Exception]]:
    """What `work` makes of the items, part by part and in their order: a part that fails is halved until what is at
    fault stands alone, and has its error. Raises StoreUnavailable, which would meet every part."""
    try:
        return [(items, await work(items))]
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 (the caller tells of it)
        if len(items) == 1:
            return [(items, error)]
    middle = len(items) // 2
    return [*await bisect_failures(work, items[:middle]), *await bisect_failures(work, items[middle:])]
