"""Subscriptions: services that are told what became of their deliveries. Write, read, pause, resume, replay, rotate."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_json
from notifier.changes import handling
from notifier.domain.changes import Place, behind, make_cursor, read_cursor
from notifier.domain.clock import to_datetime, to_instant
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.domain.subscriptions import (
    OVERLAP,
    Paused,
    Subscription,
    SubscriptionDetails,
    SubscriptionId,
    beyond,
    make_secret,
)
from notifier.domain.text import WORD
from notifier.providers.destinations import UnsafeDestination, nets, parse_destination
from notifier.store.console import keys, subscriptions
from notifier.store.core.database import Database
from notifier.store.reading import changes as log
from notifier.store.reading.changes import PastRetention

MOST: Final = 100
"""Subscriptions in all: each is looked at every second."""
MAX_DETAILS: Final = 256 * 1024
"""Bytes of a subscription's JSON: the most types and sources of the greatest length."""


class SubscriptionView(SubscriptionDetails, frozen=True, kw_only=True):
    """A subscription as it is. `cursor` is how far its endpoint has got, and `behind` how many changes it has not been
    told or passed over yet; `failures` counts tries since the last that was taken, `answer` is the last one's status,
    or what prevented it. While it is `paused` for a reason nothing is sent; resume it."""

    id: str
    created_at: datetime
    cursor: str
    behind: int
    paused: Paused | None
    paused_at: datetime | None
    failures: int
    failing_since: datetime | None
    answer: str | None
    answered_at: datetime | None


class NewSubscription(SubscriptionView, frozen=True, kw_only=True):
    """A new subscription with its secret, which is not shown again."""

    secret: str


class Subscriptions(msgspec.Struct, frozen=True):
    """All subscriptions that the key may see, by their ids."""

    subscriptions: list[SubscriptionView]


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A new secret, which is not shown again; the one before signs as well until then."""

    secret: str
    previous_until: datetime


class Replay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to begin again: behind a cursor (`next` of `GET /v1/changes`, or a subscription's), or at an instant."""

    after: Annotated[str, msgspec.Meta(max_length=2000, pattern=WORD)]


async def put_subscription(request: Request, context: ApiContext) -> Response:
    """Subscribe an endpoint to what becomes of deliveries, or change a subscription.

    A new one begins with what happens from now on; its answer is 201 with the secret that requests are signed with
    (Standard Webhooks), which is shown this once. It stays within the bounds of the key that wrote it last, and is
    paused where that key is revoked or expires.
    """
    key, id_, now = _key(request), _id(request), context.engine.clock.now()
    given = await read_json(request, SubscriptionDetails, MAX_DETAILS)
    try:
        url = parse_destination(given.url, nets(context.settings.channels)).url
    except UnsafeDestination as error:
        raise problem(42205, f"the URL {error}", "/url") from None
    given = msgspec.structs.replace(given, url=url)
    if pointer := beyond(key, given):
        raise problem(40303, f"the key {key.id} is not bound to this", pointer)
    database = context.engine.database
    held = await subscriptions.get(database, id_)
    if held is None:
        alike = await _alike(key, database)
        if sum(each.key_id in alike for each in await subscriptions.every(database)) >= MOST:
            raise problem(42205, f"there are {MOST} subscriptions, which is the limit; delete one")
        new = Subscription(
            id=id_, key_id=key.id, details=given, secret=make_secret(), created_at=now, due_at=now,
            place=await log.newest(database),
        )  # fmt: skip
        if not await subscriptions.add(database, new, key.name):
            raise problem(40902, "this subscription was written by another request at the same moment")
        return answer(NewSubscription(**_told(new, new.place), secret=new.secret), 201)
    await _own(request, context, held)
    changed = {"key_id": key.id, "until": None, **msgspec.structs.asdict(given)}
    if held.paused == "key_lost":
        changed |= {"paused": None, "paused_at": None}
    await subscriptions.change(database, id_, lambda _held: changed, now, key.name, "changed")
    return await _answer(request, context)


async def get_subscription(request: Request, context: ApiContext) -> Response:
    """Return a subscription, how far its endpoint has got, and what it answered last."""
    return await _answer(request, context)


async def get_subscriptions(request: Request, context: ApiContext) -> Response:
    """List subscriptions: all, or those that the key wrote where it is bound to sources or event types. Test keys see
    those of test keys, and no other key does."""
    database, seen = context.engine.database, await _seen(request, context)
    end = await log.newest(database)
    found = [each for each in await subscriptions.every(database) if each.key_id in seen]
    return answer(Subscriptions([SubscriptionView(**_told(each, end)) for each in found]))


async def delete_subscription(request: Request, context: ApiContext) -> Response:
    """Delete a subscription: nothing more is sent. Repeating the request changes nothing."""
    key, database, id_ = _key(request), context.engine.database, _id(request)
    held = await subscriptions.get(database, id_)
    if held is not None and held.key_id in await _seen(request, context):
        await subscriptions.delete(database, id_, context.engine.clock.now(), key.name)
    return Response(status_code=204)


async def post_pause(request: Request, context: ApiContext) -> Response:
    """Pause a subscription: nothing is sent until it is resumed, and nothing is missed while its changes are kept."""
    held = await _find(request, context)
    await handling.pause(context.engine, held.id, _key(request).name)
    return await _answer(request, context)


async def post_resume(request: Request, context: ApiContext) -> Response:
    """Resume a subscription where it was paused, and try at once where it waits after a failure.

    Where its next changes are not kept any more it is refused (41001): replay it from an instant.
    """
    held = await _find(request, context)
    try:
        await handling.resume(context.engine, held.id, _key(request).name)
    except PastRetention:
        raise problem(41001, "its next changes are not kept any more; replay it from an instant") from None
    return await _answer(request, context)


async def post_replay(request: Request, context: ApiContext) -> Response:
    """Tell a subscription again all that came after a cursor or an instant, and resume it. An instant before the oldest
    change that is kept begins with that."""
    held = await _find(request, context)
    asked = await read_json(request, Replay, MAX_DETAILS)
    await handling.replay(context.engine, held.id, await _place(context, asked.after), _key(request).name)
    return await _answer(request, context)


async def post_rotate(request: Request, context: ApiContext) -> Response:
    """Replace the secret of a subscription. For 24 hours requests are signed with both, so that receivers can change
    over."""
    await _find(request, context)
    now, new = context.engine.clock.now(), make_secret()

    def rotate(held: Subscription) -> dict[str, Any]:
        return {"secret": new, "previous_secret": held.secret, "previous_until": now + OVERLAP}

    key: ApiKey = request.state.key
    await subscriptions.change(context.engine.database, _id(request), rotate, now, key.name, "rotated")
    return answer(NewSecret(secret=new, previous_until=to_datetime(now + OVERLAP)))


async def _place(context: ApiContext, after: str) -> Place:
    database = context.engine.database
    place = read_cursor(after, len(database.buckets))
    if place is None:
        try:
            return await log.since(database, to_instant(datetime.fromisoformat(after)))
        except (ValueError, OverflowError):
            raise problem(42205, "after is a cursor, or a time such as 2026-03-09T22:10:00Z", "/after") from None
    try:
        await handling.check(context.engine, place)
    except PastRetention:
        raise problem(41001, "the changes behind this cursor are not kept any more; give a time", "/after") from None
    return place


async def _answer(request: Request, context: ApiContext) -> Response:
    held = await _find(request, context)
    return answer(SubscriptionView(**_told(held, await log.newest(context.engine.database))))


async def _find(request: Request, context: ApiContext) -> Subscription:
    held = await subscriptions.get(context.engine.database, _id(request))
    if held is None:
        raise problem(40401, "there is no subscription with this id")
    await _own(request, context, held)
    return held


async def _own(request: Request, context: ApiContext, held: Subscription) -> None:
    if held.key_id not in await _seen(request, context):
        key = _key(request)
        why = "bound to sources or event types" if key.bounds.narrow else "for tests" if key.test else "not for tests"
        raise problem(40303, f"the key {key.id} is {why}, and another key wrote this")


async def _seen(request: Request, context: ApiContext) -> Collection[str]:
    """The keys of which the caller sees the subscriptions: where its own is bound, those of its line; else all that are
    for tests as it is, or aren't."""
    key, database = _key(request), context.engine.database
    return {each.id for each in await keys.line(database, key.id)} if key.bounds.narrow else await _alike(key, database)


async def _alike(key: ApiKey, database: Database) -> Collection[str]:
    """The ids of all test keys where a key is one, and else of all others."""
    return {each.id for each in await keys.every(database) if each.test == key.test}


def _told(held: Subscription, end: Place) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(held.details), "id": held.id, "created_at": to_datetime(held.created_at),
        "cursor": make_cursor(held.place), "behind": behind(held.place, end), "paused": held.paused,
        "paused_at": _moment(held.paused_at), "failures": held.failures,
        "failing_since": _moment(held.failing_since), "answer": held.answer, "answered_at": _moment(held.answered_at),
    }  # fmt: skip


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


def _key(request: Request) -> ApiKey:
    key: ApiKey = request.state.key
    return key


def _id(request: Request) -> str:
    try:
        return msgspec.convert(request.path_params["id"], SubscriptionId)
    except msgspec.ValidationError:
        raise problem(42205, "the id in the path has 1 to 100 characters without spaces and slashes") from None


def _endpoint(method: str, path: str, handler: Any, summary: str, gives: Any, **more: Any) -> Endpoint:
    return Endpoint(
        method=method, path=f"/v1/subscriptions{path}", scope="subscriptions:write", handler=handler, summary=summary,
        gives=gives, **more,
    )  # fmt: skip


_JSON: Final = "application/json"
_ONE: Final = (40303, 40401, 42205)

ENDPOINTS = [
    _endpoint(
        "PUT", "/{id}", put_subscription, "Subscribe an endpoint to what becomes of deliveries",
        {200: SubscriptionView, 201: NewSubscription}, takes={_JSON: SubscriptionDetails},
        problems=(40303, 40902, 42205),
    ),
    _endpoint(
        "GET", "/{id}", get_subscription, "Read a subscription", {200: SubscriptionView}, problems=_ONE
    ),
    _endpoint("GET", "", get_subscriptions, "List subscriptions", {200: Subscriptions}),
    _endpoint("DELETE", "/{id}", delete_subscription, "Delete a subscription", {204: None}, problems=(42205,)),
    _endpoint("POST", "/{id}/pause", post_pause, "Pause a subscription", {200: SubscriptionView}, problems=_ONE),
    _endpoint(
        "POST", "/{id}/resume", post_resume, "Resume a subscription", {200: SubscriptionView},
        problems=(*_ONE, 41001),
    ),
    _endpoint(
        "POST", "/{id}/replay", post_replay, "Tell a subscription again", {200: SubscriptionView},
        takes={_JSON: Replay}, problems=(*_ONE, 41001),
    ),
    _endpoint("POST", "/{id}/rotate", post_rotate, "Replace a subscription's secret", {200: NewSecret}, problems=_ONE),
]  # fmt: skip
