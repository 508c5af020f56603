"""Settings of texts: the accounts at Twilio, and the price of a segment.

twilio://SID:TOKEN@api.twilio.com?from=%2B15005550006&rate=100      twilio+http:// for a stand-in
"""

from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import SplitResult, unquote

from notifier.runtime.accounts import Account, Accounts, BadUrl, Count, Word, host_of, usual_name
from notifier.runtime.own_settings import Setting, looked_at
from notifier.runtime.settings import read_price

PRICE: Final = "sms_price"
"""The setting with the price of one text."""


class TwilioAccount(Account, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A Twilio account and the sender that texts come from: a number, a short code, a name or a Messaging Service."""

    parts = frozenset({"sid", "token", "url"})

    sid: Word
    token: Word
    url: str
    sender: Word
    connections: Count = 100


def _twilio(url: SplitResult) -> dict[str, object]:
    if not (url.hostname and url.username and url.password) or url.path.strip("/"):
        raise BadUrl("must be twilio://SID:TOKEN@api.twilio.com?from=SENDER")
    host = f"[{url.hostname}]" if ":" in url.hostname else host_of(url.hostname)
    protocol, port = "http" if url.scheme == "twilio+http" else "https", f":{url.port}" if url.port else ""
    return {
        "name": usual_name("twilio", url.hostname),
        "sid": unquote(url.username, errors="strict"),
        "token": unquote(url.password, errors="strict"),
        "url": f"{protocol}://{host}{port}",
    }


ACCOUNTS: Final = Accounts(channel="sms", kind=TwilioAccount, schemes={"twilio": _twilio, "twilio+http": _twilio})

SETTINGS: Final[Mapping[str, Setting]] = {
    ACCOUNTS.name: ACCOUNTS.setting(
        "Twilio accounts, one URL for each", "twilio://SID:TOKEN@api.twilio.com?from=%2B15005550006"
    ),
    PRICE: Setting(
        about="the price of one text, such as `0.075 USD`, which authors are shown; no price is shown when unset",
        example="0.075 USD",
        read=looked_at(partial(read_price, PRICE)),
    ),
}
