"""Texts over HTTP: read them, check a change before anybody gets it, draft it, and publish the draft.

Nothing is published but through the gate, and by a key only what somebody else has drafted. No answer holds data of
real events: what is shown is made of the types' samples.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_json
from notifier.domain.catalog import LOCALE_NAME, Class, NotificationType
from notifier.domain.clock import to_datetime
from notifier.domain.deliveries import Channel
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.domain.text import END
from notifier.rendering.changes import TextExample
from notifier.rendering.findings import LintFinding
from notifier.rendering.texts import Texts, texts_type, unkept
from notifier.store.console import versions
from notifier.store.console.versions import Draft
from notifier.texts import gate, publishing
from notifier.texts.gate import GateReport
from notifier.texts.publishing import Reason

MAX_BODY = 1024 * 1024  # bytes: a type's texts in every language take a few thousand
FIRST = 3  # findings in a refusal: the rest is asked for by a check

Locale = Annotated[str, msgspec.Meta(pattern=f"^{LOCALE_NAME.pattern}{END}", max_length=16)]
if TYPE_CHECKING:
    Wording = dict[Locale, Texts]
else:
    Wording = dict[Locale, texts_type()]
"""A type's texts by locale."""
Revision = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 2)]


class TextSummary(msgspec.Struct, frozen=True, kw_only=True, rename={"class_": "class"}):
    """A notification type, the version of its texts that is live, and whether somebody drafts another."""

    type: str
    name: str
    class_: Class
    channels: tuple[Channel, ...]
    version: int
    drafted: bool


class TextList(msgspec.Struct, frozen=True):
    """All notification types."""

    types: list[TextSummary]


class DraftView(msgspec.Struct, frozen=True, kw_only=True):
    """A draft: who saved it last and how often it was saved (`revision`), and the version that it is based on."""

    texts: Wording
    revision: int
    based_on: int
    actor: str
    updated_at: datetime


class TextsView(msgspec.Struct, frozen=True, kw_only=True):
    """A type's live texts by locale, and its draft; version 0 are the texts that ship."""

    type: str
    version: int
    texts: Wording
    draft: DraftView | None


class NewDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All texts of a type as they should be, over the draft's `revision` that was read; 0 where there was none."""

    texts: Wording
    revision: Revision


class SavedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The draft's revision after the save."""

    type: str
    revision: int
    based_on: int


class TextsToCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The texts to check: these, else the draft, else the live ones."""

    texts: Wording | None = None


class TextChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """What changes in a locale on a channel, with examples made of samples; `gained` and `lost` are the fields named.

    `most_before` and `most_after` are what a message takes at most of what the channel counts, such as SMS segments.
    """

    locale: str
    channel: Channel
    gained: list[str]
    lost: list[str]
    most_before: int | None
    most_after: int | None
    examples: list[TextExample]


class TextCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's findings on texts, and what they change for people. `blocked`: an error keeps them from being
    published; `needs_reason`: a warning asks for a reason."""

    type: str
    blocked: bool
    needs_reason: bool
    findings: list[LintFinding]
    locales_gained: list[str]
    locales_lost: list[str]
    changes: list[TextChangeView]


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which draft to publish, by the `revision` that was checked, and why; a warning requires a reason."""

    revision: Revision
    why: Reason = ""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The version that is live now, and the findings that didn't keep it back."""

    type: str
    version: int
    findings: list[LintFinding]


async def get_texts(_request: Request, context: ApiContext) -> Response:
    """List the notification types with the version of their texts."""
    database = context.engine.database
    live, drafts = await versions.live(database), await versions.drafts(database)
    types = [
        TextSummary(
            type=kind.id, name=kind.name, class_=kind.class_, channels=kind.channels, version=live.get(kind.id, 0),
            drafted=kind.id in drafts,
        )
        for kind in context.engine.catalog.types.values()
    ]  # fmt: skip
    return answer(TextList(types))


async def get_texts_of(request: Request, context: ApiContext) -> Response:
    """Return a type's live texts in every locale, and the draft where somebody works on one."""
    kind, engine = _kind(request, context), context.engine
    wording, version = await gate.live_wording(engine, kind.id)
    draft = await versions.draft(engine.database, kind.id)
    drafted = None if draft is None else _draft_view(context, kind, draft)
    return answer(TextsView(type=kind.id, version=version, texts=wording, draft=drafted))


async def put_draft(request: Request, context: ApiContext) -> Response:
    """Save a draft of a type's texts. Nobody gets them until the draft is published, by a person in the console or with
    another key.

    The revision that was read keeps two from overwriting each other: with another one the answer is 409.
    """
    kind, engine, key = _kind(request, context), context.engine, _key(request)
    given = await read_json(request, NewDraft, MAX_BODY)
    await _refuse_unusable(context, kind, given.texts)
    before = await gate.draft(engine, kind.id)
    if before.revision != given.revision:
        raise problem(40902, f"the draft of {kind.id} is at revision {before.revision}", "/revision")
    saved = await publishing.save(engine.database, before, given.texts, key.name, engine.clock.now())
    return answer(SavedDraft(type=kind.id, revision=saved.revision, based_on=saved.based_on))


async def post_check(request: Request, context: ApiContext) -> Response:
    """Check texts as the gate does before a publication, and compare the messages with those of the live texts."""
    kind, engine = _kind(request, context), context.engine
    wording = (await read_json(request, TextsToCheck, MAX_BODY)).texts
    if wording is None:
        wording = publishing.read(engine.renderer, kind.id, (await gate.draft(engine, kind.id)).wording)
    else:
        _refuse_unkept(wording)
    samples = {sample.name: sample.data for sample in kind.samples}
    return answer(_check_view(kind, await gate.check(engine, context.confined, kind.id, wording, samples)))


async def post_publish(request: Request, context: ApiContext) -> Response:
    """Publish a draft that passes the gate: from then on people get these texts. A key can't publish what it saved
    itself."""
    kind, engine, key = _kind(request, context), context.engine, _key(request)
    given = await read_json(request, Publication, MAX_BODY)
    draft = await versions.draft(engine.database, kind.id)
    if draft is None:
        raise problem(40401, f"{kind.id} has no draft")
    if draft.revision != given.revision:
        raise problem(40902, f"the draft of {kind.id} is at revision {draft.revision}", "/revision")
    if draft.actor == key.name:
        raise problem(40305, f"the key {key.id} saved this draft, or one of the same name did")
    new, checked = await gate.publish(
        engine, context.confined, kind.id, publishing.read(engine.renderer, kind.id, draft.wording),
        based_on=draft.based_on, actor=key.name, why=given.why, origin="api", drafted=draft.revision,
    )  # fmt: skip
    if new is None:
        raise _refused(checked)
    return answer(Published(type=kind.id, version=new.number, findings=checked.findings))


def _kind(request: Request, context: ApiContext) -> NotificationType:
    kind = context.engine.catalog.types.get(request.path_params["type"])
    if kind is None:
        raise problem(40401, "there is no such notification type; GET /v1/texts lists them")
    return kind


def _key(request: Request) -> ApiKey:
    key: ApiKey = request.state.key
    return key


def _draft_view(context: ApiContext, kind: NotificationType, draft: Draft) -> DraftView:
    return DraftView(
        texts=publishing.read(context.engine.renderer, kind.id, draft.wording), revision=draft.revision,
        based_on=draft.based_on, actor=draft.actor, updated_at=to_datetime(draft.updated_at),
    )  # fmt: skip


def _refuse_unkept(wording: dict[str, Texts]) -> None:
    """Raise Problem 42207 for a part that the database couldn't keep."""
    for locale, texts in wording.items():
        for channel, part, fault in unkept(texts):
            raise problem(42207, fault, _pointer(locale, channel, part))


async def _refuse_unusable(context: ApiContext, kind: NotificationType, wording: dict[str, Texts]) -> None:
    """Raise Problem 42207 for texts of which no message can be made."""
    _refuse_unkept(wording)
    tried = await gate.preview(context.confined, kind, wording, [])
    for fault in tried.faults:
        raise problem(42207, fault.error, _pointer(fault.locale, fault.channel, fault.part))
    if tried.end != "done":
        raise problem(42207, "these texts take too long to compile; make them simpler or shorter", "/texts")


def _pointer(*steps: str) -> str:
    return "/".join(("/texts", *filter(None, steps)))


def _refused(checked: GateReport) -> Problem:
    """Return why the gate lets a draft not pass: its first errors, or the warnings that ask for a reason."""
    level = "error" if checked.blocked else "warning"
    found = [each for each in checked.findings if each.level == level]
    told = "; ".join(": ".join(filter(None, (each.place, each.words))) for each in found[:FIRST])
    more = f"; and {len(found) - FIRST} more" if len(found) > FIRST else ""
    if checked.blocked:
        return problem(42207, f"errors keep the draft from being published: {told}{more}", "/revision")
    return problem(42207, f"warnings ask for a reason: {told}{more}", "/why")


def _check_view(kind: NotificationType, checked: GateReport) -> TextCheck:
    found = checked.changes
    return TextCheck(
        type=kind.id, blocked=checked.blocked, needs_reason=checked.doubtful, findings=checked.findings,
        locales_gained=found.locales_gained, locales_lost=found.locales_lost,
        changes=[
            TextChangeView(
                locale=each.locale, channel=each.channel, gained=each.gained, lost=each.lost,
                most_before=each.most[0] if each.most else None, most_after=each.most[1] if each.most else None,
                examples=each.examples,
            )
            for each in found.changed
        ],
    )  # fmt: skip


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/texts",
        scope="texts:read",
        handler=get_texts,
        summary="List the types with the version of their texts",
        gives={200: TextList},
    ),
    Endpoint(
        method="GET",
        path="/v1/texts/{type}",
        scope="texts:read",
        handler=get_texts_of,
        summary="Read a type's texts and its draft",
        gives={200: TextsView},
        problems=(40401,),
    ),
    Endpoint(
        method="PUT",
        path="/v1/texts/{type}/draft",
        scope="texts:write",
        handler=put_draft,
        summary="Save a draft of a type's texts",
        takes={"application/json": NewDraft},
        gives={200: SavedDraft},
        problems=(40401, 40902, 42205, 42207),
    ),
    Endpoint(
        method="POST",
        path="/v1/texts/{type}/check",
        scope="texts:read",
        handler=post_check,
        summary="Check texts, and say what they change for people",
        takes={"application/json": TextsToCheck},
        gives={200: TextCheck},
        problems=(40401, 42205, 42207),
    ),
    Endpoint(
        method="POST",
        path="/v1/texts/{type}/publish",
        scope="texts:publish",
        handler=post_publish,
        summary="Publish a draft that somebody else has saved",
        takes={"application/json": Publication},
        gives={200: Published},
        problems=(40305, 40401, 40902, 42205, 42207),
    ),
]
