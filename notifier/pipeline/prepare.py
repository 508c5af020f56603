"""The last look before a message goes out, and the message itself: pure, from what was loaded."""

import msgspec

from notifier import policy
from notifier.catalog import Catalog, NotificationType
from notifier.clock import SECOND
from notifier.deliveries import Channel, Reason, State
from notifier.errors import RenderError
from notifier.messages import (
    Device,
    EmailContent,
    EmailMessage,
    PushContent,
    PushMessage,
    SmsContent,
    SmsMessage,
)
from notifier.pipeline.settle import Ended
from notifier.rendering import Renderer
from notifier.store.deliveries import Ready, Supersession

Message = PushMessage | SmsMessage | EmailMessage


class Prepared(msgspec.Struct, frozen=True):
    """A delivery ready to go: its message and the locale of its texts, or how it ends unsent."""

    ready: Ready
    message: Message | Ended
    locale: str | None = None


def prepare(catalog: Catalog, renderer: Renderer, ready: Ready, now: int) -> Prepared:
    """Look again at what can have changed since the decision, then render.

    Raises RenderError and nothing else, whatever a row holds that another version wrote: one that can't be read keeps
    no other of its batch back.
    """
    try:
        return _prepare(catalog, renderer, ready, now)
    except RenderError:
        raise
    except Exception as error:
        raise RenderError(f"{ready.type}: {type(error).__name__} in its data or texts") from error


def _prepare(catalog: Catalog, renderer: Renderer, ready: Ready, now: int) -> Prepared:
    kind = catalog.types.get(ready.type)
    if kind is None:
        return Prepared(ready, Ended(State.CANCELLED, Reason.TYPE_GONE))
    if ready.expires_at <= now:
        return Prepared(ready, Ended(State.EXPIRED, Reason.EXPIRED))
    if not ready.known:
        return Prepared(ready, Ended(State.CANCELLED, Reason.RECIPIENT_GONE))
    switches = msgspec.json.decode(ready.switches or "{}", type=dict[str, dict[str, bool]])
    if kind.class_ != "security" and not switches.get(kind.category, {}).get(ready.channel, True):
        return Prepared(ready, Ended(State.SUPPRESSED, Reason.SWITCHED_OFF))
    address = _address(ready)
    if address is None:
        return Prepared(ready, Ended(State.SUPPRESSED, Reason.NO_ADDRESS))
    if ready.suppressed is not None:
        return Prepared(ready, Ended(State.SUPPRESSED, ready.suppressed))
    return _render(renderer, kind, ready, address, now)


def superseded(ready: Ready, mark: Supersession | None) -> Ended | None:
    """How a delivery ends that an event has made untrue meanwhile."""
    return Ended(mark.reason, mark.reason.value) if mark is not None and ready.starts_at <= mark.until else None


def _address(ready: Ready) -> Device | str | None:
    """Where it goes, as of now: the device, number or mailbox may have changed since the decision."""
    match ready.channel:
        case Channel.PUSH if ready.device_kind and ready.device_value and ready.device_platform:
            return Device(kind=ready.device_kind, value=ready.device_value, platform=ready.device_platform)
        case Channel.SMS:
            return ready.phone
        case Channel.EMAIL:
            return ready.email
        case _:
            return None


def _render(renderer: Renderer, kind: NotificationType, ready: Ready, address: Device | str, now: int) -> Prepared:
    data = msgspec.json.decode(ready.data)
    rendered = renderer.render(
        kind.id, ready.channel, locale=ready.locale or "en", time_zone=ready.time_zone or "UTC", data=data
    )
    left = max((ready.expires_at - now) // SECOND, 1)
    message: Message
    match address, rendered.content:
        case Device(), PushContent() as content:
            message = PushMessage(
                reference=ready.id, device=address, content=content, notification_type=kind.id, time_to_live=left,
                collapse_key=policy.sameness(kind, data), urgency=kind.urgency,
            )  # fmt: skip
        case str(), SmsContent() as content:
            message = SmsMessage(
                reference=ready.id, to=address, content=content, time_to_live=left, urgency=kind.urgency
            )
        case str(), EmailContent() as content:
            message = EmailMessage(
                reference=ready.id, to=address, to_name=ready.name, content=content, urgency=kind.urgency
            )
        case _:
            raise RenderError(f"{kind.id} rendered something else than {ready.channel} takes")
    return Prepared(ready, message, rendered.locale)
