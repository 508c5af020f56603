"""The endpoint by which apps report that a push was opened."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import JSON, read_json
from notifier.api.stopping import MAX_BODY
from notifier.domain.deliveries import Channel, State
from notifier.domain.identifiers import Id
from notifier.domain.messages import Report


class Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of the report: the `reference` in the data of the push that was opened."""

    reference: Id


async def post_opened(request: Request, context: ApiContext) -> Response:
    """Record that a person opened a push: it counts as delivered, and fallback channels that wait for it stay silent.

    An unknown or repeated reference gets the same answer.
    """
    opened = await read_json(request, Opened, MAX_BODY)
    report = Report(delivery=opened.reference, channel=Channel("push"), state=State.DELIVERED, opened=True)
    await context.reports.add([report])
    return Response(status_code=204)


ENDPOINTS: Final = [
    Endpoint(
        method="POST",
        path="/v1/opened",
        scope="opened:write",
        handler=post_opened,
        summary="A push was opened in the app",
        takes={JSON: Opened},
        gives={204: None},
        problems=(42205,),
    ),
]
