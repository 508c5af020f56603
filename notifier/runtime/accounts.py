"""Accounts at providers, as the settings name them: a URL each, several with spaces, line ends or commas between them.

    fcm:///etc/notifier/service-account.json?rate=5000&connections=200
    smtp+starttls://user:password@mail.example.com:587?connections=10

What kinds there are, and their schemes, is declared by each channel's folder (`notifier/channels/*/settings.py`). Every
one takes `name`, `weight`, `rate` and `connections`. What a URL gives a meaning (`@ : / ? # & %`, a comma, a
space) is percent-encoded where it is part of a name or a password (RFC 3986 §2.1).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Generic, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Private
from notifier.runtime.addresses import host_name, web_address
from notifier.runtime.own_settings import Setting, looked_at
from notifier.runtime.settings import PREFIX, Settings

MAX_NAME: Final = 40
"""Characters of a provider's name: the width of the column delivery.provider."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]*\Z")]
Word = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_SEPARATORS: Final = re.compile(r"[\s,]+")


class Account(Private, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at a provider: the options that accounts of every kind have.

    `name` is shown in metrics, attempts and deliveries: scheme and host unless given. `weight` is the share of messages
    among those of a channel, 0 for one in reserve, which is used while no other can. `rate` is what may be sent in a
    second (messages; for SMS, segments), None without a limit. `connections` is the most of them that a process opens.
    """

    parts: ClassVar[frozenset[str]]
    """The fields that come from the URL itself and not from its options."""

    name: _Name
    weight: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 1.0
    rate: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    connections: Count


A = TypeVar("A", bound=Account)


class BadUrl(Exception):
    """An account's URL is invalid; the message holds nothing of the URL."""


@dataclass(frozen=True, kw_only=True)
class Accounts(Generic[A]):
    """What accounts a channel has: their `kind`, and by scheme what reads a URL's parts beside its options.

    Such a reader raises BadUrl, or a ValueError, which is told as "is not a URL".
    """

    channel: str
    kind: type[A]
    schemes: Mapping[str, Callable[[SplitResult], dict[str, object]]]

    @property
    def name(self) -> str:
        """The name of the setting that lists a channel's accounts."""
        return f"{self.channel}_providers"

    def setting(self, about: str, example: str) -> Setting:
        """The setting that lists a channel's accounts, as the channel's folder declares it."""
        return Setting(about=about, example=example, read=looked_at(self.read), secret=True, several_lines=True)

    def of(self, settings: Settings) -> list[A]:
        """The accounts that the settings list for a channel."""
        return self.read(settings.channels[self.name])

    def read(self, text: str) -> list[A]:
        """The accounts of a setting's value; ConfigurationError names the URL that doesn't fit by its position."""
        accounts: list[A] = []
        for position, url in enumerate(filter(None, _SEPARATORS.split(text)), 1):
            try:
                accounts.append(self._account(url, {account.name for account in accounts}))
                continue
            except BadUrl as error:
                problem = str(error)
            except msgspec.ValidationError as error:
                problem = f"does not fit: {error}"
            except ValueError:
                problem = "is not a URL; percent-encode reserved characters"
            # Raised outside the except block: urlsplit's errors quote the text that they couldn't parse.
            raise ConfigurationError(f"{PREFIX}{self.name.upper()}, URL {position}: {problem}")
        return accounts

    def _account(self, text: str, taken: set[str]) -> A:
        url = urlsplit(text)
        if url.scheme not in self.schemes:
            raise BadUrl(f"must begin with {' or '.join(f'{scheme}://' for scheme in self.schemes)}")
        if url.fragment:
            raise BadUrl("has a '#'; write it as %23")
        parts, options = self.schemes[url.scheme](url), _options(url.query)
        known = set(self.kind.__struct_encode_fields__) - self.kind.parts
        if not known >= options.keys():  # the unknown option is not quoted: it may be part of a password
            raise BadUrl(f"has an unknown option; the options are {', '.join(sorted(known))}")
        if "url" in options:
            options["url"] = _address(options["url"])
        account = msgspec.convert({**parts, **options}, self.kind, strict=False)
        if account.name in taken:
            raise BadUrl("has the same name as an earlier one; give each its own name=")
        return account


def host_of(text: str) -> str:
    """The canonical host of a URL; BadUrl if it has no valid host."""
    try:
        return host_name(text)
    except ValueError as error:
        told = str(error)
    raise BadUrl(f"names a host that {told}")


def usual_name(scheme: str, host: str | None) -> str:
    """An account's default name, made of scheme and host."""
    return f"{scheme}:{host}"[:MAX_NAME]


def _address(text: str) -> str:
    try:
        return web_address(text)
    except ValueError as error:
        told = str(error)
    raise BadUrl(f"does not fit: its url {told} - at `$.url`")


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name in options:
            raise BadUrl("gives an option twice")
        options[name] = unquote(value, errors="strict")  # keep a "+": it begins a phone number
    return options
