"""A database's URL, read as libpq and MariaDB's connectors read theirs.

What can't be taken is refused by name when a process starts, and never by its value: a URL holds a password.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import unquote

import msgspec

from notifier.domain.errors import ConfigurationError

Backend = Literal["sqlite", "postgresql", "mysql"]

BACKENDS: Final[Mapping[str, Backend]] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}

_HOST = r"(?:\[[^\]]*\]|[^/?:@,\[\]]*)(?::[0-9]*)?"
_URL = r"(?P<scheme>[A-Za-z][A-Za-z0-9+]*)://(?:(?P<user>[^:/?@]*)(?::(?P<password>%s*))?@)?%s"
_REST = rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
_AS_WRITTEN: Final = tuple(re.compile(_URL % (letter, _REST)) for letter in ("[^@/?]", "[^@]"))
"""A URL as RFC 3986 defines it, or with a password that should have been percent-encoded."""

_KNOWN_ELSEWHERE: Final = frozenset(
    {
        "allowPublicKeyRetrieval", "autoReconnect", "autocommit", "channel_binding", "client_encoding", "compress",
        "gssencmode", "hostaddr", "host", "init_command", "keepalives", "keepalives_count", "keepalives_idle",
        "keepalives_interval", "krbsrvname", "load_balance_hosts", "local_infile", "mode", "passfile", "password",
        "read_timeout", "require_auth", "requirepeer", "serverTimezone", "service", "ssl_cipher", "sslcompression",
        "sslsni", "tcp_user_timeout", "timeout", "useUnicode", "user", "write_timeout",
    }
)  # fmt: skip
"""Options that other drivers take. Errors may name them, since none can be part of a password."""

_Seconds = Annotated[int, msgspec.Meta(ge=1, le=60)]
_Word = Annotated[str, msgspec.Meta(min_length=1)]


class PostgresqlOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The options of a PostgreSQL URL: libpq's, and `pooler`, which is ours."""

    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    sslrootcert: _Word | None = None
    sslcert: _Word | None = None
    sslkey: _Word | None = None
    sslpassword: str | None = None
    sslcrl: _Word | None = None
    sslnegotiation: Literal["postgres", "direct"] | None = None
    ssl_min_protocol_version: Literal["TLSv1.2", "TLSv1.3"] | None = None
    ssl_max_protocol_version: Literal["TLSv1.2", "TLSv1.3"] | None = None
    target_session_attrs: Literal["any", "read-write", "primary"] | None = None
    application_name: _Word | None = None
    options: _Word | None = None
    connect_timeout: _Seconds | None = None
    pooler: Literal["session", "transaction", "prepared"] | None = None


class MysqlOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The options of a MariaDB or MySQL URL, as their connectors take them."""

    ssl: bool | None = None
    ssl_mode: Literal["disable", "trust", "verify-ca", "verify-full"] | None = None
    ssl_ca: _Word | None = None
    ssl_cert: _Word | None = None
    ssl_key: _Word | None = None
    connect_timeout: _Seconds | None = None
    charset: Literal["utf8mb4"] | None = None
    unix_socket: _Word | None = None


class SqliteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No options: a SQLite URL takes none."""


Options = PostgresqlOptions | MysqlOptions | SqliteOptions
_OPTIONS: Final[Mapping[Backend, type[Options]]] = {
    "sqlite": SqliteOptions, "postgresql": PostgresqlOptions, "mysql": MysqlOptions,
}  # fmt: skip
_CALLED_ALSO: Final[Mapping[str, str]] = {
    "ssl-mode": "ssl_mode", "sslMode": "ssl_mode", "sslmode": "ssl_mode", "useSSL": "ssl", "useSsl": "ssl",
    "tls": "ssl", "ssl-ca": "ssl_ca", "serverSslCert": "ssl_ca", "ssl-cert": "ssl_cert", "ssl-key": "ssl_key",
    "connect-timeout": "connect_timeout", "socket": "unix_socket",
}  # fmt: skip
"""Option names that MariaDB's and MySQL's connectors spell differently."""
_MEANT: Final[Mapping[str, str]] = {
    "disabled": "disable", "required": "trust", "verify_ca": "verify-ca", "verify_identity": "verify-full",
}  # fmt: skip
"""MySQL's values of ssl-mode, each with MariaDB's equivalent."""
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_ca", "ssl_cert", "ssl_key")


class DatabaseUrl(NamedTuple):
    """A parsed database URL; never shown, since it holds a password."""

    backend: Backend
    user: str | None
    password: str | None
    hosts: tuple[tuple[str, int | None], ...]
    database: str
    options: Options

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.backend})"


class _BadDatabaseUrl(Exception):
    """A database URL is invalid; the message holds nothing of the URL but an option's name."""


def read_database_url(text: str) -> DatabaseUrl:
    """The URL of NOTIFIER_DATABASE_URL; ConfigurationError where it isn't one, or asks for what can't be done."""
    try:
        return _read(text)
    except _BadDatabaseUrl as error:
        problem = str(error)
    except msgspec.ValidationError as error:
        # The value stays out of the message: it may be secret.
        problem = f"has an invalid value of {str(error).rpartition('$.')[2].rstrip('`')}"
    except ValueError:
        problem = "is not a URL; percent-encode reserved characters"
    # Raised outside the except block: the errors may quote the text that they couldn't parse.
    raise ConfigurationError(f"NOTIFIER_DATABASE_URL {problem}; write it as postgresql://user:password@host/name")


def _read(text: str) -> DatabaseUrl:
    found = next(filter(None, (pattern.fullmatch(text) for pattern in _AS_WRITTEN)), None)
    if found is None:
        raise _BadDatabaseUrl("is not a URL")
    scheme = found["scheme"].lower().partition("+")[0]
    backend = BACKENDS.get(scheme)
    if backend is None:
        raise _BadDatabaseUrl(f"names {scheme!r}, which is none of {', '.join(BACKENDS)}")
    user, password = found["user"], found["password"]
    database = found["database"] or ""
    url = DatabaseUrl(
        backend,
        unquote(user) if user else None,
        unquote(password) if password is not None else None,
        tuple(_host(each) for each in found["hosts"].split(",") if each),
        database if backend == "sqlite" else unquote(database),
        _options(backend, found["query"] or ""),
    )
    if backend == "sqlite" and (url.hosts or database in ("", ":memory:")):
        raise _BadDatabaseUrl(
            "names an in-memory SQLite, which processes can't share, or no file; write sqlite:////var/lib/notifier.db"
        )
    return url


def _host(text: str) -> tuple[str, int | None]:
    host, _, port = text.rpartition(":") if re.search(r":[0-9]*\Z", text) else (text, "", "")
    if port and not 0 < int(port) < 65536:
        raise _BadDatabaseUrl("has an invalid port")
    return unquote(host.removeprefix("[").removesuffix("]")), int(port) if port else None


def _options(backend: Backend, query: str) -> Options:
    kind = _OPTIONS[backend]
    options: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name = _CALLED_ALSO.get(name, name) if backend == "mysql" else "sslmode" if name == "ssl" else name
        if name not in kind.__struct_fields__:
            named = f"the option {name}" if name in _KNOWN_ELSEWHERE else "an option"
            known = ", ".join(kind.__struct_fields__) or "none"
            raise _BadDatabaseUrl(f"has {named}, which can't be taken here; there is: {known}")
        value = unquote(value, errors="strict")
        options[name] = _MEANT.get(value.lower(), value.lower()) if name == "ssl_mode" else value
    read = msgspec.convert(options, kind, strict=False)
    for name in _FILES:
        _look_at_file(name, getattr(read, name, None))
    return _whole(read)


def _look_at_file(name: str, path: str | None) -> None:
    if path is not None and path != "system" and not Path(path).is_file():
        raise _BadDatabaseUrl(f"names a file in {name} that does not exist")


def _whole(read: Options) -> Options:
    """What is asked for has what it needs; else a connection would be refused again and again."""
    if isinstance(read, PostgresqlOptions) and (read.sslmode or "").startswith("verify"):
        usual = Path.home() / ".postgresql" / "root.crt"
        if read.sslrootcert is None and not usual.is_file():
            raise _BadDatabaseUrl(
                "has sslmode=verify-…, which needs sslrootcert=/path/of/the/ca.pem, or sslrootcert=system"
            )
    if isinstance(read, MysqlOptions) and bool(read.ssl_cert) != bool(read.ssl_key):
        raise _BadDatabaseUrl("needs both ssl_cert and ssl_key, or neither")
    return read
