"""The last check before a message goes out, and its rendering: pure, from the loaded delivery."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache, partial
from typing import Any

import msgspec

from notifier import policy
from notifier.domain import channels
from notifier.domain.campaigns import CampaignState
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.channels import Envelope
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import Reason, State
from notifier.domain.errors import RenderError
from notifier.domain.experiments import NONE, Running
from notifier.domain.links import Links
from notifier.domain.messages import Message, content_hash
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.twins import plain
from notifier.pipeline.settle import NOT_RENDERED, RenderRecord, Unsent
from notifier.policy import Case, Verdict, may_switch
from notifier.rendering import Renderer
from notifier.rendering.writing import writing
from notifier.store.delivery.deliveries import Ready
from notifier.store.delivery.heard import Heard


class Prepared(msgspec.Struct, frozen=True):
    """A delivery ready to go: its message and what explains its words, or how it ends unsent. `segments` are those by
    which the message is paid; None where nothing is."""

    ready: Ready
    message: Message | Unsent
    words: RenderRecord = NOT_RENDERED
    segments: int | None = None


def prepare(
    catalog: Catalog, renderer: Renderer, links: Links, ready: Ready, now: int, running: Running = NONE
) -> Prepared:
    """Check again whatever can have changed since the decision, then render.

    Raises RenderError and nothing else, whatever a row holds that another version wrote: one that can't be read keeps
    no other of its batch back.
    """
    try:
        return _prepare(catalog, renderer, links, ready, now, running)
    except RenderError:
        raise
    except Exception as error:
        raise RenderError(f"{ready.type}: {type(error).__name__} in its data or texts") from error


def _prepare(catalog: Catalog, renderer: Renderer, links: Links, ready: Ready, now: int, running: Running) -> Prepared:
    kind = catalog.with_twins.get(ready.type)
    if kind is None:
        return Prepared(ready, Unsent(State.CANCELLED, Reason.TYPE_GONE))
    data = ready.data
    if data is None:
        raise RenderError(f"{ready.type}: the event's data can't be read")
    if ready.pause is not None:
        ready = msgspec.structs.replace(ready, expires_at=ready.expires_at + ready.pause.lasted(ready.created_at))
    if ready.digest_items is None and (useless_from := policy.useless_from(kind, data)) < ready.expires_at:
        # A redrive has its own time to live, but is no longer of use than its event.
        ready = msgspec.structs.replace(ready, expires_at=useless_from)
    if (ended := _ended(kind, ready, now)) is not None:
        return Prepared(ready, ended)
    if ready.facts is None:
        return Prepared(ready, Unsent(State.CANCELLED, Reason.RECIPIENT_GONE))
    case = Case(
        kind=kind, channel=ready.channel, facts=ready.facts, expires_at=ready.expires_at, at=now,
        regulation=catalog.regulation, counted=False,
    )  # fmt: skip
    verdict = policy.judge(case)
    if verdict.action != "send":
        return Prepared(ready, _held_back(verdict))
    closes = sorted(closed_by(catalog, ready)) if kind.closes else ()
    version = running.version(ready.variant)
    return _render(renderer, links, kind, ready, ready.facts, data, closes, now, version)


def _ended(kind: NotificationType, ready: Ready, now: int) -> Unsent | None:
    """The outcome of a delivery that is no longer of use; None while it is."""
    if ready.supersession is not None and ready.starts_at <= ready.supersession.until:
        return Unsent(ready.supersession.state, ready.supersession.reason)
    if ready.pause is not None and ready.pause.state == CampaignState.ENDED:
        return Unsent(State.CANCELLED, Reason.CAMPAIGN_ENDED)
    if ready.pause is not None and ready.pause.state == CampaignState.PAUSED:
        return Unsent(State.PENDING, Reason.CAMPAIGN_PAUSED, ready.pause.until)
    if ready.digest_items == ():
        return Unsent(State.SUPPRESSED, Reason.NOTHING_LEFT)
    if ready.expires_at <= now:
        return Unsent(State.EXPIRED, Reason.EXPIRED)
    if ready.reached:
        return Unsent(State.SUPPRESSED, Reason.REACHED)
    if kind.closes and not ready.told:
        return Unsent(State.SUPPRESSED, Reason.NOT_TOLD)
    return None


def closed_by(catalog: Catalog, ready: Ready) -> set[str]:
    """The subjects that a delivery reports as over; empty where it closes nothing."""
    kind = catalog.with_twins.get(ready.type)
    if kind is None or ready.data is None:
        return set()
    try:
        return {policy.subject_key(catalog.with_twins[other], ready.data) for other in kind.closes}
    except (LookupError, TypeError):
        return set()  # `prepare` finds out


def is_open(ready: Ready, closes: Collection[str], heard: Iterable[Heard]) -> bool:
    """Whether a delivery's recipient has heard of the subject that it closes, and no earlier delivery has closed it
    since. Deliveries of the same event say the same, on another channel or device, and don't count.
    """
    mine = [each for each in heard if each.recipient_id == ready.recipient_id]
    since = max((each.created_at for each in mine if each.subject_key in closes), default=None)
    before = (ready.created_at, ready.id)
    others = (each for each in mine if each.event_id != ready.event_id)
    closed = [e.created_at for e in others if e.subject_key == ready.subject_key and (e.created_at, e.id) < before]
    return since is not None and all(at < since for at in closed)


def _held_back(verdict: Verdict) -> Unsent:
    """The outcome, or the later due time, of a delivery that the rules don't allow now."""
    reason = verdict.reason or Reason.EXPIRED
    match verdict.action:
        case "hold":
            return Unsent(State.PENDING, reason, verdict.until)
        case "expire":
            return Unsent(State.EXPIRED, reason)
        case _:
            return Unsent(State.SUPPRESSED, reason)


def unsubscribe_urls(
    links: Links, kind: NotificationType, ready: Ready, facts: RecipientFacts
) -> tuple[str | None, str | None]:
    """The unsubscribe links of a message's category, in its words and beside them; None where they would do nothing."""
    if not channels.spec(ready.channel).unsubscribes or not may_switch(kind, ready.channel, facts):
        return None, None
    of = ready.recipient_id, kind.category, ready.channel
    return links.unsubscribe_url(*of), links.unsubscribe_url(*of, ready.id)


def _render(
    renderer: Renderer, links: Links, kind: NotificationType, ready: Ready, facts: RecipientFacts, data: dict[str, Any],
    closes: Sequence[str], now: int, version: int | None,
) -> Prepared:  # fmt: skip
    unsubscribe, own = unsubscribe_urls(links, kind, ready, facts)
    if ready.digest_items is None:
        rendered = renderer.render(
            plain(kind.id), ready.channel, data=data, event_id=ready.event_id, locale=facts.language,
            time_zone=facts.zone, unsubscribe_url=unsubscribe,
            version=renderer.known_version(plain(kind.id), version),
        )  # fmt: skip
    else:
        items = [msgspec.json.decode(item) for item in ready.digest_items]
        rendered = renderer.render_digest(
            plain(kind.id), items, locale=facts.language, time_zone=facts.zone, unsubscribe_url=unsubscribe
        )
    envelope = Envelope(
        reference=ready.id, recipient_id=ready.recipient_id, notification_type=plain(kind.id),
        occurred_at=ready.occurred_at, collapse_key=policy.collapse_key(kind, data), subject=str(data[kind.about]),
        subject_key=ready.subject_key, closes=closes,
        time_to_live=max((ready.expires_at - now) // SECOND, 1), urgency=kind.urgency, unsubscribe_url=own,
        data=data,
    )  # fmt: skip
    content, spec = rendered.content, channels.spec(ready.channel)
    if kind.clicks and spec.lead is not None:
        # Here, and not as the texts are rendered: the hash is of the words, which `explain` renders with no such links.
        content = spec.lead(content, cache(partial(links.click_url, ready.id)))
    message = spec.make_message(envelope, ready.reach, content)
    if message is None:
        raise RenderError(f"{kind.id}: the recipient no longer has an address for {ready.channel}")
    words = RenderRecord(rendered.locale, facts.zone, content_hash(rendered.content), rendered.version)
    measure = writing(ready.channel).measure
    return Prepared(ready, message, words, measure.of(content) if measure is not None and measure.paid else None)
