"""Settings from the environment: `NOTIFIER_<NAME>`, or `NOTIFIER_<NAME>_FILE` with the path of a file that holds the
value.

With none set, everything runs on this machine: SQLite in `var/`, and the servers that `notifier demo` brings along.
"""

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from notifier.domain.catalog import Money
from notifier.domain.channels import channels, part
from notifier.domain.errors import ConfigurationError
from notifier.domain.reading import read_text
from notifier.runtime import trace_settings
from notifier.runtime.own_settings import OWN, Level, OnOff, Setting
from notifier.runtime.proxies import DIRECT, Proxies

PREFIX = "NOTIFIER_"
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Connections = Annotated[int, msgspec.Meta(ge=0, le=100_000)]

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL = _PACKAGE / "_templates"
SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent / "templates"
"""The folder of the texts that ship with this code: within the package when installed from a wheel, beside it in a
clone."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. Those marked secret are never printed.

    `channels` are those that the channels' folders declare, by their names; the ones that aren't given have their
    defaults. TypeError for a name that none declares.
    """

    database_url: str = "sqlite:///var/notifier.db"
    broker_url: str = "redis://127.0.0.1:6379/0"
    namespace: str = ""
    templates: Path = SHIPPED

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = "http://127.0.0.1:8080"
    trusted_proxies: str = "127.0.0.1,::1"
    connections_per_address: Connections = 500

    worker_processes: Count = 2
    worker_batches: Count = 4
    database_connections: Count = 10

    channels: Mapping[str, str] = {}

    brand_name: str = "Voltline"
    app_url: str = "https://app.example.com"
    postal_address: str = ""
    ocpi_driver_prices: str = ""
    map: OnOff = "on"
    map_tiles: str = ""
    map_attribution: str = ""
    map_frames: str = "*"

    signing_keys: str = ""
    api_key: str = ""
    loopback_only: bool = False
    https_proxy: str = ""
    no_proxy: str = ""

    tracing: bool = False
    metrics_listen: str = ""
    metrics_dir: Path | None = None
    log_level: Level = "info"

    def __post_init__(self) -> None:
        declared = of_channels()
        if unknown := self.channels.keys() - declared.keys():
            raise TypeError(f"no channel has the settings {', '.join(sorted(unknown))}")
        complete = {name: self.channels.get(name, each.default) for name, each in declared.items()}
        msgspec.structs.force_setattr(self, "channels", complete)

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(name, value)!r}" for name, value in self.values().items())
        return f"Settings({', '.join(shown)})"

    def values(self) -> dict[str, Any]:
        """Every setting's value by its name, the channels' among the others, in the order of `every`."""
        return {name: self.channels[name] if name in self.channels else getattr(self, name) for name in every()}

    def proxies(self) -> Proxies:
        """Through what providers are reached; nothing where all is to stay on this machine: a proxy passes it on."""
        return DIRECT if self.loopback_only else Proxies(self.https_proxy, self.no_proxy)


_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
_PATHS = (Path, Path | None)
_SERVICE_LINK = re.compile(
    r"NOTIFIER_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINKED_PORT = re.compile(r"NOTIFIER_([A-Z0-9_]+_)?PORT")
_LINK = re.compile(r"(tcp|udp|sctp)://.*")
_QUOTED = re.compile(r"""([\"'])((?:(?!\1).)*)\1""", re.DOTALL)
_USUAL: Final[Mapping[str, Sequence[str]]] = {
    "https_proxy": ("https_proxy", "HTTPS_PROXY"),
    "no_proxy": ("no_proxy", "NO_PROXY"),
    "trusted_proxies": ("FORWARDED_ALLOW_IPS",),
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _shown(name: str, value: Any) -> Any:
    return "…" if every()[name].secret and value else value


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
        in_file = name not in every() and name.endswith("_file")
        name = name.removesuffix("_file") if in_file else name
        if name not in every():
            raise ConfigurationError(f"{variable} is not a setting; `notifier doctor --settings` lists them")
        value = bare(value)
        if value == "":
            continue
        if name in given:
            raise ConfigurationError(f"{PREFIX}{name.upper()} is set both directly and as a _FILE; keep one")
        given[name] = _read(variable, name, value) if in_file else value
    values = {name: _convert(name, value) for name, value in given.items()} | _usual(environ, given)
    own = {name: value for name, value in values.items() if name in _FIELDS}
    settings = Settings(**own, channels={name: value for name, value in values.items() if name not in _FIELDS})
    for each in of_channels().values():
        if each.check is not None:
            each.check(settings.channels)
    if settings.tracing:
        trace_settings.check(environ)
    return settings


def _usual(environ: Mapping[str, str], given: Mapping[str, str]) -> dict[str, Any]:
    """Values of settings that aren't given, from variables that every program knows."""
    found: dict[str, Any] = {}
    for name, variables in _USUAL.items():
        values = ((variable, bare(environ.get(variable, ""))) for variable in variables)
        variable, value = next(((variable, value) for variable, value in values if value), ("", ""))
        if value and name not in given:
            found[name] = _convert(name, value, variable)
    return found


def _is_link(variable: str, value: str) -> bool:
    """Whether Kubernetes put it there for a Service in its namespace (`enableServiceLinks`), and nobody set it."""
    if _SERVICE_LINK.fullmatch(variable):
        return True
    return _LINKED_PORT.fullmatch(variable) is not None and _LINK.fullmatch(value) is not None


def bare(value: str) -> str:
    """A variable's value without the blanks around it, and without the quotes that an env file's reader left."""
    value = value.strip()
    quoted = _QUOTED.fullmatch(value)
    return value if quoted is None else quoted[2].strip()


def read_price(name: str, text: str) -> Money | None:
    """A price from the setting of a name, None where it is empty; raises ConfigurationError for another shape than
    "0.075 USD"."""
    if not text:
        return None
    try:
        amount, currency = text.split()
        return msgspec.convert({"amount": float(amount), "currency": currency}, Money)
    except ValueError:  # msgspec's ValidationError is a ValueError, too
        raise ConfigurationError(f"{PREFIX}{name.upper()}: write an amount and a currency, such as 0.075 USD") from None


def _convert(name: str, value: str, variable: str | None = None) -> Any:
    setting = every()[name]
    try:
        if not setting.several_lines:
            _in_one_line(value)
        if setting.read is not None:
            return setting.read(value)
        if name not in _FIELDS:
            return value
        if _FIELDS[name].type in _PATHS:
            return Path(value)
        return msgspec.convert(value, _FIELDS[name].type, strict=False)
    except ConfigurationError:
        raise  # the error names the variable and its fault
    except ValueError as error:  # msgspec's ValidationError is a ValueError, too
        problem = str(error)
    raise ConfigurationError(f"{variable or PREFIX + name.upper()}: {problem}; write it as {setting.example}")


def _in_one_line(value: str) -> None:
    if _CONTROL.search(value):
        raise ValueError("contains a line break or another control character")


@cache
def of_channels() -> Mapping[str, Setting]:
    """The settings that channels declare (`settings.py`, SETTINGS), by names that begin with the channel's."""
    declared = [part(channel, "settings", "SETTINGS") or {} for channel in channels()]
    return {name: setting for each in declared for name, setting in each.items()}


@cache
def every() -> Mapping[str, Setting]:
    """Every setting by its name, in the order of lists: the channels' where the field of them all stands."""
    listed: dict[str, Setting] = {}
    for name in _FIELDS:
        listed |= of_channels() if name == "channels" else {name: OWN[name]}
    return listed


def _read(variable: str, name: str, path: str) -> str:
    # Otherwise the key in the file would be taken for a path, and shown in an error.
    if name in _FIELDS and _FIELDS[name].type in _PATHS:
        raise ConfigurationError(f"{variable}: {PREFIX}{name.upper()} is a path already; set that")
    try:
        value = bare(read_text(Path(path)))
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
