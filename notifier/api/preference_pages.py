"""`/p/{token}`: the preference centre, where a person with a link sees and changes their preferences; and the link."""

from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier import policy
from notifier.api import preference_form
from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import FORM, answer
from notifier.api.page import HEADERS, STYLE, STYLE_HEADERS, read_form
from notifier.api.preference_form import Fields, Mistake, Shown
from notifier.api.recipients import recipient_id
from notifier.domain.channels import channels
from notifier.domain.clock import to_datetime
from notifier.domain.links import VISIT, PreferenceAccess
from notifier.domain.problems import problem
from notifier.domain.recipients import Recipient
from notifier.people import choosing
from notifier.policy import CategoryRow, make_grid
from notifier.rendering.zones import time_zones
from notifier.store.people import recipients

SOURCE = "preference-page"
"""The source in a consent's record: the preference centre."""


class PreferenceLink(msgspec.Struct, frozen=True, kw_only=True):
    """The URL of one person's preference centre, and when it expires."""

    url: str
    expires_at: datetime


async def post_preference_link(request: Request, context: ApiContext) -> Response:
    """Create a link by which a person sees and changes their preferences for a day, without a login: for an app to
    open.

    Anybody who has the link can use it, so give it to nobody else and don't store it.
    """
    id_ = recipient_id(request)
    engine, now = context.engine, context.engine.clock.now()
    if await recipients.find(engine.database, id_) is None:
        raise problem(40401, "there is no recipient with this id")
    link = PreferenceLink(url=engine.links.preference_url(id_, now), expires_at=to_datetime(now + VISIT))
    return answer(link, headers={"Cache-Control": "no-store"})


async def get_preference_page(request: Request, context: ApiContext) -> Response:
    """Show a person's preferences as a form: what they receive on which channel, when and in which language."""
    found = await _find(request, context)
    if found is None:
        return context.pages.no_such_link(request)
    person, rows, shown = found
    return _page(request, context, person, rows, shown, shown, saved="saved" in request.query_params)


async def post_preference_page(request: Request, context: ApiContext) -> Response:
    """Save a person's changes to the form since it was shown, however long ago.

    A form with mistakes comes back as it was filled in, and nothing of it is saved.
    """
    found = await _find(request, context)
    if found is None:
        return context.pages.no_such_link(request)
    person, rows, present = found
    form = await read_form(request)
    shown = preference_form.read_shown(form, present)
    fields = preference_form.read_fields(form, shown)
    zones = {zone for zone, _ in time_zones(present.locale)}
    wrong = preference_form.mistakes(fields, shown, context.pages.languages, zones)
    if wrong:
        return _page(request, context, person, rows, shown, fields, wrong=wrong, status=422)
    step = partial(preference_form.chosen, rows=rows, shown=shown, fields=fields, facts=person.facts)
    given = policy.consents(rows, preference_form.changed_spots(rows, shown, fields))
    said = choosing.Said(given, source=SOURCE, wording=context.pages.wording(request, person.facts.language))
    engine = context.engine
    await choosing.save(engine.database, person.id, step, said, engine.clock.now(), engine.catalog.categories)
    # A redirect, so that reloading the page doesn't save again.
    lang = {"lang": request.query_params["lang"]} if "lang" in request.query_params else {}
    return Response(status_code=303, headers={**HEADERS, "Location": f"?{urlencode({**lang, 'saved': 1})}"})


async def get_style(_request: Request, _context: ApiContext) -> Response:
    """Return the pages' style sheet, whose URL changes with its content."""
    return Response(STYLE, media_type="text/css", headers=STYLE_HEADERS)


async def _find(request: Request, context: ApiContext) -> tuple[Recipient, list[CategoryRow], Shown] | None:
    """Find the link's person, their grid, and the form as first shown; None where the person is erased."""
    link: PreferenceAccess = request.state.link
    found = await recipients.find(context.engine.database, link.recipient_id)
    if found is None:
        return None
    person, groups = found
    rows = make_grid(context.engine.catalog, groups, person.facts)
    locale = context.pages.language(person.facts.language)
    return person, rows, preference_form.fields_of(rows, person.facts, locale)


def _page(
    request: Request, context: ApiContext, person: Recipient, rows: list[CategoryRow], shown: Shown, fields: Fields, *,
    wrong: dict[str, Mistake] | None = None, saved: bool = False, status: int = 200,
) -> Response:  # fmt: skip
    named = {cell.channel for row in rows for cell in row.cells}
    told: dict[str, Any] = {
        "columns": [channel for channel in channels() if channel in named],
        "rows": rows, "fields": fields, "wrong": wrong or {}, "saved": saved, "reachable": person.facts.reachable,
        "shown": preference_form.write_shown(shown),
    }  # fmt: skip
    return context.pages.answer("preferences.html", request, person.facts.language, status, **told)


ENDPOINTS = [
    Endpoint(
        method="POST",
        path="/v1/recipients/{id}/preference-link",
        scope="recipients:write",
        handler=post_preference_link,
        summary="A link to a recipient's preference centre, good for a day",
        gives={200: PreferenceLink},
        problems=(40401, 42203),
    ),
    Endpoint(
        method="GET",
        path="/p/{token}",
        scope=None,
        signed_by="preference_link",
        handler=get_preference_page,
        summary="The preference centre",
        gives={200: None},
    ),
    Endpoint(
        method="POST",
        path="/p/{token}",
        scope=None,
        signed_by="preference_link",
        handler=post_preference_page,
        summary="Save the preference centre's form",
        takes={FORM: dict},
        gives={303: None},
    ),
    Endpoint(
        method="GET",
        path="/pages/style.css",
        scope=None,
        handler=get_style,
        summary="The style of the pages for people",
        gives={200: None},
    ),
]
