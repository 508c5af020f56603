"""Settings of pushes: the accounts at Firebase.

fcm:///etc/notifier/service-account.json?rate=5000&connections=200
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote

from notifier.runtime.accounts import Account, Accounts, BadUrl, Count, Word
from notifier.runtime.own_settings import Setting


class FcmAccount(Account, frozen=True, kw_only=True):
    """A Firebase project: its service account's file, and the project's id where the account belongs to another
    project."""

    parts = frozenset({"service_account"})

    service_account: Word
    url: str = "https://fcm.googleapis.com"
    project: Word | None = None
    connections: Count = 200


def _fcm(url: SplitResult) -> dict[str, object]:
    if url.netloc or len(url.path) < 2:
        raise BadUrl("names no file; write fcm:///path/of/the/service-account.json, with three slashes")
    return {"name": "fcm", "service_account": unquote(url.path, errors="strict")}


ACCOUNTS: Final = Accounts(channel="push", kind=FcmAccount, schemes={"fcm": _fcm})

SETTINGS: Final[Mapping[str, Setting]] = {
    ACCOUNTS.name: ACCOUNTS.setting("Firebase projects, a URL each", "fcm:///etc/notifier/service-account.json"),
}
