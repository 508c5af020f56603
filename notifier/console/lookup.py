"""Search, and the page of one event or delivery."""

import contextlib
from itertools import product
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console.forms import text
from notifier.console.pages import TONES, page, why, words
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.console.why import explained
from notifier.domain.campaigns import NEVER
from notifier.domain.channels import specs
from notifier.domain.clock import Clock
from notifier.domain.deliveries import DEAD, State
from notifier.domain.identifiers import read_id
from notifier.domain.recipients import check_email, check_phone
from notifier.domain.users import PERMISSIONS
from notifier.rendering.writing import is_framed
from notifier.store.core import audit
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database
from notifier.store.delivery import earlier, events
from notifier.store.people import erasures, suppressions
from notifier.store.reading import activity
from notifier.store.reading.activity import OF_EVENT, DeliveryDetails, EventDetails
from notifier.why.explain import DecisionView, DeliveryView, Explanation
from notifier.why.telling import meaning

MOST_LETTERS = 10  # letters of an id that is searched in upper and lower case: 1,024 spellings, some milliseconds

CHECKS = {"phone": check_phone, "email": check_email}
"""The parser of each kind of address (`ChannelSpec.key`)."""


class TimelineItem(NamedTuple):
    """A step on a timeline: its time, title and details; `tone` is its colour."""

    at: int
    title: str
    told: str = ""
    tone: str = "quiet"


async def get_search(request: Request, context: ConsoleContext) -> Response:
    """Redirect to what an id names: a delivery, an event (by our id, or by its source and the id there), or a
    recipient."""
    asked = request.query_params.get("q", "").strip()
    source = request.query_params.get("source", "").strip()
    if asked:
        found = await _find(context.engine.database, asked, source)
        if found is not None:
            return RedirectResponse(found, 303)
    return page(request, context, "search.html", status=404 if asked else 200, asked=asked, source=source, people=[])


async def post_search(request: Request, context: ConsoleContext) -> Response:
    """Search like `get_search`, and people by their address: a posted search appears in no URL and no log."""
    form = request.state.form
    asked, source = text(form, "q").strip(), text(form, "source").strip()
    if "\0" in asked + source:
        raise HTTPException(400)
    if not asked:
        return RedirectResponse(f"{BASE}/search", 303)
    if found := await _find(context.engine.database, asked, source):
        return RedirectResponse(found, 303)
    people = [] if source else await _people(request, context, asked)
    if len(people) == 1:
        return RedirectResponse(_to_person(people[0]), 303)
    status = 200 if people else 404
    return page(request, context, "search.html", status=status, asked=asked, source=source, people=people)


async def _people(request: Request, context: ConsoleContext, asked: str) -> list[str]:
    """Find people with this id in another case or, for users who may operate, with this phone number or mailbox."""
    database, visit = context.engine.database, request.state.visit
    keys: list[str] = []
    if "operate" in PERMISSIONS[visit.session.role]:
        keys = await _address_keys(database, asked)
    people = await activity.find_people(database, cases(asked), keys)
    if keys and people:
        # The audit log is kept for ever: it names people by a hash that says nothing once they are erased.
        now, subject = context.engine.clock.now(), (await erasures.pseudonym(database))(people[0])
        more = f"by an address; {len(people)} found"
        await audit.tell(
            database, AuditEntry(at=now, actor=visit.actor, action="person.find", subject=subject, detail=more)
        )
    return people


def cases(asked: str) -> set[str]:
    """Return an id in every combination of cases; an id with many letters only in lower case, upper case and
    capitalised.

    Ids compare case-sensitively, so each spelling is one lookup in the key's index.
    """
    ways = [tuple(dict.fromkeys((letter.lower(), letter.upper()))) for letter in asked]
    if sum(len(way) > 1 for way in ways) > MOST_LETTERS:
        return {asked.lower(), asked.upper(), asked.capitalize()}
    return set(map("".join, product(*ways)))


async def _address_keys(database: Database, asked: str) -> list[str]:
    keys = []
    key = await suppressions.address_key(database)
    for channel, each in specs().items():
        if each.key is not None:
            with contextlib.suppress(ValueError):
                keys.append(key(channel, CHECKS[each.key](asked)))
    return keys


def _to_person(id_: str) -> str:
    return f"{BASE}/activity?{urlencode({'recipient': id_})}"


async def get_delivery(request: Request, context: ConsoleContext) -> Response:
    """Show a delivery and its history, step by step."""
    found = await activity.get(context.engine.database, request.path_params["id"])
    if found is None:
        raise HTTPException(404)
    told, event = found
    explanation = await explained(context, delivery=told.id)
    made, sent = _of_person(explanation, told.id)
    kind = context.engine.catalog.with_twins.get(told.type)
    name = kind.name if kind else words(told.type.replace("-", "_")).capitalize()
    waits = told.state in DEAD and told.handled_at is None and told.redriven_as is None
    return page(
        request, context, "delivery.html", name=name, delivery=told, event=event, waits=waits,
        moments=_of_delivery(told, event, context.engine.clock), meaning=meaning(told.channel, told.code), made=made,
        sent=sent, zone=made.time_zone if made else await activity.zone_of(context.engine.database, told.recipient_id),
        frames_mail=is_framed(told.channel),
    )  # fmt: skip


async def get_event(request: Request, context: ConsoleContext) -> Response:
    """Show an event and its deliveries."""
    found = await activity.get_event(context.engine.database, request.path_params["id"])
    if found is None:
        raise HTTPException(404)
    event, deliveries = found
    recipient = request.query_params.get("recipient", "").strip()
    told = await explained(context, event=event.id, recipient=recipient or None)
    if told is None:
        raise HTTPException(404)
    waits = event.quarantined_at is not None and event.handled_at is None
    whose = {each.recipient_id for each in deliveries} | ({recipient} if recipient else set())
    zone = await activity.zone_of(context.engine.database, *whose) if len(whose) == 1 else None
    return page(
        request, context, "event.html", event=event, deliveries=deliveries, waits=waits, most=OF_EVENT,
        moments=_of_event(event), told=told, recipient=recipient, zone=zone,
    )  # fmt: skip


def _of_person(told: Explanation | None, delivery: str) -> tuple[DecisionView | None, DeliveryView | None]:
    """Return the decision that made a delivery, and the explanation of the delivery."""
    for made in told.decisions if told else ():
        for sent in made.deliveries:
            if sent.id == delivery:
                return made, sent
    return None, None


async def _find(database: Database, asked: str, source: str) -> str | None:
    if source:
        id_ = await events.find(database, source, asked, test=None)
        return f"{BASE}/events/{id_}" if id_ and await activity.get_event(database, id_) else None
    if named := read_id(asked):
        for id_ in (named, *await earlier.all_of(database, named)):
            for place, get in (("deliveries", activity.get), ("events", activity.get_event)):
                if await get(database, id_):
                    return f"{BASE}/{place}/{id_}"
    if await activity.knows_recipient(database, asked):
        return _to_person(asked)
    return None


def _of_event(event: EventDetails) -> list[TimelineItem]:
    moments = [TimelineItem(event.occurred_at, "Occurred", f"as reported by {event.source}")]
    moments.append(TimelineItem(event.accepted_at, "Accepted", "stored in the database before the response"))
    if event.decided_at is not None:
        moments.append(TimelineItem(event.decided_at, "Decided", f"{event.deliveries} deliveries created", "good"))
    if event.quarantined_at is not None:
        moments.append(TimelineItem(event.quarantined_at, "Quarantined", why("quarantined"), "bad"))
    if event.handled_at is not None:
        moments.append(TimelineItem(event.handled_at, "Discarded", "by hand"))
    return sorted(moments, key=lambda moment: moment.at)


def _of_delivery(told: DeliveryDetails, event: EventDetails, clock: Clock) -> list[TimelineItem]:
    moments = [TimelineItem(event.accepted_at, "Event accepted", event.type)]
    made = f"redrive of {told.redrive_of}" if told.redrive_of else f"by {words(told.channel)}, lane {told.lane}"
    moments.append(TimelineItem(told.created_at, "Redriven" if told.redrive_of else "Delivery created", made))
    for each in told.tried:
        code = f"{each.code}: {meaning(told.channel, each.code) or 'unknown code'}" if each.code else ""
        said = ", ".join(part for part in (words(each.outcome), code) if part)
        tone = "good" if each.outcome in ("sent", "delivered") else "warn"
        moments.append(TimelineItem(each.ended_at, f"Attempt {each.number} at {each.provider}", said, tone))
    if told.due_at >= NEVER:
        moments.append(TimelineItem(told.updated_at, "Put off", why(told.reason), "wait"))
    elif told.state in (State.PENDING, State.SENDING):
        later = told.due_at > clock.now()
        moments.append(
            TimelineItem(told.due_at, "Due", f"waits: {why(told.reason)}" if told.reason and later else "", "wait")
        )
    elif told.state != State.SENT or not told.tried:
        reason = why(told.reason)
        moments.append(
            TimelineItem(told.updated_at, words(told.state).capitalize(), reason, TONES.get(told.state, "quiet"))
        )
    if told.handled_at is not None:
        done = f"redriven as {told.redriven_as}" if told.redriven_as else "discarded by hand"
        moments.append(TimelineItem(told.handled_at, "Handled", done))
    return sorted(moments, key=lambda moment: moment.at)


SCREENS = [
    Screen(path="/search", handler=get_search, permission="read", title="Search", key="s"),
    Screen(path="/search", handler=post_search, permission="read", method="POST"),
    Screen(path="/deliveries/{id}", handler=get_delivery, permission="read"),
    Screen(path="/events/{id}", handler=get_event, permission="read"),
]
