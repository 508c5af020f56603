"""The inbox over HTTP: tokens for apps, made by the network's own service, and the requests made with them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import JSON, answer, read_json, read_query
from notifier.api.recipients import NOBODY, recipient_id
from notifier.api.signatures import by_app_token
from notifier.channels.inbox import component, items
from notifier.channels.inbox.items import INBOX, Counts, Item, View
from notifier.domain.clock import HOUR, SECOND, to_datetime, to_instant
from notifier.domain.deliveries import State
from notifier.domain.identifiers import Id
from notifier.domain.ids import FORM
from notifier.domain.links import APP_TOKEN, AppVisit
from notifier.domain.messages import Report
from notifier.domain.problems import problem
from notifier.domain.text import END
from notifier.store.delivery.notes import Deed
from notifier.texts import publishing
from notifier.why.again import make_again

LIMIT: Final = 20
"""Messages on a page where the app gives no `limit`."""
MOST: Final = 100
"""The largest `limit`: each message is rendered again from its event, some 0.1 ms."""
MAX_BODY: Final = 1024
"""Bytes of a body: an id or an instant."""
SLACK: Final = HOUR
"""Milliseconds by which the clock of a deciding process may lag behind that of a listing one."""
_CURSOR: Final = f"^[0-9]{{1,16}}/{FORM}{END}"


class InboxToken(msgspec.Struct, frozen=True, kw_only=True):
    """An app's token for one person's inbox, valid until `expires_at`; whoever has it sees that inbox."""

    token: str
    expires_at: datetime


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of the list: current messages (`current`), or archived and expired ones (`archived`). `cursor` is the
    previous page's `next`."""

    view: View = "current"
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = LIMIT
    cursor: Annotated[str, msgspec.Meta(max_length=60, pattern=_CURSOR)] | None = None


class InboxItem(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it was sent. `at` is when it was decided, `locale` the language of its words, `action` its `link`'s
    label."""

    id: str
    type: str
    at: datetime
    expires_at: datetime
    locale: str
    title: str
    body: str
    link: str | None
    action: str | None
    seen_at: datetime | None
    read_at: datetime | None
    archived_at: datetime | None


class InboxPage(msgspec.Struct, frozen=True, kw_only=True):
    """Messages, newest first; `next` is the cursor of the page after it, None on the last. `locale` is the person's."""

    locale: str
    items: list[InboxItem]
    next: str | None


class UpTo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All messages from one on and older: `up_to` is the newest that the app has shown, or `until` an instant."""

    up_to: Id | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def newest(self) -> str | int:
        """The id or the instant (epoch milliseconds); raises Problem 42205 unless there is one of them."""
        if self.up_to is not None and self.until is None:
            return self.up_to
        if self.until is not None and self.up_to is None:
            return to_instant(self.until)
        raise problem(42205, "give either up_to (the newest message's id) or until (an instant), not both", "/up_to")


async def post_inbox_token(request: Request, context: ApiContext) -> Response:
    """Make a token by which an app is shown one person's inbox, for an hour.

    Call this from a service of your own that knows who is signed in, never from the app: the key opens everybody's.
    """
    id_, engine = recipient_id(request), context.engine
    if not await items.is_known(engine.database, id_):
        raise problem(40401, NOBODY)
    now = engine.clock.now()
    token = InboxToken(token=engine.links.app_token(INBOX, id_, now), expires_at=to_datetime(now + APP_TOKEN))
    return answer(token, headers={"Cache-Control": "no-store"})


async def get_inbox(request: Request, context: ApiContext) -> Response:
    """Return a page of the person's messages, in the words in which they were sent."""
    listing, engine, visit = read_query(request, Listing), context.engine, _visit(request)
    after = None
    if listing.cursor is not None:
        at, _, last = listing.cursor.partition("/")
        after = int(at), last
    now = engine.clock.now()
    found = await items.page(engine.database, visit.recipient_id, listing.view, after, listing.limit, now)
    if found is None:
        raise _gone()
    await publishing.have_all(engine.database, engine.renderer, ((each.type, each.version) for each in found.items))
    told = [_told(context, each, found.language) for each in found.items]
    last_one = found.items[-1] if found.more else None
    page = InboxPage(
        locale=found.language,
        items=[each for each in told if each is not None],
        next=None if last_one is None else f"{last_one.created_at}/{last_one.id}",
    )
    return answer(page, headers={"Cache-Control": "no-store"})


async def get_unread(request: Request, context: ApiContext) -> Response:
    """Return the number of unread messages, 99 at most; `more` says that there are more."""
    who = _visit(request).recipient_id
    return answer((await look(context, [who]))[who], headers={"Cache-Control": "no-store"})


async def get_stream(request: Request, context: ApiContext) -> Response:
    """Stream unread counts as they change (server-sent events), until the token expires; reload the list at each.

    `Last-Event-ID` leaves out counts that the app already has. At a 204 an app polls instead.
    """
    visit = _visit(request)
    seconds = (visit.until - context.engine.clock.now()) / SECOND
    last = request.headers.get("last-event-id")
    return context.feeds.feed(look, context).follow(visit.recipient_id, last, seconds)


async def look(context: ApiContext, people: Collection[str]) -> Mapping[str, Counts]:
    """Return the counts of these people's inboxes."""
    engine = context.engine
    now = engine.clock.now()
    longest = max((kind.ttl for kind in engine.catalog.types.values() if INBOX in kind.channels), default=0)
    return await items.counts(engine.database, people, now - longest - SLACK, now)


async def post_seen(request: Request, context: ApiContext) -> Response:
    """Mark a message as seen: the person saw it in the list, and didn't open it."""
    return await _one(request, context, "seen")


async def post_read(request: Request, context: ApiContext) -> Response:
    """Mark a message as read: the person opened it. It is delivered, and channels that wait for it stay silent."""
    return await _one(request, context, "read")


async def post_archived(request: Request, context: ApiContext) -> Response:
    """Archive a message."""
    return await _one(request, context, "archived")


async def post_all_seen(request: Request, context: ApiContext) -> Response:
    """Mark all messages up to one as seen."""
    return await _all(request, context, "seen")


async def post_all_read(request: Request, context: ApiContext) -> Response:
    """Mark all messages up to one as read, as if the person had opened each."""
    return await _all(request, context, "read")


async def post_all_archived(request: Request, context: ApiContext) -> Response:
    """Archive all messages up to one."""
    return await _all(request, context, "archived")


async def get_component(request: Request, _context: ApiContext) -> Response:
    """The web component `<notifier-inbox>`, for pages of any origin; with its version (`?v=`) it is good for ever."""
    return component.respond(request)


async def _one(request: Request, context: ApiContext, deed: Deed) -> Response:
    visit, id_, now = _visit(request), request.path_params["id"], context.engine.clock.now()
    if not await items.one(context.engine.database, visit.recipient_id, id_, now):
        raise problem(40401, "there is no such message in this inbox")
    await _note(context, visit, [id_], deed, now)
    return Response(status_code=204)


async def _all(request: Request, context: ApiContext, deed: Deed) -> Response:
    visit, asked, now = _visit(request), await read_json(request, UpTo, MAX_BODY), context.engine.clock.now()
    newest = asked.newest()
    while True:
        found = await items.up_to(context.engine.database, visit.recipient_id, deed, newest, now)
        if found is None:
            raise problem(40401, "there is no such message in this inbox")
        await _note(context, visit, found, deed, now)
        if len(found) < items.TOGETHER:
            return Response(status_code=204)


async def _note(context: ApiContext, visit: AppVisit, ids: list[str], deed: Deed, now: int) -> None:
    if deed == "read" and ids:  # acknowledged first, so that no fallback is sent because the note couldn't be written
        await context.reports.add([Report(delivery=id_, channel=INBOX, state=State.DELIVERED) for id_ in ids])
    if ids and not await items.note(context.engine.database, visit.recipient_id, ids, deed, now):
        raise _gone()


def _told(context: ApiContext, item: Item, language: str) -> InboxItem | None:
    """Return a message as it was sent; None where it can't be rendered any more, as when its type is gone."""
    again = make_again(context.engine.renderer, item, [language], None)
    if again is None:
        return None
    content: Any = again.content
    return InboxItem(
        id=item.id, type=item.type, at=to_datetime(item.created_at), expires_at=to_datetime(item.expires_at),
        locale=item.locale or language, title=content.title, body=content.body, link=content.link,
        action=content.action, seen_at=_when(item.seen_at), read_at=_when(item.read_at),
        archived_at=_when(item.archived_at),
    )  # fmt: skip


def _when(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


def _visit(request: Request) -> AppVisit:
    visit: AppVisit = request.state.signed
    return visit


def _gone() -> Exception:
    return problem(40103, "the person of this token is not known here any more")


_BY_TOKEN: Final = by_app_token(INBOX)


def _for_apps(method: str, path: str, handler: Any, summary: str, **more: Any) -> Endpoint:
    return Endpoint(
        method=method, path=path, scope=None, handler=handler, summary=summary, signed_by=_BY_TOKEN, cross_origin=True,
        **more,
    )  # fmt: skip


ENDPOINTS: Final = [
    Endpoint(
        method="POST",
        path="/v1/recipients/{id}/inbox-token",
        scope="recipients:write",
        handler=post_inbox_token,
        summary="Make a token for a person's inbox",
        gives={200: InboxToken},
        problems=(40401, 42203),
    ),
    _for_apps("GET", "/v1/inbox", get_inbox, "List a person's messages", query=Listing, gives={200: InboxPage}),
    _for_apps("GET", "/v1/inbox/unread", get_unread, "Count a person's unread messages", gives={200: Counts}),
    _for_apps("GET", "/v1/inbox/stream", get_stream, "Stream changes of an inbox", gives={200: None, 204: None}),
    *(
        _for_apps("POST", f"/v1/inbox/{deed}", handler, f"Mark all messages as {deed}", takes={JSON: UpTo},
                  gives={204: None}, problems=(40401,))
        for deed, handler in (("seen", post_all_seen), ("read", post_all_read), ("archived", post_all_archived))
    ),
    *(
        _for_apps("POST", f"/v1/inbox/{{id}}/{deed}", handler, f"Mark a message as {deed}", gives={204: None},
                  problems=(40401,))
        for deed, handler in (("seen", post_seen), ("read", post_read), ("archived", post_archived))
    ),
    Endpoint(
        method="GET",
        path=component.PATH,
        scope=None,
        handler=get_component,
        summary="The web component of the inbox",
        gives={200: None, 304: None},
        cross_origin=True,
    ),
]  # fmt: skip
