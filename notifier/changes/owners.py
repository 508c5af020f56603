"""Owners of subscriptions hear that one was paused as anybody hears of anything: by an event, which the pipeline
decides."""

from typing import Final
from urllib.parse import urlsplit

import structlog

from notifier.domain.clock import to_datetime
from notifier.domain.cloudevents import CheckedEvent, EventReader
from notifier.domain.errors import Problem, StoreUnavailable
from notifier.domain.subscriptions import Subscription
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine
from notifier.store.console import keys

PAUSED: Final = "subscription.paused"
"""The type of the event. Where no notification type listens to it nobody is told."""
SOURCE: Final = "notifier"
"""The source of events that are our own."""

log = structlog.get_logger(__name__)


class Owners:
    """Reports paused subscriptions to the teams that own them."""

    def __init__(self, engine: Engine) -> None:
        self._database = engine.database
        self._is_heard = PAUSED in engine.catalog.event_types
        self._reader = EventReader(engine.catalog)
        self._intake = Intake(engine)

    async def tell(self, paused: Subscription) -> None:
        """Report that a subscription was paused, once for each time; nothing where it has no owner. A test key's is
        reported as a test, which reaches nobody."""
        if not paused.details.owner or not self._is_heard:
            return
        try:
            made, key = self._event(paused), await keys.find(self._database, paused.key_id)
            (answer,) = await self._intake.accept([made.as_test() if key is not None and key.test else made])
            if isinstance(answer, Problem):
                raise answer
        except (Problem, StoreUnavailable) as error:
            log.warning("changes.owner_not_told", subscription=paused.id, error=type(error).__name__)

    async def close(self) -> None:
        """Wait until what was reported is signalled."""
        await self._intake.close()

    def _event(self, paused: Subscription) -> CheckedEvent:
        at = paused.paused_at or 0
        data = {
            "team": paused.details.owner, "subscription": paused.id, "endpoint": urlsplit(paused.details.url).hostname,
            "reason": paused.paused, "answer": paused.answer, "paused_at": to_datetime(at),
        }  # fmt: skip
        return self._reader.made(PAUSED, SOURCE, f"{paused.id}/{at}", paused.id, at, data)
