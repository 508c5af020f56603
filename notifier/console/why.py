"""Why, why not and what if: the explanation of an event, and the simulation of a hypothetical one."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import ConsoleContext, Screen
from notifier.domain.catalog import AUDIENCE_FIELDS, Catalog
from notifier.domain.errors import Problem
from notifier.store.reading import explaining
from notifier.store.reading.explaining import ExplanationQuery
from notifier.texts import publishing
from notifier.why.explain import Explanation, explain
from notifier.why.simulate import Trial, simulate

TOLD = 20  # decisions shown with each rule's answer; `notifier explain` pages through a campaign's

ASKED = ("recipient", "event", "at", "data")


async def get_why(request: Request, context: ConsoleContext) -> Response:
    """Show the form of the simulation."""
    given = {name: request.query_params.get(name, "") for name in ("recipient", "event", "at")}
    return _page(request, context, {**given, "data": ""})


async def post_why(request: Request, context: ConsoleContext) -> Response:
    """Simulate an event with the code that decides real ones; nothing is written, nothing is sent."""
    engine = context.engine
    given = {name: text(request.state.form, name).strip() for name in ASKED}
    try:
        trial = msgspec.convert(_trial(engine.catalog, given), Trial)
        told = await simulate(
            engine.database, engine.catalog, context.reader, engine.renderer, trial, engine.clock.now(),
            engine.experiments.running,
        )  # fmt: skip
    except (Problem, msgspec.DecodeError, RecursionError) as error:
        said = error.detail if isinstance(error, Problem) else str(error)
        return _page(request, context, given, status=422, fault=_place(error, said))
    return _page(request, context, given, told=told)


async def explained(context: ConsoleContext, **wanted: Any) -> Explanation | None:
    """Return the explanation of an event or a delivery, as `notifier explain` has it; None where there is none."""
    engine = context.engine
    found = await explaining.read(engine.database, ExplanationQuery(limit=TOLD, **wanted))
    if found is None:
        return None
    sent = found.sent.values()
    await publishing.have_all(engine.database, engine.renderer, ((each.type, each.version) for each in sent))
    # Rendering a campaign's mails again takes a millisecond each.
    return await asyncio.to_thread(explain, engine.catalog, engine.renderer, engine.links, found)


def _trial(catalog: Catalog, given: Mapping[str, str]) -> dict[str, Any]:
    type_, _, name = given["event"].partition("/")
    kind = catalog.types.get(type_)
    sample = next((each for each in kind.samples if each.name == name), None) if kind else None
    if kind is None or sample is None:
        raise HTTPException(400)
    data = msgspec.json.decode(given["data"]) if given["data"] else dict(sample.data)
    if not given["data"] and given["recipient"] and kind.audience == "driver":
        for _, field in AUDIENCE_FIELDS["driver"]:
            data.pop(field, None)
        data["driver_id"] = given["recipient"]
    return {
        "event": {"type": kind.event, "data": data},
        "recipient": given["recipient"] or None,
        "at": given["at"] or None,
    }


def _place(error: Exception, said: str) -> tuple[str, str]:
    """Return the form field that an error belongs to, and its message."""
    pointer = error.pointer or "" if isinstance(error, Problem) else "/event"
    field = "data" if pointer.startswith("/event") else pointer.removeprefix("/")
    return (field if field in ASKED else "data"), f"{said} ({pointer})" if pointer.startswith("/event/") else said


def _page(
    request: Request, context: ConsoleContext, given: Mapping[str, str], *, status: int = 200, told: Any = None,
    fault: tuple[str, str] = ("", ""),
) -> Response:  # fmt: skip
    kinds = context.engine.catalog.types.values()
    return page(request, context, "why.html", status=status, given=given, told=told, fault=fault, kinds=kinds)


SCREENS = [
    Screen(path="/why", handler=get_why, permission="read", title="What if", key="w"),
    Screen(path="/why", handler=post_why, permission="read", method="POST"),
]
