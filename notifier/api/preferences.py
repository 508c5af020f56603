"""Preferences: people's own choices, and the presets of their network, fleet or host."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body, read_query
from notifier.api.recipients import NOBODY, decode_patch, fitting, recipient_id
from notifier.api.versions import expected, versioned
from notifier.domain.clock import to_datetime
from notifier.domain.preferences import NETWORK, Defaults, Key, Preferences, chosen, merged
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.domain.recipients import check_preferences
from notifier.people.export import PreferenceChange
from notifier.people.importing import MAX_LINE
from notifier.store.people import preferences

MOST = 1000  # changes in one response
TENANTS = (NETWORK, "fleet:", "host:")
"""The prefixes of tenants' names; `network` is a complete name."""


class LatestQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query of a history: how many of the latest changes to return."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a person's preferences, newest first."""

    changes: list[PreferenceChange]


async def get_preferences(request: Request, context: ApiContext) -> Response:
    """Return a person's own choices; members that they never chose are left out."""
    found = await preferences.get(context.engine.database, recipient_id(request))
    return versioned(chosen(_there(found)))


async def put_preferences(request: Request, context: ApiContext) -> Response:
    """Replace a person's choices: members left out are no longer chosen."""
    body = await read_body(request, MAX_LINE)
    given = fitting(lambda: check_preferences(msgspec.json.decode(body, type=Preferences)))
    await _change(request, context, lambda _: given)
    return Response(status_code=204)


async def patch_preferences(request: Request, context: ApiContext) -> Response:
    """Change a person's choices by a merge patch (RFC 7396): a member that is null is no longer chosen.

    The response is their choices after the change.
    """
    body = await read_body(request, MAX_LINE)
    patch = fitting(lambda: decode_patch(body))

    def step(before: Preferences) -> Preferences:
        return fitting(lambda: check_preferences(msgspec.convert(merged(chosen(before), patch), Preferences)))

    return versioned(chosen(await _change(request, context, step)))


async def get_preference_history(request: Request, context: ApiContext) -> Response:
    """List the changes of a person's choices, newest first, with who made them."""
    id_, wanted = recipient_id(request), read_query(request, LatestQuery)
    _there(await preferences.get(context.engine.database, id_))
    found = await preferences.history(context.engine.database, id_, wanted.limit)
    changes = [
        PreferenceChange(at=to_datetime(each.at), actor=each.actor, preferences=each.preferences) for each in found
    ]
    return answer(History(changes=changes))


async def get_tenant(request: Request, context: ApiContext) -> Response:
    """Return a tenant's presets for its people."""
    name = _tenant(request)
    found = await preferences.get_defaults(context.engine.database, name)
    if found is None:
        raise problem(40401, "nothing is preset under this name")
    return versioned(chosen(found))


async def put_tenant(request: Request, context: ApiContext) -> Response:
    """Replace a tenant's presets: members left out are no longer preset."""
    name = _tenant(request)
    body = await read_body(request, MAX_LINE)
    try:
        given = msgspec.json.decode(body, type=Defaults)
    except UNDECODABLE as error:
        raise from_decoding(42205, error) from None
    engine, actor = context.engine, request.state.key.name
    check = expected(request, chosen)
    await preferences.put_defaults(engine.database, name, given, actor, engine.clock.now(), check)
    return Response(status_code=204)


async def _change(request: Request, context: ApiContext, step: Callable[[Preferences], Preferences]) -> Preferences:
    engine, actor = context.engine, request.state.key.name
    id_, check = recipient_id(request), expected(request, chosen)

    def checked(before: Preferences) -> Preferences:
        check(before)
        return step(before)

    now, categories = engine.clock.now(), engine.catalog.categories
    return _there(await preferences.change(engine.database, id_, checked, actor, now, categories))


def _there(found: Preferences | None) -> Preferences:
    if found is None:
        raise problem(40401, NOBODY)
    return found


def _tenant(request: Request) -> str:
    try:
        name = msgspec.convert(request.path_params["name"], Key)
    except msgspec.ValidationError:
        name = ""
    if name != NETWORK and not name.startswith(TENANTS[1:]):
        raise problem(42205, "a tenant is network, fleet:… or host:…, of up to 100 characters, without spaces")
    return name


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/recipients/{id}/preferences",
        scope="recipients:read",
        handler=get_preferences,
        summary="Read what a person chose",
        gives={200: Preferences},
        problems=(40401, 42203),
    ),
    Endpoint(
        method="PUT",
        path="/v1/recipients/{id}/preferences",
        scope="recipients:write",
        handler=put_preferences,
        summary="Write what a person chose, whole",
        takes={"application/json": Preferences},
        gives={204: None},
        problems=(40401, 41201, 42203),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/recipients/{id}/preferences",
        scope="recipients:write",
        handler=patch_preferences,
        summary="Change what a person chose",
        takes={"application/merge-patch+json": dict[str, Any]},
        gives={200: Preferences},
        problems=(40401, 41201, 42203),
    ),
    Endpoint(
        method="GET",
        path="/v1/recipients/{id}/preferences/history",
        scope="recipients:read",
        handler=get_preference_history,
        summary="Read the history of a person's preferences",
        query=LatestQuery,
        gives={200: History},
        problems=(40401, 42203, 42205),
    ),
    Endpoint(
        method="GET",
        path="/v1/tenants/{name:path}",
        scope="recipients:read",
        handler=get_tenant,
        summary="Read what a network, fleet or host presets",
        gives={200: Defaults},
        problems=(40401, 42205),
    ),
    Endpoint(
        method="PUT",
        path="/v1/tenants/{name:path}",
        scope="tenants:write",
        handler=put_tenant,
        summary="Write what a network, fleet or host presets",
        takes={"application/json": Defaults},
        gives={204: None},
        problems=(41201, 42205),
    ),
]
