"""Settings from the environment: `NOTIFIER_<NAME>`, or `NOTIFIER_<NAME>_FILE` with the path of a file that holds the
value.

With none set, everything runs on this machine: SQLite in `var/`, and the servers that `notifier demo` brings along.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from notifier.accounts import email_accounts, push_accounts, sms_accounts
from notifier.catalog import Money
from notifier.errors import ConfigurationError
from notifier.links import read_keys

PREFIX = "NOTIFIER_"
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]

_PACKAGE = Path(__file__).resolve().parent
_IN_WHEEL = _PACKAGE / "_templates"
SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent / "templates"
"""The texts that come with this code: within the package where it was installed from a wheel, beside it in a clone."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. Those marked secret are never printed."""

    database_url: str = "sqlite:///var/notifier.db"
    broker_url: str = "redis://127.0.0.1:6379/0"
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

    signing_keys: str = ""
    api_key: str = ""
    loopback_only: bool = False

    metrics_dir: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(name, getattr(self, name))!r}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"


ABOUT: Final[Mapping[str, str]] = {
    "database_url": "where everything is kept: `sqlite:///…`, `postgresql://…`, `mariadb://…` or `mysql://…`",
    "broker_url": "what carries signals: `redis://…` or `amqp://…`",
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
    "signing_keys": "what signs links in messages, newest first; the database makes one for itself when unset",
    "api_key": "the key by which `notifier send` and `notifier replay` report events",
    "loopback_only": "`true` refuses every connection that leaves this machine",
    "metrics_dir": "a folder where all processes count together; each counts for itself when unset",
    "log_level": "`debug`, `info`, `warning` or `error`",
}
"""What each setting is for, as `notifier doctor --settings` and docs/settings.md tell it."""

_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
_PATHS = (Path, Path | None)

SECRETS = frozenset(
    {
        "database_url", "broker_url", "push_providers", "sms_providers", "email_providers", "signing_keys", "api_key",
    }
)  # fmt: skip


def _shown(name: str, value: Any) -> Any:
    return "…" if name in SECRETS and value else value


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from an environment (this process's when None).

    Raises ConfigurationError with the variable's name for a value that doesn't fit, a name that is not a setting, and a
    `_FILE` that can't be read or is empty. A variable that is empty counts as not set.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(f"{PREFIX}TEST_"):
            continue
        name = variable.removeprefix(PREFIX).lower()
        in_file = name not in _FIELDS and name.endswith("_file")
        name = name.removesuffix("_file") if in_file else name
        if name not in _FIELDS:
            raise ConfigurationError(f"{variable} is not a setting; `notifier doctor --settings` lists them")
        if value == "":
            continue
        if name in given:
            raise ConfigurationError(f"{PREFIX}{name.upper()} is set both directly and by _FILE; keep one")
        given[name] = _read(variable, name, value) if in_file else value
    settings = Settings(**{name: _convert(name, value) for name, value in given.items()})
    push_accounts(settings.push_providers)
    sms_accounts(settings.sms_providers)
    email_accounts(settings.email_providers)
    read_keys(settings.signing_keys)
    read_price(settings.sms_price)
    return settings


def read_price(text: str) -> Money | None:
    """A price from a setting, None where it is empty; raises ConfigurationError for another shape than "0.075 USD"."""
    if not text:
        return None
    try:
        amount, currency = text.split()
        return msgspec.convert({"amount": float(amount), "currency": currency}, Money)
    except ValueError:  # which msgspec's is, too
        raise ConfigurationError(f'{PREFIX}SMS_PRICE: write an amount and a currency, such as "0.075 USD"') from None


def _convert(name: str, value: str) -> Any:
    if _FIELDS[name].type in _PATHS:
        return Path(value)
    try:
        return msgspec.convert(value, _FIELDS[name].type, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{PREFIX}{name.upper()}: {error}") from None


def _read(variable: str, name: str, path: str) -> str:
    if _FIELDS[name].type in _PATHS:  # or the key in the file would be taken for a path, and shown as one
        raise ConfigurationError(f"{variable}: {PREFIX}{name.upper()} is a path already; set that")
    try:
        value = Path(path).read_text("utf-8").strip()
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
