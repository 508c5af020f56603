"""Where processes keep shared state, and under which name: in Redis where that is the broker, else in the database."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from notifier.broker import broker_address
from notifier.domain.clock import Clock
from notifier.providers.pacing import Bucket
from notifier.providers.shared import Kept, Taken
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import RedisUrl
from notifier.runtime.settings import Settings
from notifier.store.core import secrets
from notifier.store.core.database import Database
from notifier.store.delivery import providers
from notifier.store.delivery.providers import SharedProviderState

LETTERS: Final = 12
"""Hex digits of a generated namespace: among a thousand installations two collide once in 500 million cases."""


async def open_namespace(settings: Settings, database: Database) -> str:
    """The prefix of this installation's keys and queues in a broker: the same for all processes on one database, and
    different from any other installation's."""
    name = settings.namespace or (await secrets.get(database, "namespace")).hex()[:LETTERS]
    return f"{broker_address(settings.broker_url).prefix}:{name}"


def keeper(settings: Settings, namespace: str, database: Database, clock: Clock) -> Callable[[], Kept]:
    """A function that opens the shared provider state, in Redis or the database."""
    url = broker_address(settings.broker_url)
    if isinstance(url, RedisUrl):
        return lambda: InRedis(url, namespace)
    return lambda: InDatabase(database, clock)


class InDatabase:
    """`Kept` in the database: a short transaction for all concurrent requests, or a read where there is no rate."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(
        self, key: str, rate: float, ramps: bool, ahead: float, asked: Sequence[tuple[float, float]]
    ) -> Taken:
        def give(known: SharedProviderState) -> tuple[SharedProviderState, Taken]:
            now = self._clock.now()
            if known.rests_until > now:
                return known, Taken(known.rests_until - now, known.tripped, [0.0] * len(asked))
            bucket = Bucket(ramps=ramps, spoken_for=known.spoken_for, began=known.began)
            if ahead:
                bucket.promise(now + ahead)
            slots = [bucket.take(now, rate, cost, patience) for cost, patience in asked] if rate else []
            waits = [wait if taken else -wait for taken, wait in slots] or [0.0] * len(asked)
            after = msgspec.structs.replace(known, spoken_for=bucket.spoken_for, began=bucket.began)
            return after, Taken(0.0, tripped=False, waits=waits)

        if rate:
            return await providers.change(self._database, key, give)
        _, taken = give(await providers.read(self._database, key))
        return taken

    async def rest(self, key: str, milliseconds: int, *, tripped: bool) -> None:
        def lengthen(known: SharedProviderState) -> tuple[SharedProviderState, None]:
            until = self._clock.now() + milliseconds
            if until <= known.rests_until:
                return known, None
            return msgspec.structs.replace(known, rests_until=until, tripped=tripped), None

        await providers.change(self._database, key, lengthen)

    async def close(self) -> None:
        """Do nothing: whoever opened the database closes it."""
