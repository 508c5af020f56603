"""Accounts at providers, as the settings name them: a URL each, several with spaces, line ends or commas between them.

    fcm:///etc/notifier/service-account.json?rate=5000&connections=200
    twilio://SID:TOKEN@api.twilio.com?from=%2B15005550006&rate=100      twilio+http:// for a stand-in
    smtp+starttls://user:password@mail.example.com:587?connections=10
    smtps://user:password@mail.example.com
    smtp://127.0.0.1:25                                                 not encrypted, so without a password

Every one takes `name`, `weight`, `rate` and `connections`. What a URL gives a meaning (`@ : / ? # & %`, a comma, a
space) is percent-encoded where it is part of a name or a password (RFC 3986 §2.1).
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Private
from notifier.runtime.addresses import host_name, web_address

MAX_NAME: Final = 40
"""Characters of a provider's name: what the column of a delivery's provider holds."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]*\Z")]
_Word = Annotated[str, msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_SEPARATORS: Final = re.compile(r"[\s,]+")


class Account(Private, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What accounts of every kind have.

    `name` is shown in metrics, attempts and deliveries: scheme and host unless given. `weight` is the share of messages
    among those of a channel, 0 for one in reserve, which is used while no other can. `rate` is what may be sent in a
    second (messages; for SMS, segments), None without a limit. `connections` is the most of them that a process opens.
    """

    parts: ClassVar[frozenset[str]]

    name: _Name
    weight: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 1.0
    rate: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    connections: _Count


class FcmAccount(Account, frozen=True, kw_only=True):
    """A Firebase project: its service account's file, and the project where it sends for another than its own."""

    parts = frozenset({"service_account"})

    service_account: _Word
    url: str = "https://fcm.googleapis.com"
    project: _Word | None = None
    connections: _Count = 200


class TwilioAccount(Account, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A Twilio account and the sender that texts come from: a number, a short code, a name or a Messaging Service."""

    parts = frozenset({"sid", "token", "url"})

    sid: _Word
    token: _Word
    url: str
    sender: _Word
    connections: _Count = 100


class SmtpAccount(Account, frozen=True, kw_only=True):
    """A mail server, how the connection to it is encrypted, and who we are there.

    With `verp` each mail has a return path of its own, by which its bounce is known.
    """

    parts = frozenset({"host", "port", "security", "username", "password"})

    host: _Word
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    security: Literal["tls", "starttls", "none"]
    username: str | None = None
    password: str | None = None
    verp: bool = True
    connections: _Count = 10


A = TypeVar("A", bound=Account)
_Schemes = Mapping[str, Callable[[SplitResult], dict[str, object]]]
"""What is read from a URL beside its options, by scheme."""


class _Wrong(Exception):
    """What is wrong with a URL, in words that hold nothing of it."""


def push_accounts(text: str) -> list[FcmAccount]:
    """The accounts of NOTIFIER_PUSH_PROVIDERS; ConfigurationError names the URL that doesn't fit by its position."""
    return _read("NOTIFIER_PUSH_PROVIDERS", text, FcmAccount, {"fcm": _fcm})


def sms_accounts(text: str) -> list[TwilioAccount]:
    """The accounts of NOTIFIER_SMS_PROVIDERS, likewise."""
    return _read("NOTIFIER_SMS_PROVIDERS", text, TwilioAccount, {"twilio": _twilio, "twilio+http": _twilio})


def email_accounts(text: str) -> list[SmtpAccount]:
    """The accounts of NOTIFIER_EMAIL_PROVIDERS, likewise."""
    return _read("NOTIFIER_EMAIL_PROVIDERS", text, SmtpAccount, dict.fromkeys(_SMTP, _smtp))


def _read(variable: str, text: str, kind: type[A], schemes: _Schemes) -> list[A]:
    accounts: list[A] = []
    for position, url in enumerate(filter(None, _SEPARATORS.split(text)), 1):
        try:
            accounts.append(_account(url, kind, schemes, {account.name for account in accounts}))
            continue
        except _Wrong as error:
            problem = str(error)
        except msgspec.ValidationError as error:
            problem = f"does not fit: {error}"
        except ValueError:
            problem = "is not a URL; percent-encode what has a meaning in one"
        # Not within the except: urlsplit's errors quote what they could not read.
        raise ConfigurationError(f"{variable}, URL {position}: {problem}")
    return accounts


def _account(text: str, kind: type[A], schemes: _Schemes, taken: set[str]) -> A:
    url = urlsplit(text)
    if url.scheme not in schemes:
        raise _Wrong(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if url.fragment:
        raise _Wrong("has a '#'; write %23")
    parts, options = schemes[url.scheme](url), _options(url.query)
    known = set(kind.__struct_encode_fields__) - kind.parts
    if not known >= options.keys():  # what they are may be a part of a password
        raise _Wrong(f"has an option that is none of {', '.join(sorted(known))}")
    if "url" in options:
        options["url"] = _address(options["url"])
    account = msgspec.convert({**parts, **options}, kind, strict=False)
    if account.name in taken:
        raise _Wrong("has the name of one before it; give each a name= of its own")
    return account


def _address(text: str) -> str:
    try:
        return web_address(text)
    except ValueError as error:
        told = str(error)
    raise _Wrong(f"does not fit: its url {told} - at `$.url`")


def _host(text: str) -> str:
    try:
        return host_name(text)
    except ValueError as error:
        told = str(error)
    raise _Wrong(f"names a host that {told}")


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name in options:
            raise _Wrong("gives an option twice")
        options[name] = unquote(value, errors="strict")  # a "+" is meant: it begins a phone number
    return options


def _fcm(url: SplitResult) -> dict[str, object]:
    if url.netloc or len(url.path) < 2:
        raise _Wrong("names no file; write fcm:///path/of/the/service-account.json, with three slashes")
    return {"name": "fcm", "service_account": unquote(url.path, errors="strict")}


def _twilio(url: SplitResult) -> dict[str, object]:
    if not (url.hostname and url.username and url.password) or url.path.strip("/"):
        raise _Wrong("must be twilio://SID:TOKEN@api.twilio.com?from=SENDER")
    host = f"[{url.hostname}]" if ":" in url.hostname else _host(url.hostname)
    protocol, port = "http" if url.scheme == "twilio+http" else "https", f":{url.port}" if url.port else ""
    return {
        "name": _named("twilio", url.hostname),
        "sid": unquote(url.username, errors="strict"),
        "token": unquote(url.password, errors="strict"),
        "url": f"{protocol}://{host}{port}",
    }


_SMTP: Final = {"smtp+starttls": ("starttls", 587), "smtps": ("tls", 465), "smtp": ("none", 25)}


def _smtp(url: SplitResult) -> dict[str, object]:
    if not url.hostname or url.path.strip("/"):
        raise _Wrong(f"must be {url.scheme}://user:password@host:port")
    if bool(url.username) != bool(url.password):
        raise _Wrong("needs a user name and a password, or neither")
    security, port = _SMTP[url.scheme]
    if url.password and security == "none":
        raise _Wrong("would send a password in the clear; write smtp+starttls:// or smtps://")
    return {
        "name": _named("smtp", url.hostname),
        "host": _host(url.hostname),
        "port": url.port or port,
        "security": security,
        "username": unquote(url.username, errors="strict") if url.username else None,
        "password": unquote(url.password, errors="strict") if url.password else None,
    }


def _named(scheme: str, host: str | None) -> str:
    return f"{scheme}:{host}"[:MAX_NAME]
