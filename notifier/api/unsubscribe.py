"""`/u/{token}`: switch off one category on one channel, by the link in a mail (RFC 8058). GET never acts."""

from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import FORM
from notifier.api.page import read_form
from notifier.domain.catalog import Catalog
from notifier.domain.effects import What
from notifier.domain.links import Unsubscribe
from notifier.domain.recipients import Recipient
from notifier.people import choosing
from notifier.policy import Cell, Spot, make_grid
from notifier.store.people import recipients

UNDO = "undo"
"""The form field that undoes the unsubscription. Every other POST unsubscribes, whatever its body."""

SOURCE = "unsubscribe-page"
"""The source in a withdrawn consent's record: the unsubscribe link."""

State = Literal["ask", "off", "done", "undone"]


async def get_unsubscribe(request: Request, context: ApiContext) -> Response:
    """Show what would be switched off, with a button: programs that follow the links in mails change nothing."""
    return await _page(request, context, "ask")


async def post_unsubscribe(request: Request, context: ApiContext) -> Response:
    """Switch the category off. Mail programs send `List-Unsubscribe=One-Click`, the page's button an empty form.
    Repeating the request does no harm.

    The page in the response has an undo button, which works for an hour.
    """
    link: Unsubscribe = request.state.link
    form = await read_form(request)
    engine, now = context.engine, context.engine.clock.now()
    on = UNDO in form
    if on and engine.links.read_undo(form[UNDO][0], now) != link:
        return context.pages.no_such_link(request)
    found = await recipients.find(engine.database, link.recipient_id)
    if found is None:
        return context.pages.no_such_link(request)
    person, groups = found
    said = choosing.Said(
        _consent(engine.catalog, link, person, on), SOURCE, context.pages.wording(request, person.facts.language),
        What.UNSUBSCRIBED if _cell(engine.catalog, link, person, groups).on else None, link.delivery_id,
    )  # fmt: skip
    await choosing.switch(engine.database, link, said, on=on, now=now, categories=engine.catalog.categories)
    return await _page(request, context, "undone" if on else "done")


def _consent(catalog: Catalog, link: Unsubscribe, person: Recipient, on: bool) -> dict[Spot, bool]:
    """Return the change of consent that switching marketing implies; empty where consent stays as it is."""
    kinds = (kind for kind in catalog.types.values() if kind.category == link.category)
    is_marketing = any(kind.class_ == "marketing" for kind in kinds)
    is_news = person.facts.consented(link.category, link.channel) != on
    return {(link.category, link.channel): on} if is_marketing and is_news else {}


async def _page(request: Request, context: ApiContext, state: State) -> Response:
    link: Unsubscribe = request.state.link
    found = await recipients.find(context.engine.database, link.recipient_id)
    if found is None:
        return context.pages.no_such_link(request)
    person, groups = found
    cell = _cell(context.engine.catalog, link, person, groups)
    if state == "ask" and not (cell.on and person.facts.preferences.everything):
        state = "off"
    undo = context.engine.links.undo_token(link, context.engine.clock.now()) if state == "done" else None
    told: dict[str, Any] = {"link": link, "cell": cell, "state": state, "undo": undo}
    return context.pages.answer("unsubscribe.html", request, person.facts.language, **told)


def _cell(catalog: Catalog, link: Unsubscribe, person: Recipient, groups: frozenset[str]) -> Cell:
    """Return the grid's cell; for a category that is gone, or no longer this person's, a cell that is on."""
    cells = (
        cell
        for row in make_grid(catalog, groups, person.facts)
        for cell in row.cells
        if (row.category, cell.channel) == (link.category, link.channel)
    )
    return next(cells, Cell(channel=link.channel, on=True))


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/u/{token}",
        scope=None,
        signed_by="unsubscribe_link",
        handler=get_unsubscribe,
        summary="The page that asks whether to unsubscribe",
        gives={200: None},
    ),
    Endpoint(
        method="POST",
        path="/u/{token}",
        scope=None,
        signed_by="unsubscribe_link",
        handler=post_unsubscribe,
        summary="Unsubscribe: one category on one channel (RFC 8058)",
        takes={FORM: dict},
        gives={200: None},
    ),
]
