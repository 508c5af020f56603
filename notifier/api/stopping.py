"""Endpoints that stop notifications before they are sent: cancellation and acknowledgement."""

from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.bounds import check_source, check_type
from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_json
from notifier.domain.catalog import MAX_TEXT, NotificationType
from notifier.domain.identifiers import Id
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.domain.text import TEXT
from notifier.domain.twins import is_test, plain
from notifier.pipeline import stopping
from notifier.pipeline.stopping import Stopping
from notifier.store.delivery import deliveries, events

MAX_BODY = 16 * 1024  # bytes: a few names and ids
GIVE_CANCELLATION = "give type and about, or event, and nothing else"
GIVE_ACKNOWLEDGEMENT = "give type and about, or delivery, and nothing else"

About = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT, pattern=TEXT)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=TEXT)]


class EventName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event as its producer named it: CloudEvents' `source` and `id`."""

    source: Name
    id: Name


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to cancel: an `event`, or notifications of a `type` that are `about` something, such as a session's id."""

    type: str | None = None
    about: About | None = None
    event: EventName | None = None


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody takes care of: a `delivery` that they received, or what notifications of a `type` are `about`."""

    type: str | None = None
    about: About | None = None
    delivery: Id | None = None


async def post_cancel(request: Request, context: ApiContext) -> Response:
    """Stop deliveries that haven't been sent yet, on every channel, and return which ones.

    With `type` and `about`, this covers every event so far; with `event`, that event's deliveries and earlier ones of
    its types about the same thing. Repeating the request does no harm.
    """
    key: ApiKey = request.state.key
    match await read_json(request, Cancellation, MAX_BODY):
        case Cancellation(type=str(type_), about=str(about), event=None):
            kind = _kind(context, key, type_)
            check_type(key, kind.event)
            return answer(await stopping.cancel(context.engine, kind, about, key.name))
        case Cancellation(type=None, about=None, event=EventName(source=source, id=id_)):
            check_source(key, source)
            check = partial(check_type, key, pointer="/event")
            named = await events.find(context.engine.database, source, id_, test=key.test)
            stopped = named and await stopping.cancel_event(context.engine, named, key.name, check)
            if not stopped:
                raise problem(40401, "no event has this source and id", "/event")
            return answer(stopped)
        case _:
            raise problem(42205, GIVE_CANCELLATION)


async def post_acknowledge(request: Request, context: ApiContext) -> Response:
    """Acknowledge an alert: people on call who haven't been notified yet won't be. Repeating the request does no
    harm."""
    key: ApiKey = request.state.key
    match await read_json(request, Acknowledgement, MAX_BODY):
        case Acknowledgement(type=str(type_), about=str(about), delivery=None):
            kind = _escalating(_kind(context, key, type_), "/type")
            check_type(key, kind.event)
            return answer(await stopping.acknowledge(context.engine, kind, about, key.name))
        case Acknowledgement(type=None, about=None, delivery=str(id_)):
            delivery = await deliveries.get(context.engine.database, id_)
            if delivery is None or is_test(delivery.type) != key.test:
                raise problem(40401, "no delivery has this id", "/delivery")
            check_type(key, _escalating(_kind(context, key, plain(delivery.type), "/delivery"), "/delivery").event)
            return answer(await stopping.acknowledge_delivery(context.engine, delivery, key.name))
        case _:
            raise problem(42205, GIVE_ACKNOWLEDGEMENT)


def _kind(context: ApiContext, key: ApiKey, type_: str, pointer: str = "/type") -> NotificationType:
    """The type that a key means by a name: a test key stops tests."""
    kind = context.engine.catalog.types.get(type_)
    if kind is None:
        raise problem(42205, "there is no such notification type", pointer)
    return kind.twin if key.test else kind


def _escalating(kind: NotificationType, pointer: str) -> NotificationType:
    if not kind.escalation:
        raise problem(
            42205,
            f"{plain(kind.id)} has no escalation: everybody is notified at once, so there is nothing to acknowledge",
            pointer,
        )
    return kind


ENDPOINTS = [
    Endpoint(
        method="POST",
        path="/v1/cancel",
        scope="events:write",
        handler=post_cancel,
        summary="Cancel notifications that have not been sent yet",
        takes={"application/json": Cancellation},
        gives={200: Stopping},
        problems=(40303, 40401, 42205),
    ),
    Endpoint(
        method="POST",
        path="/v1/acknowledge",
        scope="events:write",
        handler=post_acknowledge,
        summary="Acknowledge: nobody else on call is notified",
        takes={"application/json": Acknowledgement},
        gives={200: Stopping},
        problems=(40303, 40401, 42205),
    ),
]
