"""Forms submitted after their session ended, carried over the sign-in so that nothing written is lost.

The form goes back to the browser that sent it, inside the sign-in page, and nowhere else: nothing of it is stored. Once
its writer has signed in again, a page shows it and asks. Only that page's button does what the form asked for, with a
token of the new session, so that a form which comes from elsewhere can do nothing.
"""

import base64
import binascii
import zlib
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from notifier.console.forms import MAX_FORM, text
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext
from notifier.console.visits import FIELD, is_ours
from notifier.domain.users import PERMISSIONS

WRITER = "writer"
"""The field of every form with the user for whom its page was rendered."""
KEPT = "kept"
"""The field of the sign-in page that holds a form."""
SECRETS = frozenset({"old", "new", "again"})
"""Fields of `/account/password`: no page ever holds a password, so these are typed again."""

_LEFT_OUT = frozenset({FIELD, WRITER})
_PASSWORD = "/account/password"  # noqa: S105
_WITHOUT_CONTENT = frozenset({"/sign-in", "/sign-out"})


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A form carried over the sign-in: its writer, the path below `BASE` that it was sent to, and its fields in
    order."""

    writer: str
    path: str
    fields: list[tuple[str, str]]

    def __repr__(self) -> str:
        return f"<Carried to {self.path}>"


_OF_THE_FORM = frozenset({"shown", "revision", "based_on"})
"""Fields that no user fills in: the form's own."""


def of(request: Request) -> Carried | None:
    """Return the posted form, where it was sent from a page of ours and holds input that could be lost."""
    form: FormData = request.state.form
    path = request.url.path.removeprefix(BASE)
    if not text(form, WRITER) or path in _WITHOUT_CONTENT:
        return None
    if not is_ours(request.state.visit, text(form, FIELD)) and not _is_from_here(request):
        return None
    left_out = _LEFT_OUT | (SECRETS if path == _PASSWORD else frozenset())
    fields = [(name, str(value)) for name, value in form.multi_items() if name not in left_out]
    return Carried(writer=text(form, WRITER), path=path, fields=fields)


def pack(carried: Carried | None) -> str:
    """Encode a form as the value of one field; compressed, so that a form at the size limit still fits into another."""
    if carried is None:
        return ""
    return base64.urlsafe_b64encode(zlib.compress(msgspec.json.encode(carried))).decode()


def unpack(packed: str) -> Carried | None:
    """Decode a form that `pack` encoded; None for anything else."""
    try:
        inflating = zlib.decompressobj()
        told = inflating.decompress(base64.urlsafe_b64decode(packed), 3 * MAX_FORM)
        carried = msgspec.json.decode(told, type=Carried)
    except (ValueError, binascii.Error, zlib.error, msgspec.DecodeError):
        return None
    return carried if carried.path.startswith("/") else None


def ask(request: Request, context: ConsoleContext, carried: Carried, *, status: int = 200) -> Response:
    """Show the form to its writer after sign-in and ask whether to submit it; another user's form isn't shown."""
    session = request.state.visit.session
    theirs = session.user == carried.writer
    screen, at = _screen(context, carried.path)
    may = screen is not None and screen.permission in PERMISSIONS[session.role]
    if carried.path == _PASSWORD:
        at = "/account"
    return page(
        request, context, "carry_on.html", status=status, carried=carried if theirs and may else None, theirs=theirs,
        writer=carried.writer if theirs else "", again=carried.path == _PASSWORD, back=f"{BASE}{at}",
        shown=[(name, value) for name, value in carried.fields if value.strip() and name not in _OF_THE_FORM],
        locale=dict(carried.fields).get("locale", ""),
    )  # fmt: skip


def _screen(context: ConsoleContext, path: str) -> tuple[Any, str]:
    """Find the screen that accepts a form sent to a path, and the nearest page above that can be opened."""
    posts = [each for each in context.screens if each.method == "POST" and _fits(each.path, path)]
    pages = [each for each in context.screens if each.method == "GET"]
    at = path
    while at and not any(_fits(each.path, at) for each in pages):
        at = at.rpartition("/")[0]
    return (posts[0] if posts else None), at or "/health"


def _fits(pattern: str, path: str) -> bool:
    parts, given = pattern.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part == other or (part.startswith("{") and other) for part, other in zip(parts, given, strict=True)
    )


def _is_from_here(request: Request) -> bool:
    """Whether the browser states that a page of this site sent the form, which no other site can forge."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", " ")
