"""What people and services do to a subscription by hand: pause it, resume it, have it told again."""

from typing import Any, Final

from notifier.domain.changes import Place
from notifier.domain.subscriptions import Subscription
from notifier.pipeline.engine import Engine
from notifier.store.console import subscriptions
from notifier.store.reading import changes as log
from notifier.store.reading.changes import PastRetention

_RESUMED: Final = {"paused": None, "paused_at": None, "failures": 0, "failing_since": None}


async def pause(engine: Engine, id_: str, actor: str) -> Subscription | None:
    """Pause a subscription until it is resumed; None where there is none."""
    now = engine.clock.now()

    def paused(held: Subscription) -> dict[str, Any]:
        return {} if held.paused else {"paused": "by_hand", "paused_at": now}

    return await subscriptions.change(engine.whole.database, id_, paused, now, actor, "paused")


async def resume(engine: Engine, id_: str, actor: str) -> Subscription | None:
    """Resume a subscription where it was paused, and have it tried at once; None where there is none. Raises
    PastRetention where its next changes are not kept any more."""
    database = engine.whole.database
    held = await subscriptions.get(database, id_)
    if held is not None:
        await check(engine, held.place)
    return await subscriptions.change(database, id_, lambda _held: _RESUMED, engine.clock.now(), actor, "resumed")


async def replay(engine: Engine, id_: str, place: Place, actor: str) -> Subscription | None:
    """Tell a subscription again all that came after a place, and resume it; None where there is none."""
    changed = {**_RESUMED, "place": place, "until": None}
    return await subscriptions.change(
        engine.whole.database, id_, lambda _held: changed, engine.clock.now(), actor, "replayed"
    )  # fmt: skip


async def check(engine: Engine, place: Place) -> None:
    """Raise PastRetention where the changes behind a place are not kept any more."""
    oldest = await log.oldest(engine.whole.database)
    if any(at < first for at, first in zip(place, oldest, strict=True)):
        raise PastRetention
