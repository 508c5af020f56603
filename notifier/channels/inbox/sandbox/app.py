"""The app's pages: the inbox of one person by `<notifier-inbox>`, or the people to choose from.

The query says whose: `app` is a recipient's id, else `to` are addresses, as on the sandbox's page. Addresses of one
person lead to that person's inbox.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from yarl import URL

from notifier.channels.inbox import component
from notifier.channels.inbox.sandbox.backend import Backend, BackendError, Person
from notifier.rendering.formats import parse_locale
from notifier.runtime.guard import is_loopback
from notifier.sandbox.column import SEARCHED, link
from notifier.sandbox.inbox import ADDRESSES
from notifier.sandbox.service import Host
from notifier.sandbox.stand_in import stand_ins

PATH: Final = "/app"

_FOLDER: Final = Path(__file__).parent
_FILES: Final = {"app.css": "text/css", "app.js": "text/javascript"}
_HEADERS: Final = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class App:
    """The app's pages, the files that they load, and where their script gets a token."""

    def __init__(self, host: Host, backend: Backend) -> None:
        self._host = host
        self._backend = backend
        origin = URL(backend.url).origin()
        # What an app's maker is told to allow (docs/inbox.md), and no more.
        self._scripted = f"{_POLICY}; script-src 'self' {origin}; connect-src 'self' {origin}"
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self._page), web.post(f"{PATH}/token", self._token), web.get(f"{PATH}/{{name}}", self._file)
        ]  # fmt: skip

    async def _page(self, request: web.Request) -> web.Response:
        id_, picked = request.query.get("app"), frozenset(request.query.getall("to", []))
        try:
            if id_ is not None:
                person = await self._backend.person(id_)
                return self._told("That person is not known any more.") if person is None else self._inbox(person)
            people = await self._backend.people(self._lately(picked))
        except BackendError as error:
            return self._told(str(error))
        return self._inbox(people[0]) if picked and len(people) == 1 else self._choice(people)

    async def _token(self, request: web.Request) -> web.Response:
        """Answer with a token for the person that the query names: here everybody is signed in."""
        if not is_loopback(request.url.host):  # a site's name that leads to this machine makes its pages no app of ours
            raise web.HTTPForbidden
        try:
            token = await self._backend.token(request.query.get("app", ""))
        except BackendError:
            raise web.HTTPBadGateway from None
        if token is None:
            raise web.HTTPNotFound
        return web.Response(text=token, headers=_HEADERS)

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in _FILES:
            raise web.HTTPNotFound
        return web.Response(text=(_FOLDER / name).read_text("utf-8"), content_type=_FILES[name], headers=_HEADERS)

    def _lately(self, picked: frozenset[str]) -> Mapping[str, str]:
        """Return the reference of the latest message to each of these addresses, or to each that the page offers."""
        found: dict[str, str] = {}
        for channel in stand_ins():
            latest: dict[str, str] = {}
            for entry in islice(self._host.ledger.latest(channel, picked), SEARCHED):
                latest.setdefault(entry.to, entry.reference)
            found.update(islice(latest.items(), ADDRESSES))
        return found

    def _inbox(self, person: Person) -> web.Response:
        shown = {
            "person": person, "direction": parse_locale(person.locale).text_direction, "src": self._backend.url,
            "script": self._backend.url + component.PATH,
        }  # fmt: skip
        return self._drawn("app.html", self._scripted, shown)

    def _choice(self, people: list[Person]) -> web.Response:
        rows = [(each, link(each.addresses, app=each.id)) for each in people]
        return self._drawn("people.html", _POLICY, {"rows": rows, "problem": ""})

    def _told(self, problem: str) -> web.Response:
        return self._drawn("people.html", _POLICY, {"rows": [], "problem": problem})

    def _drawn(self, template: str, policy: str, shown: Mapping[str, Any]) -> web.Response:
        page = self._environment.get_template(template).render(**shown)
        headers = {**_HEADERS, "Content-Security-Policy": policy}
        return web.Response(text=page, content_type="text/html", charset="utf-8", headers=headers)
