"""Pages: templates, their shared filters, and their security headers."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jinja2
import msgspec
from babel import UnknownLocaleError
from markupsafe import Markup
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier.console.screens import BASE, ConsoleContext, ConsoleVisit, Screen
from notifier.domain.channels import FOLDERS
from notifier.domain.clock import DAY, HOUR, MINUTE, SECOND
from notifier.domain.deliveries import State
from notifier.domain.users import PERMISSIONS, csrf_token
from notifier.policy.phrases import REASONS
from notifier.rendering.formats import parse_locale

HERE = Path(__file__).parent
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"

POLICY: Mapping[str, str] = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
FRAMES_MAIL: Mapping[str, str] = {**POLICY, "style-src": "'self' 'unsafe-inline'"}
"""For a page that shows a mail in `<iframe sandbox srcdoc>`: the frame is under its page's policy, and mails bring
styles of their own. Their scripts stay forbidden twice, by this and by the sandbox."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

TONES = {
    State.PENDING: "wait", State.SENDING: "wait", State.SENT: "good", State.DELIVERED: "good", State.UNKNOWN: "warn",
    State.FAILED: "bad", State.UNDELIVERED: "bad",
}  # fmt: skip
"""The look of a state; states that aren't listed ended as intended and have a neutral look."""


class Secured:
    """ASGI middleware that adds `HEADERS` to every answer, except headers that the answer sets itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, secured)


class Asset:
    """A file that pages load, under a name that changes with its content."""

    def __init__(self, file: Path) -> None:
        self.content = file.read_bytes()
        self.media_type = MEDIA_TYPES[file.suffix]
        self.name = f"{file.stem}.{sha256(self.content).hexdigest()[:12]}{file.suffix}"


ASSETS = {file.name: Asset(file) for file in sorted((HERE / "static").iterdir())}
_BY_NAME = {asset.name: asset for asset in ASSETS.values()}


async def get_asset(request: Request) -> Response:
    """Return a style sheet, a script or a picture; 404 for an outdated name."""
    asset = _BY_NAME.get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": FOR_EVER})


def page(
    request: Request,
    context: ConsoleContext,
    template: str,
    *,
    status: int = 200,
    frames_mail: bool = False,
    **values: Any,
) -> Response:
    """Return a page for the visitor, with the navigation of their role."""
    visit: ConsoleVisit = request.state.visit
    headers = None
    if frames_mail:
        policy = "; ".join(f"{name} {value}" for name, value in FRAMES_MAIL.items())
        headers = {"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
    return HTMLResponse(draw(template, context, visit, path=request.url.path, **values), status, headers)


def draw(template: str, context: ConsoleContext, visit: ConsoleVisit, **values: Any) -> str:
    """Render a template to HTML."""
    session = visit.session
    may = PERMISSIONS[session.role] if session else frozenset()
    return _ENVIRONMENT.get_template(template).render(
        session=session,
        may=may,
        csrf=csrf_token(visit.cookie),
        navigation=_navigation(context.screens, may),
        now=context.engine.clock.now(),
        **values,
    )


def problem_page(status: int, title: str, told: str) -> Response:
    """Return an error page in plain words."""
    return HTMLResponse(_ENVIRONMENT.get_template("problem.html").render(status=status, title=title, told=told), status)


def _navigation(screens: Any, may: frozenset[str]) -> dict[str, list[Screen]]:
    groups: dict[str, list[Screen]] = {}
    for screen in screens:
        if screen.title and screen.permission in may:
            groups.setdefault(screen.group, []).append(screen)
    return groups


def moment(instant: int | datetime) -> str:
    """Format an instant to the second, always marked as UTC."""
    return f"{_at(instant):%Y-%m-%d %H:%M:%S} UTC"


def theirs(instant: int | datetime, zone: str) -> str:
    """Format an instant by a person's clock: "18:40:00 in Europe/Berlin", with the day where it differs from UTC's."""
    try:
        here = _at(instant).astimezone(ZoneInfo(zone))
    except (ValueError, OSError, ZoneInfoNotFoundError):  # a time zone that this machine lacks
        return f"their clock is in {zone}"
    return f"{here:{'%H:%M:%S' if here.date() == _at(instant).date() else '%Y-%m-%d %H:%M:%S'}} in {zone}"


def _at(instant: int | datetime) -> datetime:
    return datetime.fromtimestamp(instant / SECOND, UTC) if isinstance(instant, int) else instant.astimezone(UTC)


def duration(milliseconds: float) -> str:
    """Format a span in its two largest units: "850 ms", "12 s", "3 min 5 s", "2 d 4 h"."""
    if milliseconds < SECOND:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 10 * SECOND:
        return f"{milliseconds / SECOND:.1f} s"
    seconds = int(milliseconds // SECOND)
    for unit, size, smaller, rest in (("d", DAY, "h", HOUR), ("h", HOUR, "min", MINUTE), ("min", MINUTE, "s", SECOND)):
        if milliseconds >= size:
            left = seconds * SECOND % size // rest
            return f"{seconds * SECOND // size} {unit}" + (f" {left} {smaller}" if left else "")
    return f"{seconds} s"


def percent(share: float) -> str:
    """Format a share from 0 to 1: "84.9%", and "100%" of all alone."""
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def words(value: str | None) -> str:
    """Return an identifier as words, without underscores."""
    return (value or "").replace("_", " ")


def why(reason: str | None) -> str:
    """Return a reason in words, as a sentence where there is one for it."""
    return REASONS.get(reason or "", words(reason))


def language(locale: str) -> str:
    """Return the English name of a locale: "German", "German (Austria)"."""
    return str(parse_locale(locale).get_display_name("en"))


def spoken(locale: str | None) -> Markup:
    """Return the `lang` and `dir` attributes of an element that holds text in a locale."""
    try:
        return Markup('lang="{}" dir="{}"').format(locale, parse_locale(locale or "").text_direction)
    except (ValueError, UnknownLocaleError):  # unknown, or not a valid locale
        return Markup('dir="auto"')


def plainly(value: Any) -> str:
    """Format a nested value for reading: "charging: sms: off"."""
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case dict():
            return "; ".join(f"{words(str(name))}: {plainly(each)}" for name, each in value.items()) or "nothing"
        case list() | tuple():
            return ", ".join(plainly(each) for each in value) or "none"
        case _:
            return str(value)


def query(**parameters: Any) -> str:
    """Return the query string `?…` of the parameters that are given."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"?{urlencode(given)}" if given else ""


def _environment() -> jinja2.Environment:
    own = jinja2.FileSystemLoader(HERE / "templates")
    channels = jinja2.PrefixLoader({"channels": jinja2.FileSystemLoader(FOLDERS)})  # `channels/<name>/preview.html`
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([own, channels]), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    filters: dict[str, Callable[..., Any]] = {
        "moment": moment, "duration": duration, "words": words, "why": why, "grouped": lambda number: f"{number:,}",
        "iso": lambda instant: f"{datetime.fromtimestamp(instant / SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "as_json": lambda value: msgspec.json.encode(value).decode(), "theirs": theirs, "language": language,
        "plainly": plainly, "percent": percent, "parts": msgspec.structs.asdict,
        "who": lambda actor: actor.removeprefix("console:"),
        "tone": lambda state: TONES.get(state, "quiet"),
    }  # fmt: skip
    environment.filters |= filters
    environment.globals |= {
        "base": BASE,
        "query": query,
        "spoken": spoken,
        "asset": lambda name: f"{BASE}/static/{ASSETS[name].name}",
    }
    return environment


_ENVIRONMENT = _environment()
