"""The pump: hands the changes of a subscription to its endpoint, a batch after the other, and moves on after each.

A subscription is a row with a due time, claimed under a lease: of several workers one sends, and one that stood still
past its lease sends nothing more (`providers.fence`). Its place moves after an answer of 2xx only, so each change is
told at least once, and those of one delivery in their order.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from random import Random, SystemRandom
from typing import Any, Final

import msgspec
import structlog

from notifier import metrics
from notifier.changes import views
from notifier.changes.owners import Owners
from notifier.changes.views import BatchData, ChangeFilter, ChangesBatch, Page
from notifier.domain.clock import SECOND, Clock
from notifier.domain.errors import SendError
from notifier.domain.keys import ApiKey, Bounds
from notifier.domain.standard_webhooks import signed_headers
from notifier.domain.subscriptions import (
    BATCH,
    GIVE_UP,
    LONGEST_WAIT,
    MAX_BODY,
    Paused,
    Subscription,
    batch_id,
    may_write,
    wait,
)
from notifier.pipeline.engine import Engine
from notifier.providers.destinations import nets
from notifier.providers.fence import leased
from notifier.providers.guarded_client import GuardedClient
from notifier.providers.http import retry_after
from notifier.runtime.settings import Settings
from notifier.store.console import keys, subscriptions
from notifier.store.core.database import Database
from notifier.store.reading.changes import PastRetention

LEASE: Final = 30 * SECOND
"""Milliseconds for which a subscription is held: one batch, read and sent."""
TURN: Final = 20 * SECOND
"""Milliseconds after which a subscription with more to tell gives others their turn."""
AGAIN: Final = SECOND
"""Milliseconds until a subscription that has been told all is looked at again."""
HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "notifier"}

log = structlog.get_logger(__name__)


async def open_pump(engine: Engine, settings: Settings) -> "Pump":
    """Open the pump of a worker on its loop; it is closed with the engine."""
    permitted = nets(settings.channels)
    http = GuardedClient("subscription", HEADERS, permitted=permitted, proxies=settings.proxies())
    engine.opened.push_async_callback(http.close)
    owners = Owners(engine)
    engine.opened.push_async_callback(owners.close)
    return Pump(engine.database, engine.clock, http, owners.tell)


class Failed(Exception):
    """A batch was not taken: by what answer, and the seconds that it asks to wait."""

    def __init__(self, answer: str, wait: float | None) -> None:
        super().__init__(answer)
        self.answer = answer
        self.wait = wait


class Pump:
    """Tells subscribers; `http` asks no address that a stranger may not name, and `tell_owner` is called with each
    subscription that is paused."""

    def __init__(
        self, database: Database, clock: Clock, http: GuardedClient,
        tell_owner: Callable[[Subscription], Awaitable[None]], random: Random | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._clock = clock
        self._http = http
        self._tell_owner = tell_owner
        self._random = random or SystemRandom()
        self.stopping = False

    async def tell(self, ids: Sequence[str]) -> None:
        """Tell those of these subscriptions that are due and that nobody else is telling."""
        await asyncio.gather(*(self._tell(id_) for id_ in dict.fromkeys(ids)))

    async def _tell(self, id_: str) -> None:
        token, began = secrets.token_hex(16), self._clock.now()
        held = await subscriptions.claim(self._database, id_, token, began, began + LEASE)
        if held is None:
            return
        key = await self._key(held.key_id)
        if key is None:
            await self._pause(held, token, "key_lost")
            return
        own = held.details
        wanted = ChangeFilter(
            states=frozenset(own.states), bounds=(key.bounds, Bounds(sources=own.sources, types=own.types))
        )
        going_on: Subscription | None = held
        while going_on is not None:
            going_on = await self._next(going_on, token, wanted, began)

    async def _next(self, held: Subscription, token: str, wanted: ChangeFilter, began: int) -> Subscription | None:
        """Send the next batch; returns the subscription as it is then, None where its turn is over."""
        with leased(LEASE / SECOND):
            try:
                page, body = await self._batch(held, wanted)
            except PastRetention:
                await self._pause(held, token, "past_retention")
                return None
            try:
                answer = await self._send(held, page, body) if page.changes else None
            except Failed as failed:
                await self._fail(held, token, failed, page)
                return None
        now = self._clock.now()
        more = page.more or held.until is not None
        goes_on = more and not self.stopping and now - began < TURN
        told: dict[str, Any] = {"place": page.end, "until": None, "failures": 0, "failing_since": None}
        if answer is not None:
            told |= {"answer": answer, "answered_at": now}
        due_at = now + LEASE if goes_on else now if more else now + AGAIN
        kept = await subscriptions.move_on(self._database, held.id, token, due_at, held=goes_on, **told)
        return msgspec.structs.replace(held, **told) if kept and goes_on else None

    async def _batch(self, held: Subscription, wanted: ChangeFilter) -> tuple[Page, bytes]:
        """The next changes and the body that tells them, as many as a body may hold."""
        limit = BATCH
        while True:
            page = await views.find(self._database, wanted, held.place, limit, held.until)
            body = _encode(held, page)
            if len(body) <= MAX_BODY or limit == 1:
                return page, body
            limit = max(min(limit, len(page.changes)) // 2, 1)

    async def _send(self, held: Subscription, page: Page, body: bytes) -> str:
        """The endpoint's answer, where it is one of 2xx. Raises Failed."""
        now = self._clock.now()
        id_ = batch_id(held.id, page.changes[0].id, page.changes[-1].id)
        headers = signed_headers(held.keys(now), id_, now, body)
        try:
            answer = await self._http.post(held.details.url, body, headers)
        except SendError as error:
            metrics.batches.labels("failed").inc()
            raise Failed(error.code, error.retry_after) from None
        if 200 <= answer.status < 300:
            metrics.batches.labels("taken").inc()
            metrics.changes_told.inc(len(page.changes))
            return str(answer.status)
        metrics.batches.labels("failed").inc()
        raise Failed(str(answer.status), retry_after(answer.headers, now))

    async def _fail(self, held: Subscription, token: str, failed: Failed, page: Page) -> None:
        now = self._clock.now()
        since = held.failing_since or now
        told = {
            "failures": held.failures + 1, "failing_since": since, "answer": failed.answer, "answered_at": now,
            "until": page.end,
        }  # fmt: skip
        if failed.answer == "410":
            await self._pause(held, token, "gone", **told)
        elif now - since >= GIVE_UP:
            await self._pause(held, token, "failing", **told)
        else:
            asked = min(round((failed.wait or 0) * SECOND), LONGEST_WAIT)
            pause = max(wait(held.failures + 1, self._random), asked)
            await subscriptions.move_on(self._database, held.id, token, now + pause, held=False, **told)
            log.info("changes.not_taken", subscription=held.id, answer=failed.answer, failures=held.failures + 1)

    async def _pause(self, held: Subscription, token: str, why: Paused, **told: Any) -> None:
        now = self._clock.now()
        if await subscriptions.pause(self._database, held.id, token, now, paused=why, **told):
            log.warning("changes.paused", subscription=held.id, reason=why)
            await self._tell_owner(msgspec.structs.replace(held, paused=why, paused_at=now, **told))

    async def _key(self, id_: str) -> ApiKey | None:
        """The key of a subscription, or another of its line; None where none may subscribe any more."""
        now = self._clock.now()
        return next((key for key in await keys.line(self._database, id_) if may_write(key, now)), None)


def _encode(held: Subscription, page: Page) -> bytes:
    if not page.changes:
        return b""
    data = BatchData(subscription=held.id, changes=page.changes)
    return msgspec.json.encode(ChangesBatch(timestamp=page.changes[-1].at, data=data))
