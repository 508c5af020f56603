"""A recipient's devices, one by one: for a service that knows apps but not names and addresses."""

from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body
from notifier.api.recipients import NOBODY, fitting, recipient_id
from notifier.domain.messages import Device
from notifier.domain.preferences import chosen
from notifier.domain.problems import problem
from notifier.domain.text import WORD
from notifier.people.importing import MAX_LINE
from notifier.store.people import devices

Token = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=WORD)]


class DeviceDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The details of a device beside its token. A detail left out stays as it was; a new device is an Android one by
    default."""

    kind: Literal["token", "fid"] | None = None
    platform: Literal["android", "ios", "web"] | None = None
    last_seen: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None


class Devices(msgspec.Struct, frozen=True):
    """All devices of a recipient."""

    devices: list[Device]


async def get_devices(request: Request, context: ApiContext) -> Response:
    """List the devices that a recipient's pushes go to."""
    found = await devices.of(context.engine.database, recipient_id(request))
    if found is None:
        raise problem(40401, NOBODY)
    return answer(Devices(found))


async def put_device(request: Request, context: ApiContext) -> Response:
    """Register a device by its token, or report that its app was used: `last_seen` is now unless it is given.

    The device then belongs to this recipient alone; their other devices stay. Beyond twenty devices, the least recently
    used are removed.
    """
    id_, token = recipient_id(request), _token(request)
    body = await read_body(request, MAX_LINE)
    details = fitting(lambda: msgspec.json.decode(body or b"{}", type=DeviceDetails))
    now = context.engine.clock.now()

    def step(held: Device | None) -> Device:
        told: dict[str, Any] = {"last_seen": now, **chosen(details)}
        return msgspec.structs.replace(held or Device(value=token), **told)

    if not await devices.register(context.engine.database, id_, token, step):
        raise problem(40401, NOBODY)
    return Response(status_code=204)


async def delete_device(request: Request, context: ApiContext) -> Response:
    """Remove a device, as when somebody signs out. Repeating the request changes nothing."""
    await devices.forget(context.engine.database, recipient_id(request), _token(request))
    return Response(status_code=204)


def _token(request: Request) -> str:
    try:
        return msgspec.convert(request.path_params["token"], Token)
    except msgspec.ValidationError:
        raise problem(42203, "the token in the path has 1 to 4096 characters, without spaces", "/value") from None


PATH = "/v1/recipients/{id}/devices"

ENDPOINTS = [
    Endpoint(
        method="GET",
        path=PATH,
        scope="recipients:read",
        handler=get_devices,
        summary="List a recipient's devices",
        gives={200: Devices},
        problems=(40401, 42203),
    ),
    Endpoint(
        method="PUT",
        path=PATH + "/{token}",
        scope="recipients:write",
        handler=put_device,
        summary="Register or refresh a device",
        takes={"application/json": DeviceDetails},
        gives={204: None},
        problems=(40401, 42203),
    ),
    Endpoint(
        method="DELETE",
        path=PATH + "/{token}",
        scope="recipients:write",
        handler=delete_device,
        summary="Forget a device",
        gives={204: None},
        problems=(42203,),
    ),
]
