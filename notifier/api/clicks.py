"""`/c/{token}`: leads on to where a link in a message leads, and counts that it was followed."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.domain.clicks import link_of
from notifier.domain.errors import StoreUnavailable
from notifier.domain.links import Followed
from notifier.store.delivery import clicks

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the link's address names the delivery
    "X-Robots-Tag": "noindex",
}

PREFETCHING: Final = ("sec-purpose", "purpose", "x-purpose", "x-moz")
"""Header fields by which browsers and mail programs say that nobody has followed the link yet: `prefetch`, or `preview`
(Fetch Standard, `Sec-Purpose`; the others are its older forms)."""

log = structlog.get_logger(__name__)


async def get_click(request: Request, context: ApiContext) -> Response:
    """Lead on to the target that the link's token holds, however old it is, and count the click.

    A HEAD or a prefetch counts nothing. The answer doesn't wait for the count, and does without it while the database
    is away.
    """
    link: Followed = request.state.link
    count = None
    if request.method == "GET" and not _is_prefetch(request):
        count = BackgroundTask(partial(_count, context, link, context.engine.clock.now()))
    return RedirectResponse(link.target, 302, HEADERS, count)


def _is_prefetch(request: Request) -> bool:
    said = (request.headers.get(name, "").lower() for name in PREFETCHING)
    return any(each.startswith(("prefetch", "preview")) for each in said)


async def _count(context: ApiContext, link: Followed, now: int) -> None:
    try:
        await clicks.write(context.engine.database, link.delivery_id, link_of(link.target), now)
    except StoreUnavailable as error:
        log.warning("click.not_counted", error=str(error))


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/c/{token}",
        scope=None,
        signed_by="click_link",
        handler=get_click,
        summary="Follow a link in a message",
        gives={302: None},
    ),
]
