"""The service behind the app: it knows whose phone it is, and has the token made that opens their inbox."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from notifier.domain.messages import Device, Private
from notifier.sandbox.service import Access

TIMEOUT: Final = 5
"""Seconds for an answer: whoever waits looks at an empty phone."""
REMEMBERED: Final = 10_000
"""Messages whose recipients are remembered, some 2 MB: a delivery's recipient never changes."""

T = TypeVar("T")


class BackendError(Exception):
    """Notifier refused or didn't answer; the message is for people, and holds nothing about anybody."""


class Person(Private, frozen=True, kw_only=True):
    """A recipient as the app knows them, with all addresses that the sandbox could be sent a message to."""

    id: str
    name: str
    locale: str
    addresses: frozenset[str]


class _Decision(msgspec.Struct):
    recipient: str | None


class _Explanation(msgspec.Struct):
    decisions: list[_Decision]


class _Recipient(Private, frozen=True):
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str = "en"
    devices: list[Device] = []


class _Token(Private, frozen=True):
    token: str


class _Problem(msgspec.Struct):
    detail: str


class Backend:
    """Asks notifier's API with the key that it was given. Each call raises BackendError."""

    def __init__(self, access: Access) -> None:
        self.url = access.url
        self._headers = {"Authorization": f"Bearer {access.key}"}
        self._recipients: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep connections open for the calls within."""
        async with ClientSession(headers=self._headers, timeout=ClientTimeout(total=TIMEOUT)) as self._session:
            yield

    async def people(self, lately: Mapping[str, str]) -> list[Person]:
        """Return whom messages went to, in this order, by the messages' references; `lately` has these by address."""
        recipients = await asyncio.gather(*(self._recipient(each) for each in lately.values()))
        seen: dict[str, set[str]] = {}
        for to, recipient in zip(lately, recipients, strict=True):
            if recipient is not None:
                seen.setdefault(recipient, set()).add(to)
        found = await asyncio.gather(*(self.person(id_, addresses) for id_, addresses in seen.items()))
        return [each for each in found if each is not None]

    async def person(self, id_: str, addresses: Iterable[str] = ()) -> Person | None:
        """Return a recipient, with these addresses beside their own; None where there is none with this id."""
        found = await self._ask("GET", f"/v1/recipients/{quote(id_, safe='')}", _Recipient)
        if found is None:
            return None
        known = {found.email, found.phone, *(device.value for device in found.devices), *addresses}
        return Person(
            id=id_, name=found.name or id_, locale=found.locale, addresses=frozenset(each for each in known if each)
        )

    async def token(self, id_: str) -> str | None:
        """Have a token made for a recipient's inbox; None where there is none with this id."""
        made = await self._ask("POST", f"/v1/recipients/{quote(id_, safe='')}/inbox-token", _Token)
        return None if made is None else made.token

    async def _recipient(self, reference: str) -> str | None:
        """Return whom a message went to by its reference; None where notifier doesn't know of it."""
        if reference not in self._recipients:
            found = await self._ask("GET", f"/v1/explain?delivery={quote(reference, safe='')}", _Explanation)
            recipient = next((each.recipient for each in found.decisions), None) if found is not None else None
            if recipient is None:
                return None
            if len(self._recipients) >= REMEMBERED:
                self._recipients.clear()
            self._recipients[reference] = recipient
        return self._recipients[reference]

    async def _ask(self, method: str, path: str, kind: type[T]) -> T | None:
        """Return the answer to a request; None where notifier finds nothing."""
        try:
            async with self._session.request(method, URL(self.url + path, encoded=True)) as response:
                status, body = response.status, await response.read()
            if status == 200:
                return msgspec.json.decode(body, type=kind)
            detail = msgspec.json.decode(body, type=_Problem).detail
        except (ClientError, TimeoutError):
            raise BackendError("The notifier at NOTIFIER_PUBLIC_URL doesn’t answer. Is its web process up?") from None
        except msgspec.DecodeError:
            raise BackendError("What answers at NOTIFIER_PUBLIC_URL is no notifier.") from None
        if status == 404:
            return None
        raise BackendError(f"notifier answered {status}: {detail}.")
