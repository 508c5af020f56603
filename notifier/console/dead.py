"""Dead letters: list, select, confirm, redrive or discard. Only the confirmed ids are acted on."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from notifier.console.forms import read_filter, read_place, text
from notifier.console.pages import page
from notifier.console.screens import ConsoleContext, Screen
from notifier.domain.channels import channels
from notifier.domain.ids import is_id
from notifier.pipeline import dead as pipeline
from notifier.pipeline.dead import Result
from notifier.pipeline.engine import Engine
from notifier.policy.phrases import REASONS
from notifier.store.core.paging import Page, PageKey
from notifier.store.reading import dead
from notifier.store.reading.dead import DeadLetterFilter

PAGE = 50  # dead letters
MOST = 500  # redriven or discarded together: one transaction, and a list that a person can still check

_ACTIONS: dict[str, Callable[[Engine, Sequence[str], str], Awaitable[list[Result]]]] = {
    "redrive": pipeline.redrive,
    "discard": pipeline.discard,
}


async def get_dead(request: Request, context: ConsoleContext) -> Response:
    """Show a page of dead letters, newest first."""
    wanted = read_filter(request.query_params, DeadLetterFilter)
    place = read_place(request)
    found = await dead.find(context.engine.database, wanted, place, PAGE + 1)
    letters = found[:PAGE]
    end = PageKey(letters[-1].at, letters[-1].id) if len(found) > PAGE else None
    choices = {
        "type": sorted({*context.engine.catalog.types, *context.engine.catalog.event_types}),
        "channel": [channel.value for channel in channels()],
        "reason": sorted(REASONS),
    }
    return page(
        request, context, "dead.html", wanted=wanted, found=Page(rows=letters, next=end), place=place, choices=choices,
        most=MOST,
    )  # fmt: skip


async def post_confirm(request: Request, context: ConsoleContext) -> Response:
    """Ask for confirmation: which action on how many dead letters. Nothing is done yet."""
    form = request.state.form
    action = text(form, "action")
    every = text(form, "every") == "yes"
    if action not in _ACTIONS:
        raise HTTPException(400)
    if every:
        found = await dead.find(context.engine.database, read_filter(form, DeadLetterFilter), None, MOST + 1)
        ids = [letter.id for letter in found]
    else:
        ids = [str(value) for value in form.getlist("id")]
    if not all(map(is_id, ids)):
        raise HTTPException(400)
    return page(
        request, context, "dead_confirm.html", status=200 if ids else 422, action=action, ids=ids[:MOST], every=every,
        more=len(ids) > MOST, wanted=read_filter(form, DeadLetterFilter),
    )  # fmt: skip


async def post_redrive(request: Request, context: ConsoleContext) -> Response:
    """Redrive the confirmed dead letters; repeating the request changes nothing."""
    return await _act(request, context, "redrive")


async def post_discard(request: Request, context: ConsoleContext) -> Response:
    """Discard the confirmed dead letters."""
    return await _act(request, context, "discard")


async def _act(request: Request, context: ConsoleContext, action: str) -> Response:
    ids = text(request.state.form, "ids").split(" ")
    if len(ids) > MOST or not all(map(is_id, ids)):
        raise HTTPException(400)
    results = await _ACTIONS[action](context.engine, ids, request.state.visit.actor)
    refused = [result for result in results if result.status == "refused"]
    return page(
        request, context, "dead_done.html", action=action, results=results, refused=refused,
        done=len(results) - len(refused),
    )  # fmt: skip


SCREENS = [
    Screen(path="/dead", handler=get_dead, permission="read", title="Dead letters", group="Resolve", key="d"),
    Screen(path="/dead/confirm", handler=post_confirm, permission="operate", method="POST"),
    Screen(path="/dead/redrive", handler=post_redrive, permission="operate", method="POST"),
    Screen(path="/dead/discard", handler=post_discard, permission="operate", method="POST"),
]
