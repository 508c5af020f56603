"""Campaigns: one that too many people complain of, or whose mails come back, is paused until a person has looked at it.

Its mails are counted as the log of changes is, so nothing is scanned. Claims see the pause: what is still to be sent is
put off to an instant that never comes, and costs nothing there. Once a person has lifted the pause, or ended the
campaign, the clock makes it due, some at a time.
"""

from typing import Final

import structlog

from notifier import metrics
from notifier.domain.campaigns import CampaignState, fault
from notifier.domain.clock import SECOND
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.engine import Engine
from notifier.store.delivery import campaigns
from notifier.store.delivery.campaigns import DueCampaign

AT_ONCE: Final = 100
"""Campaigns that are looked at in one round."""
FORWARDED: Final = 2_000
"""Deliveries that are made due in one transaction."""
LATE: Final = 2 * LEASE + SECOND
"""Milliseconds after which no worker still puts off a delivery that it claimed while its campaign was paused."""

HANDLED: Final = (CampaignState.LIFTED, CampaignState.ENDED)

log = structlog.get_logger(__name__)


async def look(engine: Engine) -> bool:
    """Pause campaigns that are to be, and make due what may go on after a pause; whether there is more to do."""
    now = engine.clock.now()
    found = await campaigns.due(engine.database, now, AT_ONCE)
    await _judge(engine, [each for each in found if each.state == CampaignState.RUNNING], now)
    busy = [await _go_on(engine, each, now) for each in found if each.state in HANDLED]
    return any(busy) or len(found) == AT_ONCE


async def _judge(engine: Engine, counted: list[DueCampaign], now: int) -> None:
    if not counted:
        return
    totals = await campaigns.totals(engine.whole.database, [each.event_id for each in counted])
    faults = {id_: reason for id_, counts in totals.items() if (reason := fault(counts)) is not None}
    paused = await campaigns.pause(engine.whole.database, faults, now) if faults else 0
    for id_, reason in faults.items() if paused else ():  # another clock has been quicker
        counts = totals[id_]
        log.error(
            "campaign.paused", id=id_, reason=reason, sent=counts.sent, undelivered=counts.undelivered,
            complained=counts.complained,
        )  # fmt: skip
        metrics.campaigns_paused.labels(reason).inc()
    await campaigns.looked_at(engine.database, [each for each in counted if each.event_id not in faults], None)


async def _go_on(engine: Engine, handled: DueCampaign, now: int) -> bool:
    """Make due what was put off, some at a time; whether there may be more."""
    pause = handled.pause
    if pause is not None and await campaigns.bring_forward(engine.database, pause, now, FORWARDED) == FORWARDED:
        return True
    late = 0 if pause is None or pause.handled_at is None else pause.handled_at + LATE
    await campaigns.looked_at(engine.database, [handled], late if late > now else None)
    return False
