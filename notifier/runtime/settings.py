"""Settings from the environment: `NOTIFIER_<NAME>`, or `NOTIFIER_<NAME>_FILE` with the path of a file that holds the
value.

With none set, everything runs on this machine: SQLite in `var/`, and the servers that `notifier demo` brings along.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from notifier.domain.catalog import Money
from notifier.domain.errors import ConfigurationError
from notifier.domain.keys import read_parties
from notifier.domain.links import read_keys
from notifier.domain.reading import read_text
from notifier.runtime.accounts import email_accounts, push_accounts, sms_accounts
from notifier.runtime.addresses import MAX_VERP_LOCAL, host_name, mailbox, web_address
from notifier.runtime.broker_url import broker_url
from notifier.runtime.database_url import read_database_url
from notifier.runtime.proxies import proxy_address

PREFIX = "NOTIFIER_"
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL = _PACKAGE / "_templates"
SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent / "templates"
"""The texts that come with this code: within the package where it was installed from a wheel, beside it in a clone."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. Those marked secret are never printed."""

    database_url: str = "sqlite:///var/notifier.db"
    broker_url: str = "redis://127.0.0.1:6379/0"
    namespace: str = ""
    templates: Path = SHIPPED

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = "http://127.0.0.1:8080"

    worker_processes: Count = 2
    worker_batches: Count = 4
    database_connections: Count = 10

    push_providers: str = ""
    sms_providers: str = ""
    email_providers: str = ""
    email_from: str = "notifier@localhost"

    brand_name: str = "Voltline"
    app_url: str = "https://app.example.com"
    postal_address: str = ""
    sms_price: str = ""
    ocpi_driver_prices: str = ""

    signing_keys: str = ""
    api_key: str = ""
    loopback_only: bool = False
    https_proxy: str = ""
    no_proxy: str = ""

    metrics_dir: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(name, getattr(self, name))!r}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"


ABOUT: Final[Mapping[str, str]] = {
    "database_url": "where everything is kept: `sqlite:///…`, `postgresql://…`, `mariadb://…` or `mysql://…`",
    "broker_url": "what carries signals: `redis://…` or `amqp://…`",
    "namespace": "what its keys and queues are called by; the database's own id unless set",
    "templates": "the folder of types and texts; those that ship unless set",
    "host": "the address on which the web process listens",
    "port": "and its port; 0 for any that is free",
    "public_url": "where people and providers reach the web process: in links, and where Twilio calls back",
    "worker_processes": "processes for what is prompt; two more go through segments and campaigns",
    "worker_batches": "batches of one queue at once, in each process",
    "database_connections": "the most that one process opens",
    "push_providers": "Firebase projects, a URL each",
    "sms_providers": "Twilio accounts, a URL each",
    "email_providers": "mail servers, a URL each",
    "email_from": "the address that mails come from",
    "brand_name": "what messages and pages call us",
    "app_url": "the app's address: what links in messages begin with",
    "postal_address": "at the foot of mails; laws ask for it in marketing",
    "sms_price": "what one text costs, such as `0.075 USD`, for what authors see; no cost is told when unset",
    "ocpi_driver_prices": "whose OCPI prices drivers pay, such as `DE*ABC BE*BEC` (`any`: all); no other's are shown",
    "signing_keys": "what signs links in messages, newest first; the database makes one for itself when unset",
    "api_key": "the key by which `notifier send` and `notifier replay` report events",
    "loopback_only": "`true` refuses every connection that leaves this machine",
    "https_proxy": "the HTTP proxy through which Google's and Twilio's servers are reached; `HTTPS_PROXY` unless set",
    "no_proxy": "hosts, domains and networks that are reached without it; `NO_PROXY` unless set",
    "metrics_dir": "a folder where all processes count together; each counts for itself when unset",
    "log_level": "`debug`, `info`, `warning` or `error`",
}
"""What each setting is for, as `notifier doctor --settings` and docs/settings.md tell it."""

EXAMPLES: Final[Mapping[str, str]] = {
    "database_url": "postgresql://user:password@host/name",
    "broker_url": "redis://host:6379/0",
    "namespace": "voltline",
    "templates": "/srv/templates",
    "host": "0.0.0.0",  # noqa: S104 (what one sets in a container)
    "port": "8080",
    "public_url": "https://notify.example.com",
    "worker_processes": "2",
    "worker_batches": "4",
    "database_connections": "10",
    "push_providers": "fcm:///etc/notifier/service-account.json",
    "sms_providers": "twilio://SID:TOKEN@api.twilio.com?from=%2B15005550006",
    "email_providers": "smtp+starttls://user:password@mail.example.com:587",
    "email_from": "Voltline <notify@example.com>",
    "brand_name": "Voltline",
    "app_url": "https://app.example.com",
    "postal_address": "Voltline, 1 Main Street, Springfield",
    "sms_price": "0.075 USD",
    "ocpi_driver_prices": "DE*ABC BE*BEC",
    "signing_keys": "0123456789abcdef0123456789abcdef",
    "api_key": "ntf_id_secret",
    "loopback_only": "true",
    "https_proxy": "http://user:password@proxy.example.com:3128",
    "no_proxy": "example.com,10.0.0.0/8",
    "metrics_dir": "/run/notifier/metrics",
    "log_level": "info",
}
"""A good value of each, which is told with what is wrong with another."""

_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
_PATHS = (Path, Path | None)

SECRETS = frozenset(
    {
        "database_url", "broker_url", "push_providers", "sms_providers", "email_providers", "signing_keys", "api_key",
        "https_proxy",
    }
)  # fmt: skip


_SERVICE_LINK = re.compile(
    r"NOTIFIER_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINKED_PORT = re.compile(r"NOTIFIER_([A-Z0-9_]+_)?PORT")
_LINK = re.compile(r"(tcp|udp|sctp)://.*")
_QUOTED = re.compile(r"""([\"'])((?:(?!\1).)*)\1""", re.DOTALL)
_LISTS = frozenset({"push_providers", "sms_providers", "email_providers", "signing_keys", "postal_address"})
"""What may go over several lines."""
_USUAL: Final[Mapping[str, Sequence[str]]] = {
    "https_proxy": ("https_proxy", "HTTPS_PROXY"),
    "no_proxy": ("no_proxy", "NO_PROXY"),
}
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _shown(name: str, value: Any) -> Any:
    return "…" if name in SECRETS and value else value


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from an environment (this process's when None), each looked at and in its final form.

    Raises ConfigurationError with the variable's name and a good value for a value that doesn't fit, a name that is not
    a setting, and a `_FILE` that can't be read or is empty. A variable that is empty counts as not set; blanks and
    quotes around a value are none of it. What Kubernetes sets for a Service called `notifier` is passed over.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(f"{PREFIX}TEST_") or _is_link(variable, value):
            continue
        name = variable.removeprefix(PREFIX).lower()
        in_file = name not in _FIELDS and name.endswith("_file")
        name = name.removesuffix("_file") if in_file else name
        if name not in _FIELDS:
            raise ConfigurationError(f"{variable} is not a setting; `notifier doctor --settings` lists them")
        value = _bare(value)
        if value == "":
            continue
        if name in given:
            raise ConfigurationError(f"{PREFIX}{name.upper()} is set both directly and by _FILE; keep one")
        given[name] = _read(variable, name, value) if in_file else value
    settings = Settings(**{name: _convert(name, value) for name, value in given.items()}, **_usual(environ, given))
    _room_for_return_paths(settings)
    return settings


def _room_for_return_paths(settings: Settings) -> None:
    servers = email_accounts(settings.email_providers)
    wanted = not servers or any(server.verp for server in servers)
    if wanted and len(mailbox(settings.email_from).address.rpartition("@")[0]) > MAX_VERP_LOCAL:
        told = f"has more than {MAX_VERP_LOCAL} characters before the @, which leaves a return path no room"
        raise ConfigurationError(f"{PREFIX}EMAIL_FROM: {told}; verp=false for each mail server has none")


def _usual(environ: Mapping[str, str], given: Mapping[str, str]) -> dict[str, Any]:
    """What variables that every program knows say of settings that aren't given."""
    found: dict[str, Any] = {}
    for name, variables in _USUAL.items():
        values = ((variable, _bare(environ.get(variable, ""))) for variable in variables)
        variable, value = next(((variable, value) for variable, value in values if value), ("", ""))
        if value and name not in given:
            found[name] = _convert(name, value, variable)
    return found


def _is_link(variable: str, value: str) -> bool:
    """Whether Kubernetes put it there for a Service in its namespace (`enableServiceLinks`), and nobody set it."""
    if _SERVICE_LINK.fullmatch(variable):
        return True
    return _LINKED_PORT.fullmatch(variable) is not None and _LINK.fullmatch(value) is not None


def _bare(value: str) -> str:
    """A value without the blanks around it, and without the quotes that an env file's reader left."""
    value = value.strip()
    quoted = _QUOTED.fullmatch(value)
    return value if quoted is None else quoted[2].strip()


def read_price(text: str) -> Money | None:
    """A price from a setting, None where it is empty; raises ConfigurationError for another shape than "0.075 USD"."""
    if not text:
        return None
    try:
        amount, currency = text.split()
        return msgspec.convert({"amount": float(amount), "currency": currency}, Money)
    except ValueError:  # which msgspec's is, too
        raise ConfigurationError(f"{PREFIX}SMS_PRICE: write an amount and a currency, such as 0.075 USD") from None


def _convert(name: str, value: str, variable: str | None = None) -> Any:
    try:
        if name not in _LISTS:
            _in_one_line(value)
        if name in _READ:
            return _READ[name](value)
        if _FIELDS[name].type in _PATHS:
            return Path(value)
        return msgspec.convert(value, _FIELDS[name].type, strict=False)
    except ConfigurationError:
        raise  # it names the variable, and what of it is wrong
    except ValueError as error:  # which msgspec's is, too
        problem = str(error)
    raise ConfigurationError(f"{variable or PREFIX + name.upper()}: {problem}; write it as {EXAMPLES[name]}")


def _in_one_line(value: str) -> None:
    if _CONTROL.search(value):
        raise ValueError("has a line break or another control character in it")


def _level(value: str) -> str:
    if value.lower() not in get_args(_FIELDS["log_level"].type):
        raise ValueError("is none of debug, info, warning and error")
    return value.lower()


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise ValueError("must be at most 40 letters and digits, with dots, dashes and underscores between them")
    return value


def _looked_at(read: Callable[[str], object]) -> Callable[[str], str]:
    """What is read again where it is used is kept as it was written, once it is known to be good."""

    def check(value: str) -> str:
        read(value)
        return value

    return check


_READ: Final[Mapping[str, Callable[[str], str]]] = {
    "host": host_name,
    "public_url": web_address,
    "app_url": web_address,
    "email_from": lambda value: str(mailbox(value)),
    "database_url": _looked_at(read_database_url),
    "broker_url": broker_url,
    "namespace": _namespace,
    "push_providers": _looked_at(push_accounts),
    "sms_providers": _looked_at(sms_accounts),
    "email_providers": _looked_at(email_accounts),
    "signing_keys": _looked_at(read_keys),
    "https_proxy": proxy_address,
    "sms_price": _looked_at(read_price),
    "ocpi_driver_prices": _looked_at(read_parties),
    "log_level": _level,
}
"""Settings that are more than a word or a number. ValueError for one that doesn't fit, without its value."""


def _read(variable: str, name: str, path: str) -> str:
    if _FIELDS[name].type in _PATHS:  # or the key in the file would be taken for a path, and shown as one
        raise ConfigurationError(f"{variable}: {PREFIX}{name.upper()} is a path already; set that")
    try:
        value = _bare(read_text(Path(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{variable}: {path} can't be read ({type(error).__name__})") from None
    if not value:
        raise ConfigurationError(f"{variable}: {path} is empty")
    return value


def to_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings as the variables that `load_settings` reads."""
    return {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """This process's environment with these settings in place of its own: for processes started by this one."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return others | to_environment(settings)
