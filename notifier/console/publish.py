"""Publish: a draft's findings, its changes for people, and a reason; the list of versions, and rollback."""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console.editor import kind_of
from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.preview import cost
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.domain.catalog import NotificationType
from notifier.domain.errors import Problem
from notifier.rendering.texts import Texts, WordingPart, places
from notifier.rendering.writing import writing
from notifier.store.console import versions
from notifier.store.console.versions import Draft, Version
from notifier.texts import gate, publishing
from notifier.texts.gate import GateReport
from notifier.texts.publishing import MAX_REASON

DIGITS = 9  # digits of a number that every database's INTEGER holds

_WORDS = re.compile(r"\S+[^\S\n]*|\s+")  # line breaks are runs of their own: a word is equal with and without one


class Run(NamedTuple):
    """A run of words of a text, and whether the other text has it too."""

    text: str
    same: bool


class Differs(NamedTuple):
    """One part of a wording compared with the same part of another."""

    place: WordingPart
    before: list[Run]
    after: list[Run]

    @property
    def same(self) -> bool:
        """Whether both wordings agree in this part."""
        return self.before == self.after

    @property
    def part(self) -> str:
        """Return the part's name as people know it; a row's label."""
        rows = writing(self.place.channel).rows
        return self.place.part.replace(f"{rows.part}.", f"{rows.label.lower()}: ") if rows else self.place.part


async def get_publish(request: Request, context: ConsoleContext) -> Response:
    """Show the draft's findings and what it changes."""
    kind = kind_of(request, context)
    return await _page(request, context, kind)


async def post_publish(request: Request, context: ConsoleContext) -> Response:
    """Publish the draft that the page showed, unless an error blocks it or a reason is missing."""
    kind, form, engine = kind_of(request, context), request.state.form, context.engine
    draft = await versions.draft(engine.database, kind.id)
    if draft is None or str(draft.revision) != text(form, "revision"):
        return await _page(request, context, kind, status=409, moved=True)
    why = text(form, "why").strip()
    if len(why) > MAX_REASON:
        return await _page(request, context, kind, status=422, why=why, fault=f"At most {MAX_REASON} characters.")
    try:
        # The changes were shown against the version live then, which is what the publication builds on.
        wording = publishing.read(engine.renderer, kind.id, draft.wording)
        new, checked = await gate.publish(
            engine, context.confined, kind.id, wording, based_on=_number(form, "live"),
            actor=request.state.visit.actor, why=why, origin="console", drafted=draft.revision,
        )  # fmt: skip
    except Problem:
        return await _page(request, context, kind, status=409, moved=True)
    if new is None:
        fault = "" if checked.blocked else "There are warnings: give a reason to publish anyway."
        return await _page(request, context, kind, status=422, why=why, fault=fault, checked=checked)
    return RedirectResponse(f"{BASE}/types/{kind.id}/versions?done={new.number}", 303)


async def post_discard(request: Request, context: ConsoleContext) -> Response:
    """Discard the draft that the page showed."""
    kind, engine = kind_of(request, context), context.engine
    revision, actor = _number(request.state.form, "revision"), request.state.visit.actor
    if not await versions.drop_draft(engine.database, kind.id, revision, actor, engine.clock.now()):
        return await _page(request, context, kind, status=409, moved=True)
    return RedirectResponse(f"{BASE}/types/{kind.id}/versions", 303)


async def get_versions(request: Request, context: ConsoleContext) -> Response:
    """Show every version of a type, newest first."""
    kind = kind_of(request, context)
    every = await versions.every(context.engine.database, kind.id)
    draft = await versions.draft(context.engine.database, kind.id)
    done = request.query_params.get("done", "")
    return page(request, context, "versions.html", kind=kind, every=every, draft=draft, done=done)


async def get_version(request: Request, context: ConsoleContext) -> Response:
    """Show the texts of a version compared with the live ones."""
    kind = kind_of(request, context)
    return await _version(request, context, kind)


async def post_roll_back(request: Request, context: ConsoleContext) -> Response:
    """Roll back: publish an earlier version again, with a reason."""
    kind, form = kind_of(request, context), request.state.form
    why = text(form, "why").strip()
    if not why or len(why) > MAX_REASON:
        fault = f"At most {MAX_REASON} characters." if why else "Give a reason."
        return await _version(request, context, kind, status=422, why=why, fault=fault)
    number = (await _found(request, context, kind)).number
    try:
        new, checked = await gate.roll_back(
            context.engine, context.confined, kind.id, number, based_on=_number(form, "live"),
            actor=request.state.visit.actor, why=why,
        )  # fmt: skip
    except Problem:
        fault = "Another version has been published meanwhile. Check what is live now."
        return await _version(request, context, kind, status=409, why=why, fault=fault)
    if new is None:
        return await _version(request, context, kind, status=422, why=why, checked=checked)
    return RedirectResponse(f"{BASE}/types/{kind.id}/versions?done={new.number}", 303)


def runs(before: str, after: str) -> tuple[list[Run], list[Run]]:
    """Split two texts into runs of words that both have or only one has."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    told: tuple[list[Run], list[Run]] = ([], [])
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for side, words in zip(told, (old[a:b], new[c:d]), strict=True):
            if words:
                side.append(Run("".join(words), tag == "equal"))
    return told


def differences(kind: NotificationType, before: Mapping[str, Texts], after: Mapping[str, Texts]) -> list[Differs]:
    """Compare two wordings part by part and mark where they differ."""
    old, new = ({each[:3]: each for each in places(kind, wording)} for wording in (before, after))
    return [
        Differs(new.get(key) or old[key], *runs(*(side[key].source if key in side else "" for side in (old, new))))
        for key in dict.fromkeys([*new, *old])
    ]


async def _page(
    request: Request, context: ConsoleContext, kind: NotificationType, *, status: int = 200, why: str = "",
    fault: str = "", moved: bool = False, checked: GateReport | None = None,
) -> Response:  # fmt: skip
    draft = await versions.draft(context.engine.database, kind.id)
    if draft is not None and checked is None:
        checked = await gate.check(
            context.engine, context.confined, kind.id, publishing.read(context.engine.renderer, kind.id, draft.wording)
        )
    between = await _between(context, draft, checked)
    return page(
        request, context, "publish.html", status=status, kind=kind, draft=draft, checked=checked, why=why, fault=fault,
        moved=moved, between=between, most=MAX_REASON, **_helpers(context),
    )  # fmt: skip


async def _between(context: ConsoleContext, draft: Draft | None, checked: GateReport | None) -> Sequence[Version]:
    """Return the versions published since a draft was begun, whose changes the draft would undo."""
    if draft is None or checked is None or draft.based_on == checked.based_on:
        return []
    every = await versions.every(context.engine.database, draft.type)
    return [each for each in every if each.number > draft.based_on]


async def _version(
    request: Request, context: ConsoleContext, kind: NotificationType, *, status: int = 200, why: str = "",
    fault: str = "", checked: GateReport | None = None,
) -> Response:  # fmt: skip
    found = await _found(request, context, kind)
    wording, live = await gate.live_wording(context.engine, kind.id)
    parts = differences(kind, wording, publishing.read(context.engine.renderer, kind.id, found.wording))
    return page(
        request, context, "version.html", status=status, kind=kind, version=found, live=live, parts=parts, why=why,
        fault=fault, checked=checked, most=MAX_REASON,
    )  # fmt: skip


async def _found(request: Request, context: ConsoleContext, kind: NotificationType) -> Version:
    number = request.path_params["number"]
    found = await versions.get(context.engine.database, kind.id, int(number)) if _is_number(number) else None
    if found is None:
        raise HTTPException(404)
    return found


def _helpers(context: ConsoleContext) -> dict[str, Any]:
    return {
        "runs": runs,
        "cost": lambda channel, count: cost(channel, count, context.prices),
        "measure_of": lambda channel: writing(channel).measure,
    }


def _number(form: Any, name: str) -> int:
    given = text(form, name)
    if not _is_number(given):
        raise HTTPException(400)
    return int(given)


def _is_number(given: str) -> bool:
    return given.isascii() and given.isdigit() and len(given) <= DIGITS


SCREENS = [
    Screen(path="/types/{type}/publish", handler=get_publish, permission="write"),
    Screen(path="/types/{type}/publish", handler=post_publish, permission="publish", method="POST"),
    Screen(path="/types/{type}/discard", handler=post_discard, permission="write", method="POST"),
    Screen(path="/types/{type}/versions", handler=get_versions, permission="read"),
    Screen(path="/types/{type}/versions/{number}", handler=get_version, permission="read"),
    Screen(path="/types/{type}/versions/{number}", handler=post_roll_back, permission="publish", method="POST"),
]
