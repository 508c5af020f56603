"""Settings of mails: the servers and the sender.

smtp+starttls://user:password@mail.example.com:587?connections=10
smtps://user:password@mail.example.com
smtp://127.0.0.1:25                                                 not encrypted, so without a password
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, unquote

import msgspec

from notifier.domain.errors import ConfigurationError
from notifier.runtime.accounts import Account, Accounts, BadUrl, Count, Word, host_of, usual_name
from notifier.runtime.addresses import MAX_VERP_LOCAL, mailbox
from notifier.runtime.own_settings import Setting
from notifier.runtime.settings import PREFIX

FROM: Final = "email_from"
"""The setting of the address that mails come from."""


class SmtpAccount(Account, frozen=True, kw_only=True):
    """A mail server, its connection's encryption, and our credentials.

    With `verp` each mail has a return path of its own, by which its bounce is known.
    """

    parts = frozenset({"host", "port", "security", "username", "password"})

    host: Word
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    security: Literal["tls", "starttls", "none"]
    username: str | None = None
    password: str | None = None
    verp: bool = True
    connections: Count = 10


_SCHEMES: Final = {"smtp+starttls": ("starttls", 587), "smtps": ("tls", 465), "smtp": ("none", 25)}
"""How the connection is encrypted by scheme, and the port."""


def _smtp(url: SplitResult) -> dict[str, object]:
    if not url.hostname or url.path.strip("/"):
        raise BadUrl(f"must be {url.scheme}://user:password@host:port")
    if bool(url.username) != bool(url.password):
        raise BadUrl("needs both a user name and a password, or neither")
    security, port = _SCHEMES[url.scheme]
    if url.password and security == "none":
        raise BadUrl("would send a password in the clear; write smtp+starttls:// or smtps://")
    return {
        "name": usual_name("smtp", url.hostname),
        "host": host_of(url.hostname),
        "port": url.port or port,
        "security": security,
        "username": unquote(url.username, errors="strict") if url.username else None,
        "password": unquote(url.password, errors="strict") if url.password else None,
    }


ACCOUNTS: Final = Accounts(channel="email", kind=SmtpAccount, schemes=dict.fromkeys(_SCHEMES, _smtp))


def _room_for_return_paths(settings: Mapping[str, str]) -> None:
    servers = ACCOUNTS.read(settings[ACCOUNTS.name])
    wanted = not servers or any(server.verp for server in servers)
    if wanted and len(mailbox(settings[FROM]).address.rpartition("@")[0]) > MAX_VERP_LOCAL:
        told = f"has more than {MAX_VERP_LOCAL} characters before the @, which leaves no room for a return path"
        raise ConfigurationError(f"{PREFIX}{FROM.upper()}: {told}; shorten it, or set verp=false for each mail server")


SETTINGS: Final[Mapping[str, Setting]] = {
    ACCOUNTS.name: ACCOUNTS.setting(
        "mail servers, one URL for each", "smtp+starttls://user:password@mail.example.com:587"
    ),
    FROM: Setting(
        about="the address that mails come from",
        example="Voltline <notify@example.com>",
        read=lambda value: str(mailbox(value)),
        default="notifier@localhost",
        check=_room_for_return_paths,
    ),
}
