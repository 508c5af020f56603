"""Deliver: claim a batch, look again at what can have changed, render, send all at once, settle as answers come in."""

import asyncio
import secrets
from collections.abc import Sequence
from random import SystemRandom

import msgspec
import structlog

from notifier import metrics, policy
from notifier.catalog import NotificationType
from notifier.clock import SECOND
from notifier.deliveries import Channel, Reason, State, check_moves
from notifier.errors import RenderError, SendError
from notifier.messages import (
    Device,
    EmailContent,
    EmailMessage,
    PushContent,
    PushMessage,
    Receipt,
    SmsContent,
    SmsMessage,
)  # fmt: skip
from notifier.pipeline.engine import LEASE, WorkerEngine
from notifier.pipeline.settle import Ended, attempt, lost_device, settle
from notifier.store import deliveries
from notifier.store.deliveries import Claimed

SETTLE_EVERY = 0.2  # seconds: a slow answer keeps the quick ones' outcomes unwritten no longer than this

log = structlog.get_logger(__name__)
_random = SystemRandom()


class _Tried(msgspec.Struct):
    """A claimed delivery and what came of it."""

    claimed: Claimed
    outcome: Receipt | SendError | Ended
    locale: str | None
    started_at: int
    ended_at: int


async def deliver(engine: WorkerEngine, channel: Channel, ids: Sequence[str]) -> int:
    """Send those of the deliveries that are pending and due; how many there were.

    A second call with the same ids finds nothing to claim, so a signal may come as often as it likes.
    """
    token = secrets.token_hex(16)
    now = engine.clock.now()
    claimed = await deliveries.claim(engine.database, ids, token, now, now + LEASE)
    under_way = {asyncio.create_task(_try(engine, channel, each)) for each in claimed}
    while under_way:
        done, under_way = await asyncio.wait(under_way, timeout=SETTLE_EVERY, return_when=asyncio.ALL_COMPLETED)
        if done:
            await _settle(engine, channel, token, [task.result() for task in done])
    return len(claimed)


async def _try(engine: WorkerEngine, channel: Channel, claimed: Claimed) -> _Tried:
    started_at = engine.clock.now()
    tried = _Tried(claimed, Ended(State.FAILED, Reason.RENDER_FAILED), None, started_at, started_at)
    ended = _look_again(engine.catalog.types.get(claimed.type), claimed, started_at)
    if ended is not None:
        tried.outcome = ended
        return tried
    address = _address(claimed)
    if address is None:
        tried.outcome = Ended(State.SUPPRESSED, Reason.NO_ADDRESS)
        return tried
    try:
        message, tried.locale = _message(engine, channel, claimed, address, started_at)
    except RenderError as error:
        log.error("deliver.render_failed", delivery=claimed.id, type=claimed.type, detail=str(error))
        return tried
    try:
        tried.outcome = await engine.transports[channel].send(message)
    except SendError as error:
        tried.outcome = error
    tried.ended_at = engine.clock.now()
    return tried


def _look_again(kind: NotificationType | None, claimed: Claimed, now: int) -> Ended | None:
    if kind is None:
        return Ended(State.CANCELLED, Reason.TYPE_GONE)
    if claimed.expires_at <= now:
        return Ended(State.EXPIRED, Reason.EXPIRED)
    if claimed.superseded_until is not None and claimed.occurred_at <= claimed.superseded_until:
        state = claimed.superseded_reason or State.SUPERSEDED
        return Ended(state, state.value)
    if not claimed.known:
        return Ended(State.CANCELLED, Reason.RECIPIENT_GONE)
    switches = msgspec.json.decode(claimed.switches or "{}", type=dict[str, dict[str, bool]])
    if kind.class_ != "security" and not switches.get(kind.category, {}).get(claimed.channel, True):
        return Ended(State.SUPPRESSED, Reason.SWITCHED_OFF)
    return None


def _address(claimed: Claimed) -> Device | str | None:
    """Where it goes, as of now: the device, number or mailbox may have changed since the decision."""
    match claimed.channel:
        case Channel.PUSH if claimed.device_kind and claimed.device_value and claimed.device_platform:
            return Device(kind=claimed.device_kind, value=claimed.device_value, platform=claimed.device_platform)
        case Channel.SMS:
            return claimed.phone
        case Channel.EMAIL:
            return claimed.email
        case _:
            return None


def _message(
    engine: WorkerEngine, channel: Channel, claimed: Claimed, address: Device | str, now: int
) -> tuple[PushMessage | SmsMessage | EmailMessage, str]:
    """The message as it goes to the provider, and the locale of its texts."""
    kind = engine.catalog.types[claimed.type]
    data = msgspec.json.decode(claimed.data)
    rendered = engine.renderer.render(
        kind.id, channel, locale=claimed.locale or "en", time_zone=claimed.time_zone or "UTC", data=data
    )
    left = max((claimed.expires_at - now) // SECOND, 1)
    message: PushMessage | SmsMessage | EmailMessage
    match address, rendered.content:
        case Device(), PushContent() as content:
            message = PushMessage(
                reference=claimed.id, device=address, content=content, notification_type=kind.id, time_to_live=left,
                collapse_key=policy.sameness(kind, data), urgency=kind.urgency,
            )  # fmt: skip
        case str(), SmsContent() as content:
            message = SmsMessage(reference=claimed.id, to=address, content=content, time_to_live=left)
        case str(), EmailContent() as content:
            message = EmailMessage(reference=claimed.id, to=address, to_name=claimed.name, content=content)
        case _:
            raise RenderError(f"{kind.id} rendered something else than {channel} takes")
    return message, rendered.locale


async def _settle(engine: WorkerEngine, channel: Channel, token: str, tried: list[_Tried]) -> None:
    now = engine.clock.now()
    settled = [settle(each.claimed, each.outcome, each.locale, now, _random) for each in tried]
    check_moves((State.SENDING, each.state) for each in settled)
    attempts = [
        attempt(each.claimed, each.outcome, each.started_at, each.ended_at)
        for each in tried
        if not isinstance(each.outcome, Ended)
    ]
    gone = [device for each in tried if (device := lost_device(each.claimed, each.outcome)) is not None]
    recorded = await deliveries.settle(engine.database, token, settled, attempts, gone, now)
    if recorded != len(settled):
        metrics.leases_lost.inc(len(settled) - recorded)
        log.warning("deliver.lease_lost", channel=channel, deliveries=len(settled) - recorded)
    for each, row in zip(tried, settled, strict=True):
        metrics.settled.labels(channel, row.state, row.reason or "").inc()
        if isinstance(each.outcome, Ended):
            continue
        seconds = (each.ended_at - each.started_at) / 1000
        metrics.provider_seconds.labels(channel, row.reason or row.state).observe(seconds)
        if row.state == State.SENT:
            metrics.handoff_seconds.labels(channel).observe((each.ended_at - each.claimed.accepted_at) / 1000)
