"""OCPI 2.2.1, receiver interface: Sessions (PUT, PATCH) and CDRs (POST).

A success is answered in OCPI's own envelope, a refusal by a 4xx with a problem document that also has OCPI's
`status_code`.
"""

from collections.abc import Callable
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body
from notifier.domain.clock import to_datetime
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey, is_among, read_parties
from notifier.domain.problems import problem
from notifier.ocpi.events import OcpiObjectId
from notifier.ocpi.objects import Cdr, OcpiInvalid, OcpiSession
from notifier.ocpi.sessions import SessionUpdate, UnknownSession, patch, put
from notifier.pipeline.accept_ocpi import accept_cdr, accept_session

MAX_OBJECT = 1024 * 1024  # bytes: a day's session with a charging period every minute has 300 kB
IDS = (b"x-request-id", b"x-correlation-id")
SUCCESS, INVALID, UNKNOWN = 1000, 2001, 2003  # OCPI 2.2.1 §5: status codes

PREFIX = "/ocpi/"
SESSION_PATH = "/ocpi/2.2.1/sessions/{country_code}/{party_id}/{session_id:path}"

SessionChanges = msgspec.defstruct(
    "SessionChanges",
    [
        (member.name, member.type)
        if member.name == "last_updated"
        else (member.name, member.type | msgspec.UnsetType, msgspec.UNSET)
        for member in msgspec.structs.fields(OcpiSession)
    ],
    kw_only=True,
)
"""What a PATCH may hold, for the OpenAPI document: anything of a Session, and always `last_updated`."""


class OcpiAnswer(msgspec.Struct, omit_defaults=True):
    """OCPI's envelope of every successful answer (OCPI 2.2.1 §4.1.7)."""

    status_code: int
    timestamp: str
    status_message: str = ""


class Echo:
    """Adds the ids of the request to every OCPI answer, refusals included (OCPI 2.2.1 §4.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            return await self._app(scope, receive, send)
        ids = {name: value for name, value in scope["headers"] if name in IDS}

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *ids.items()]
            await send(message)

        return await self._app(scope, receive, echo)


async def put_session(request: Request, context: ApiContext) -> Response:
    """Accept a whole session, new or repeated."""
    return await _session(request, context, put)


async def patch_session(request: Request, context: ApiContext) -> Response:
    """Accept the changes of a session that was PUT before."""
    return await _session(request, context, patch)


async def post_cdr(request: Request, context: ApiContext) -> Response:
    """Accept a charge detail record, from which the driver's receipt is made."""
    key: ApiKey = request.state.key
    await context.limits.admit(key, 1)
    body = await read_body(request, MAX_OBJECT)
    try:
        priced = partial(_priced, context)
        accepted = await accept_cdr(context.reader, context.intake, body, key.speaks_for, priced, lane=key.id)
    except OcpiInvalid as error:
        raise _invalid(error) from None
    if isinstance(accepted, str):
        return answer(_success(context, accepted), 201)
    return answer(_success(context, None), 201, {"Location": f"{request.url.path}/{accepted.event}"})


async def _session(request: Request, context: ApiContext, step: Callable[..., SessionUpdate]) -> Response:
    key: ApiKey = request.state.key
    await context.limits.admit(key, 1)
    body = await read_body(request, MAX_OBJECT)
    ids = OcpiObjectId(*(request.path_params[name] for name in ("country_code", "party_id", "session_id")))
    if not key.speaks_for(ids.country_code, ids.party_id):
        # OCPI 2.2.1 §4.3: an object of another party doesn't exist for this peer.
        detail = f"the key {key.id} speaks for {', '.join(key.parties)}, and the URL names another party"
        raise problem(40401, detail, status_code=INVALID)
    try:
        priced = partial(step, priced=_priced(context, *ids[:2]))
        dropped = await accept_session(context.engine, context.reader, context.intake, ids, body, priced, key.id)
    except OcpiInvalid as error:
        raise _invalid(error) from None
    except UnknownSession as error:
        raise problem(40401, str(error), status_code=UNKNOWN) from None
    return answer(_success(context, dropped and f"{dropped}: nothing changed"))


def _priced(context: ApiContext, country_code: str, party_id: str) -> bool:
    """Whether the network is configured to pass this party's prices on to drivers."""
    return is_among(read_parties(context.settings.ocpi_driver_prices), country_code, party_id)


def _success(context: ApiContext, message: str | None) -> OcpiAnswer:
    timestamp = to_datetime(context.engine.clock.now()).strftime("%Y-%m-%dT%H:%M:%SZ")
    return OcpiAnswer(SUCCESS, timestamp, message or "")


def _invalid(error: OcpiInvalid) -> Problem:
    return problem(42204, error.detail, error.pointer, status_code=INVALID)


ENDPOINTS = [
    Endpoint(
        method="PUT",
        path=SESSION_PATH,
        scope="ocpi",
        handler=put_session,
        summary="OCPI Sessions: take a session",
        takes={"application/json": OcpiSession},
        gives={200: OcpiAnswer},
        problems=(42202, 42204),
        limited=True,
    ),
    Endpoint(
        method="PATCH",
        path=SESSION_PATH,
        scope="ocpi",
        handler=patch_session,
        summary="OCPI Sessions: take what changed in a session",
        takes={"application/json": SessionChanges},
        gives={200: OcpiAnswer},
        problems=(40401, 42202, 42204),
        limited=True,
    ),
    Endpoint(
        method="POST",
        path="/ocpi/2.2.1/cdrs",
        scope="ocpi",
        handler=post_cdr,
        summary="OCPI CDRs: take a charge detail record",
        takes={"application/json": Cdr},
        gives={201: OcpiAnswer},
        problems=(40901, 42202, 42204),
        limited=True,
    ),
]
