"""The editor: the texts of one locale on one channel, their variables, and a preview of the message."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self
from zoneinfo import available_timezones

import msgspec
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from notifier.console import tester, wording
from notifier.console.forms import text
from notifier.console.pages import draw, page, query
from notifier.console.preview import PreviewLook, PreviewReader, cost, look, read_reader
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.console.tester import MOST, WINDOW, to_contact
from notifier.console.wording import SPARE_ROWS, Written
from notifier.domain.catalog import NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError, Problem, SendError
from notifier.rendering.language import DEFAULT_LOCALE
from notifier.rendering.locales import check_locale_name
from notifier.rendering.texts import Texts
from notifier.rendering.writing import Table, is_framed, writing
from notifier.store.console import contacts
from notifier.store.console.versions import Draft
from notifier.store.core import audit
from notifier.store.core.audit import AuditEntry
from notifier.store.people import suppressions
from notifier.texts import gate, publishing

DONE = {
    "saved": "Draft saved. Nobody receives these texts until they are published.",
    "begun": "The texts were copied. Now translate them into this language.",
    "removed": "The language was removed from the draft. It stays live until the draft is published.",
}
"""What a page says after it has done something."""

FEW_ZONES = sorted(zone for zone in available_timezones() if zone.startswith(("Europe/", "America/New", "America/Lo")))


class Begun(NamedTuple):
    """What an editor form was made from, kept through resubmissions: the draft's revision, the version that the draft
    started from, and hashes of the texts."""

    revision: str
    based_on: str
    shown: Mapping[str, str] | None

    @classmethod
    def at(cls, draft: Draft, table: Table) -> Self:
        """Return the origin of a form that shows a draft unchanged."""
        return cls(str(draft.revision), str(draft.based_on), wording.marks(table))


@dataclass(frozen=True)
class Editing:
    """The state of an open editor: a type's draft, the locale and channel, the form's contents, and the preview's
    reader."""

    notification_type: NotificationType
    draft: Draft
    wording: dict[str, Texts]
    locale: str
    channel: Channel
    written: Written
    reader: PreviewReader
    samples: Mapping[str, Mapping[str, Any]]
    begun: Begun

    @property
    def changed(self) -> dict[str, Texts]:
        """Return the draft's wording with the form's contents in place."""
        return wording.put(self.wording, self.locale, self.channel, self.written.table)

    @property
    def address(self) -> dict[str, str]:
        """Return the query parameters that lead back to this editor."""
        reader = self.reader
        return {
            "locale": self.locale, "channel": self.channel, "sample": reader.sample, "reader": reader.locale,
            "zone": reader.zone,
        }  # fmt: skip


async def get_edit(request: Request, context: ConsoleContext) -> Response:
    """Show the draft, or the live texts where there is no draft."""
    editing = await _open(request, context, request.query_params)
    return await _page(request, context, editing, notice=DONE.get(request.query_params.get("done", ""), ""))


async def post_preview(request: Request, context: ConsoleContext) -> Response:
    """Show the page as filled in, without saving; a script gets only the preview."""
    editing = await _open(request, context, request.state.form)
    if text(request.state.form, "part") != "preview":
        return await _page(request, context, editing)
    found = await _look(context, editing)
    values = _preview(context, editing, found)
    return HTMLResponse(draw("_preview.html", context, request.state.visit, fragment=True, **values))


async def post_edit(request: Request, context: ConsoleContext) -> Response:
    """Save the draft, unless the template language refuses the texts or somebody else saved first."""
    editing = await _open(request, context, request.state.form)
    saved = await _save(request, context, editing)
    return saved if isinstance(saved, Response) else _to(saved, done="saved")


async def post_test(request: Request, context: ConsoleContext) -> Response:
    """Save the draft and send what the preview shows to a test contact."""
    editing = await _open(request, context, request.state.form)
    saved = await _save(request, context, editing)
    if isinstance(saved, Response):
        return saved
    found = await _look(context, saved)
    told, status = await _test(request, context, saved, found)
    return await _page(request, context, saved, status=status, found=found, tested=told)


async def post_locales(request: Request, context: ConsoleContext) -> Response:
    """Add a language that starts with the texts of an existing one."""
    form = request.state.form
    editing = await _open(request, context, form)
    new = text(form, "new").strip()
    fault = _unspeakable(new, editing)
    if not fault:
        added = {**editing.wording, new: editing.wording[editing.locale]}
        kept = {name: added[name] for name in dict.fromkeys((DEFAULT_LOCALE, new))}
        answer = await gate.preview(context.confined, editing.notification_type, kept, [])
        fault = answer.faults[0].error if answer.faults else ""
    if fault:
        return await _page(request, context, editing, status=422, locale_fault=fault)
    if not await _keep(request, context, editing, added):
        return await _conflict(request, context, editing)
    return _to(replace(editing, locale=new, reader=editing.reader._replace(locale=new)), done="begun")


async def post_remove(request: Request, context: ConsoleContext) -> Response:
    """Remove a language from the draft."""
    editing = await _open(request, context, request.state.form)
    if editing.locale == DEFAULT_LOCALE:
        raise HTTPException(400)
    left = {name: texts for name, texts in editing.wording.items() if name != editing.locale}
    if not await _keep(request, context, editing, left):
        return await _conflict(request, context, editing)
    reader = editing.reader._replace(locale=DEFAULT_LOCALE)
    return _to(replace(editing, locale=DEFAULT_LOCALE, reader=reader), done="removed")


def kind_of(request: Request, context: ConsoleContext) -> NotificationType:
    """Return the notification type that the path names; raises a 404 where there is none."""
    kind = context.engine.catalog.types.get(request.path_params["type"])
    if kind is None:
        raise HTTPException(404)
    return kind


async def _open(request: Request, context: ConsoleContext, asked: Mapping[str, Any]) -> Editing:
    kind = kind_of(request, context)
    draft = await gate.draft(context.engine, kind.id)
    texts = publishing.read(context.engine.renderer, kind.id, draft.wording)
    locale, channel = asked.get("locale") or DEFAULT_LOCALE, asked.get("channel") or kind.channels[0]
    if locale not in texts or channel not in kind.channels:
        raise HTTPException(404)
    channel = Channel(channel)
    posted = request.method == "POST" and writing(channel).boxes[0].part in asked
    samples = await gate.payloads_of(context.engine, kind)
    stands, form = wording.written(texts[locale], channel), getattr(request.state, "form", FormData())
    begun = Begun(text(form, "revision"), text(form, "based_on"), wording.read_marks(form))
    return Editing(
        notification_type=kind,
        draft=draft,
        wording=texts,
        locale=locale,
        channel=channel,
        written=wording.read(form, channel) if posted else stands,
        reader=read_reader(asked, locale, texts, list(samples), kind.samples[0].name),
        samples=samples,
        begun=begun if posted else Begun.at(draft, stands.table),
    )


async def _look(context: ConsoleContext, editing: Editing) -> PreviewLook:
    return await look(
        context,
        editing.notification_type,
        editing.changed,
        editing.locale,
        editing.channel,
        editing.reader,
        editing.samples,
    )


async def _save(request: Request, context: ConsoleContext, editing: Editing) -> Editing | Response:
    """Save the form; return the editor after the save, or a page that says why it wasn't saved."""
    if editing.written.fault:
        return await _page(request, context, editing, status=422)
    found = await _look(context, editing)
    if found.refused:
        return await _page(request, context, editing, status=422, found=found, refused=True)
    if editing.written.table == editing.wording[editing.locale].table(editing.channel):
        return editing
    if not await _keep(request, context, editing, editing.changed):
        return await _conflict(request, context, editing)
    draft = await gate.draft(context.engine, editing.notification_type.id)
    begun = Begun.at(draft, editing.written.table)
    wording = publishing.read(context.engine.renderer, editing.notification_type.id, draft.wording)
    return replace(editing, draft=draft, wording=wording, begun=begun)


async def _keep(request: Request, context: ConsoleContext, editing: Editing, texts: Mapping[str, Texts]) -> bool:
    """Save a wording over the draft that the form was made from; False where the draft has changed since."""
    engine, form = context.engine, request.state.form
    if (text(form, "revision"), text(form, "based_on")) != (str(editing.draft.revision), str(editing.draft.based_on)):
        return False
    try:
        await publishing.save(engine.database, editing.draft, texts, request.state.visit.actor, engine.clock.now())
    except Problem:
        return False
    return True


async def _conflict(request: Request, context: ConsoleContext, editing: Editing) -> Response:
    """Show a conflict: the user's changes in their fields, the present draft in all others, and the draft's text beside
    fields that both changed. Saving again overwrites those."""
    fresh = await _open(request, context, request.state.form)
    theirs = wording.written(fresh.wording[fresh.locale], fresh.channel).table
    # Every part of a form without hashes counts as changed.
    table, both = wording.merged(editing.written.table, theirs, fresh.begun.shown or {}, fresh.channel)
    merged = replace(fresh, written=Written.of(table, fresh.channel), begun=Begun.at(fresh.draft, theirs))
    return await _page(request, context, merged, status=409, conflict=both)


async def _test(request: Request, context: ConsoleContext, editing: Editing, found: PreviewLook) -> tuple[str, int]:
    """Send a test; return the notice to show and the page's status."""
    engine, actor = context.engine, request.state.visit.actor
    now = engine.clock.now()
    contact = await contacts.find(engine.database, text(request.state.form, "contact"))
    content = found.tried.content if found.tried else None
    if contact is None:
        return "Not sent: choose a test contact.", 422
    sample = next((each for each in editing.notification_type.samples if each.name == editing.reader.sample), None)
    if sample is None:
        return "Not sent: a real event's data is personal and goes to nobody else. Choose one of the samples.", 422
    if content is None:
        return "Not sent: no message can be rendered from this sample.", 422
    message = to_contact(contact, editing.notification_type, editing.channel, content, sample.data)
    address = contact.address(editing.channel)
    if message is None:
        return f"Not sent: {contact.name} has no address for {editing.channel}.", 422
    if isinstance(address, str) and await suppressions.reason(engine.database, editing.channel, address):
        return f"Not sent: {contact.name}'s address is suppressed.", 422
    if await audit.count(engine.database, actor, tester.ACTION, now - WINDOW) >= MOST:
        return f"Not sent: you have sent {MOST} tests within 15 minutes. Wait a little.", 429
    of = f"draft {editing.draft.revision}" if editing.draft.revision else f"version {editing.draft.based_on}"
    detail = f"{editing.channel} {editing.locale} of {of} to {contact.name}"
    await audit.tell(
        engine.database,
        AuditEntry(at=now, actor=actor, action=tester.ACTION, subject=editing.notification_type.id, detail=detail),
    )
    outcome = await context.tester.send(editing.channel, message)
    if isinstance(outcome, SendError):
        return f"Not sent: {outcome.provider} says {outcome.code}, {outcome.detail}.", 200
    return f"Sent to {contact.name}: {outcome.provider} accepted it.", 200


def _unspeakable(new: str, editing: Editing) -> str:
    if new in editing.wording:
        return f"The type already has texts in {new}."
    try:
        check_locale_name(new, "Not added")
    except ConfigurationError:
        return "This language is unknown; write it like it, pt-BR or de-AT."
    return ""


def _to(editing: Editing, done: str) -> Response:
    return RedirectResponse(
        f"{BASE}/types/{editing.notification_type.id}/edit{query(**editing.address, done=done)}", 303
    )


async def _page(
    request: Request, context: ConsoleContext, editing: Editing, *, status: int = 200, found: PreviewLook | None = None,
    notice: str = "", refused: bool = False, conflict: Mapping[str, Any] | None = None, tested: str = "",
    locale_fault: str = "",
) -> Response:  # fmt: skip
    if found is None:
        found = await _look(context, editing)
    kind = editing.notification_type
    to = [each for each in await contacts.every(context.engine.database) if each.address(editing.channel)]
    to.sort(key=lambda each: each.name != request.state.visit.session.user)
    return page(
        request, context, "editor.html", status=status, frames_mail=is_framed(editing.channel),
        writing=writing(editing.channel), titles={channel: writing(channel).title for channel in kind.channels},
        spare=SPARE_ROWS, variables=wording.variables(kind), contacts=to, zones=FEW_ZONES, notice=notice,
        refused=refused, conflict=conflict, tested=tested, locale_fault=locale_fault, view=_view(request),
        live=(await gate.live_wording(context.engine, kind.id))[1], **_preview(context, editing, found),
    )  # fmt: skip


def _preview(context: ConsoleContext, editing: Editing, found: PreviewLook) -> dict[str, Any]:
    own, content = writing(editing.channel), found.content
    count = own.measure.of(content) if own.measure and content is not None else None
    return {
        "editing": editing,
        "look": found,
        "content": content,
        "brand": context.brand,
        "cost": cost(editing.channel, count, context.prices),
        "data": msgspec.json.format(msgspec.json.encode(editing.samples[editing.reader.sample])).decode(),
        **(own.preview(content) if content is not None else {}),
    }


def _view(request: Request) -> str:
    form = getattr(request.state, "form", {})
    return str(form.get("view") or "desktop")


SCREENS = [
    Screen(path="/types/{type}/edit", handler=get_edit, permission="read"),
    Screen(path="/types/{type}/edit", handler=post_edit, permission="write", method="POST"),
    Screen(path="/types/{type}/preview", handler=post_preview, permission="write", method="POST"),
    Screen(path="/types/{type}/test", handler=post_test, permission="write", method="POST"),
    Screen(path="/types/{type}/locales", handler=post_locales, permission="write", method="POST"),
    Screen(path="/types/{type}/locales/remove", handler=post_remove, permission="write", method="POST"),
]
