"""API keys: what each may do and how it stands; create, rotate and revoke them. A key's text is shown once."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.domain.clock import parse_duration
from notifier.domain.keys import (
    ANY_PARTY,
    SCOPES,
    TEST_SCOPES,
    ApiKey,
    KeyName,
    find_faults,
    make_key,
    make_successor,
    read_parties,
)
from notifier.store.console import keys

OVERLAPS: Final = ("1 h", "1 d", "7 d", "30 d")
"""How long a key may stay valid beside the one that takes its place."""
USUAL_OVERLAP: Final = "7 d"


class Line(NamedTuple):
    """A key in the list, with how it stands."""

    key: ApiKey
    status: str
    tone: str


class KeyForm(NamedTuple):
    """The form of a new key as it was filled in: sources are a line each, parties stand between blanks or commas."""

    name: str = ""
    scopes: tuple[str, ...] = ()
    sources: str = ""
    types: tuple[str, ...] = ()
    parties: str = ""
    rate: str = ""
    daily: str = ""
    lifetime: str = ""
    test: bool = False


async def get_keys(request: Request, context: ConsoleContext) -> Response:
    """Show all keys and the form to create one."""
    return await _list(request, context)


async def post_keys(request: Request, context: ConsoleContext) -> Response:
    """Create a key and show its text to hand over."""
    form, now = _filled_in(request.state.form), context.engine.clock.now()
    if not {*form.scopes} <= {*SCOPES}:
        raise HTTPException(400)
    bounds, faults = read_bounds(form, context.engine.catalog.event_types)
    if faults:
        return await _list(request, context, status=422, form=form, faults=faults)
    lifetime = bounds.pop("lifetime")
    given, key = make_key(
        form.name, frozenset(form.scopes), now, expires_at=None if lifetime is None else now + lifetime, **bounds
    )
    await keys.add(context.engine.database, key, request.state.visit.actor)
    return page(request, context, "key.html", text=given, key=key, replaced=None)


async def post_rotate(request: Request, context: ConsoleContext) -> Response:
    """Create a key in the place of another, which stays valid for the overlap, and show its text to hand over."""
    database, now, overlap = context.engine.database, context.engine.clock.now(), text(request.state.form, "overlap")
    if overlap not in OVERLAPS:
        raise HTTPException(400)
    held = await _named(request, context)
    given, successor = make_successor(held, now)
    until = now + parse_duration(overlap)
    if not await keys.replace(database, held, successor, until, request.state.visit.actor):
        fault = f"Not rotated: {held.name} ({held.id}) is replaced, revoked or expired. The key in its place can be."
        return await _list(request, context, status=409, fault=fault)
    return page(request, context, "key.html", text=given, key=successor, replaced=await _named(request, context))


async def post_revoke(request: Request, context: ConsoleContext) -> Response:
    """Revoke a key. One that is revoked already stays so."""
    held = await _named(request, context)
    await keys.revoke(context.engine.database, held.id, context.engine.clock.now(), request.state.visit.actor)
    return RedirectResponse(f"{BASE}/keys", 303)


def read_bounds(form: KeyForm, known: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the bounds and the `lifetime` (milliseconds) that a form asks for, and what is wrong by the form's fields.

    `known` are the event types that there are.
    """
    faults: dict[str, str] = {}
    found: dict[str, Any] = {}
    for name, read in _READ.items():
        given = getattr(form, name).strip()
        try:
            found[name] = read(given) if given else None
        except ValueError as error:
            faults[name], found[name] = _FAULTS.get(name) or str(error), None
    try:
        msgspec.convert(form.name, KeyName)
    except msgspec.ValidationError:
        faults["name"] = "one line of 1 to 100 characters"
    sources = tuple(dict.fromkeys(each for line in form.sources.splitlines() if (each := line.strip())))
    parties = found.pop("parties") or ()
    asked = find_faults(
        form.scopes, sources, form.types, parties, found["rate"], found["daily"], test=form.test, known=known
    )
    kept = tuple(sorted({*parties} - {ANY_PARTY}))
    return {**found, "sources": sources, "types": form.types, "parties": kept, "test": form.test}, asked | faults


_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "rate": float, "daily": int, "lifetime": parse_duration, "parties": read_parties,
}  # fmt: skip
_FAULTS: Final = {
    "rate": "a number of events a second, such as 200 or 0.5",
    "daily": "a whole number of events a day, such as 2000000",
}  # fmt: skip


def stand(key: ApiKey, now: int) -> Line:
    """Return how a key stands at an instant."""
    if key.revoked_at is not None:
        return Line(key, "revoked", "bad")
    if not key.good_at(now):
        return Line(key, "expired", "bad")
    return Line(key, "replaced", "warn") if key.replaced_by else Line(key, "valid", "good")


async def _named(request: Request, context: ConsoleContext) -> ApiKey:
    held = await keys.find(context.engine.database, text(request.state.form, "id"))
    if held is None:
        raise HTTPException(404)
    return held


def _filled_in(form: FormData) -> KeyForm:
    return KeyForm(
        name=text(form, "name").strip(), scopes=_ticked(form, "scopes"), sources=text(form, "sources"),
        types=_ticked(form, "types"), parties=text(form, "parties"), rate=text(form, "rate"),
        daily=text(form, "daily"), lifetime=text(form, "lifetime"), test="test" in form,
    )  # fmt: skip


def _ticked(form: FormData, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, form.getlist(name))))


async def _list(
    request: Request, context: ConsoleContext, *, status: int = 200, form: KeyForm | None = None,
    faults: Mapping[str, str] | None = None, fault: str = "",
) -> Response:  # fmt: skip
    now = context.engine.clock.now()
    lines = [stand(key, now) for key in await keys.every(context.engine.database)]
    return page(
        request, context, "keys.html", status=status, form=form or KeyForm(), faults=faults or {}, fault=fault,
        valid=[each for each in lines if each.tone != "bad"], over=[each for each in lines if each.tone == "bad"],
        scopes=SCOPES, test_scopes=TEST_SCOPES, types=sorted(context.engine.catalog.event_types), overlaps=OVERLAPS,
        usual=USUAL_OVERLAP,
    )  # fmt: skip


SCREENS = [
    Screen(path="/keys", handler=get_keys, permission="administer", title="API keys", group="Administer", key="k"),
    Screen(path="/keys", handler=post_keys, permission="administer", method="POST"),
    Screen(path="/keys/rotate", handler=post_rotate, permission="administer", method="POST"),
    Screen(path="/keys/revoke", handler=post_revoke, permission="administer", method="POST"),
]
