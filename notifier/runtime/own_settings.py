"""The settings that belong to no channel: what each is for, and how its value is read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from notifier.domain.keys import read_parties
from notifier.domain.links import read_keys
from notifier.runtime.addresses import host_name, listen_address, networks, web_address
from notifier.runtime.broker_url import broker_url
from notifier.runtime.database_url import read_database_url
from notifier.runtime.map_settings import frame_sources, tile_template
from notifier.runtime.proxies import proxy_address

Level = Literal["debug", "info", "warning", "error"]
OnOff = Literal["on", "off"]

_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is known of one setting.

    `about` says what it is for, as `notifier doctor --settings` and docs/settings.md tell it; `example` is a good
    value, which is told with what is wrong with another. `read` gives a value its final form, and raises a ValueError
    in words that hold nothing of it where it doesn't fit; without it the value is what its field's type makes of it.
    One that is `secret` is never printed; one of `several_lines` may go over several.

    `default` and `check` are for those of a channel: `check` looks at it together with the channels' others by their
    names, and raises a ConfigurationError where they don't go together.
    """

    about: str
    example: str
    read: Callable[[str], str] | None = None
    secret: bool = False
    several_lines: bool = False
    default: str = ""
    check: Callable[[Mapping[str, str]], None] | None = None


def _level(value: str) -> str:
    if value.lower() not in get_args(Level):
        raise ValueError("must be debug, info, warning or error")
    return value.lower()


def _on_or_off(value: str) -> str:
    if value.lower() not in get_args(OnOff):
        raise ValueError("must be on or off")
    return value.lower()


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise ValueError("must be at most 40 letters and digits, with dots, hyphens and underscores between them")
    return value


def looked_at(read: Callable[[str], object]) -> Callable[[str], str]:
    """What is read again where it is used is kept as it was written, once it is known to be good."""

    def check(value: str) -> str:
        read(value)
        return value

    return check


OWN: Final[Mapping[str, Setting]] = {
    "database_url": Setting(
        about="where all data is stored: `sqlite:///…`, `postgresql://…`, `mariadb://…` or `mysql://…`",
        example="postgresql://user:password@host/name",
        read=looked_at(read_database_url),
        secret=True,
    ),
    "broker_url": Setting(
        about="what carries signals: `redis://…`, `redis+sentinel://…`, `redis+cluster://…` or `amqp://…`",
        example="redis://host:6379/0",
        read=broker_url,
        secret=True,
    ),
    "namespace": Setting(
        about="the prefix of keys and queues in the broker; the database's own id unless set",
        example="voltline",
        read=_namespace,
    ),
    "templates": Setting(
        about="the folder of notification types and texts; unless set, the one that ships", example="/srv/templates"
    ),
    "host": Setting(
        about="the address on which the web process listens",
        example="0.0.0.0",  # noqa: S104 (what one sets in a container)
        read=host_name,
    ),
    "port": Setting(about="the port on which the web process listens; 0 for any free one", example="8080"),
    "public_url": Setting(
        about="the URL at which people and providers reach the web process; links and Twilio's callbacks use it",
        example="https://notify.example.com",
        read=web_address,
    ),
    "trusted_proxies": Setting(
        about="proxies before the web process: their `X-Forwarded-For` is believed, their connections aren't limited",
        example="127.0.0.1,10.0.3.0/24",
        read=looked_at(networks),
        several_lines=True,
    ),
    "connections_per_address": Setting(
        about="the most connections that one address may have to a web process; 0 for any number", example="500"
    ),
    "worker_processes": Setting(
        about="worker processes for prompt messages; two more process segments and campaigns", example="2"
    ),
    "worker_batches": Setting(about="concurrent batches of one queue in each process", example="4"),
    "database_connections": Setting(about="the most database connections of one process", example="10"),
    "brand_name": Setting(about="the brand's name in messages and pages", example="Voltline"),
    "app_url": Setting(
        about="the app's address: the beginning of links in messages",
        example="https://app.example.com",
        read=web_address,
    ),
    "postal_address": Setting(
        about="the postal address at the foot of mails; the law requires it in marketing",
        example="Voltline, 1 Main Street, Springfield",
        several_lines=True,
    ),
    "ocpi_driver_prices": Setting(
        about="OCPI parties whose prices drivers pay, such as `DE*ABC BE*BEC` (`any`: all); no other prices are shown",
        example="DE*ABC BE*BEC",
        read=looked_at(read_parties),
    ),
    "map": Setting(
        about="`off`: stations are shown to nobody, neither on `/map` nor by `/v1/stations`; public otherwise",
        example="off",
        read=_on_or_off,
    ),
    "map_tiles": Setting(
        about="the map's tiles, as an address with `{z}`, `{x}` and `{y}`; outlines of land and borders unless set",
        example="https://tiles.example.com/{z}/{x}/{y}.png",
        read=tile_template,
    ),
    "map_attribution": Setting(
        about="whom the map credits for its tiles; HTML, such as a link",
        example="© OpenStreetMap contributors",
    ),
    "map_frames": Setting(
        about="the sites that may show `/map` within their pages, with blanks between them; `*` for all, or `none`",
        example="https://www.example.com https://*.example.org",
        read=frame_sources,
    ),
    "signing_keys": Setting(
        about="the keys that sign links in messages, newest first; generated and kept in the database when unset",
        example="0123456789abcdef0123456789abcdef",
        read=looked_at(read_keys),
        secret=True,
        several_lines=True,
    ),
    "api_key": Setting(
        about="the API key with which `notifier send` and `notifier replay` report events, "
        "and `notifier sandbox` shows the app's inboxes",
        example="ntf_id_secret",
        secret=True,
    ),
    "loopback_only": Setting(about="`true` refuses every connection that leaves this machine", example="true"),
    "https_proxy": Setting(
        about="the HTTP proxy through which Google's and Twilio's servers are reached; `HTTPS_PROXY` unless set",
        example="http://user:password@proxy.example.com:3128",
        read=proxy_address,
        secret=True,
    ),
    "no_proxy": Setting(
        about="hosts, domains and networks that are reached without the proxy; `NO_PROXY` unless set",
        example="example.com,10.0.0.0/8",
    ),
    "tracing": Setting(about="`true` sends traces to an OpenTelemetry collector (docs/tracing.md)", example="true"),
    "metrics_listen": Setting(
        about="where a process answers `/livez`, `/readyz` and `/metrics`: `host:port`, or `:port`; nowhere unless set",
        example="127.0.0.1:9464",
        read=listen_address,
    ),
    "metrics_dir": Setting(
        about="a folder in which all processes share their metrics, for the console; each has its own when unset",
        example="/run/notifier/metrics",
    ),
    "log_level": Setting(about="`debug`, `info`, `warning` or `error`", example="info", read=_level),
}
"""The settings that belong to no channel."""
