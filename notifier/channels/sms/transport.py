"""Texts to Twilio: the form that its SDK would post, written directly.

There is no idempotency key: what Twilio may have taken is unknown, and only its callback or its list of messages can
tell.
"""

import re
from base64 import b64encode
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, quote_plus, urlencode

import msgspec

from notifier.channels.sms.codes import CODES
from notifier.channels.sms.messages import SmsMessage
from notifier.domain.clock import SECOND, Clock, to_instant
from notifier.domain.errors import ConfigurationError, OutcomeUnknown, SendError, Unavailable
from notifier.domain.messages import Receipt
from notifier.providers.http import TIMEOUTS, HttpAnswer, HttpTimeouts, decode, retry_after
from notifier.providers.http_client import HttpClient
from notifier.runtime.proxies import DIRECT, Proxies

URL_OF_TWILIO: Final = "https://api.twilio.com"
CONNECTIONS: Final = 100
"""Requests under way at once; Twilio's own limits per sender are far below what these carry."""
MAX_VALIDITY: Final = 36_000
"""Seconds, ten hours: Twilio queues no text longer."""

PAGE: Final = 50
"""Texts to one number that are searched for one of ours: more than anybody gets in the relevant minutes."""

_MESSAGING_SERVICE: Final = re.compile(r"MG[0-9a-f]{32}")


class _Created(msgspec.Struct):
    """A message as Twilio answers it."""

    sid: str
    error_code: int | None = None


class _Listed(msgspec.Struct):
    """A message as Twilio lists it; `date_created` is RFC 2822. Each may be null, as a redacted body is."""

    sid: str | None = None
    to: str | None = None
    body: str | None = None
    date_created: str | None = None


class _MessageList(msgspec.Struct):
    messages: list[_Listed]


class _TwilioFailure(msgspec.Struct):
    """An error, in Twilio's own format or as problem details (RFC 9457): both have the code."""

    code: int


_created: Final = msgspec.json.Decoder(_Created)
_page: Final = msgspec.json.Decoder(_MessageList)
_failure: Final = msgspec.json.Decoder(_TwilioFailure)


class TwilioTransport:
    """Sends the texts of a Twilio account.

    `sender` is a number, a short code, an alphanumeric sender or a Messaging Service's SID. `callback_url` is where
    Twilio reports what became of a text; the message's reference is added to its query. ConfigurationError where one
    is missing.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sender: str,
        *,
        clock: Clock,
        callback_url: str | None = None,
        base_url: str = URL_OF_TWILIO,
        connections: int = CONNECTIONS,
        timeouts: HttpTimeouts = TIMEOUTS,
        proxies: Proxies = DIRECT,
    ) -> None:
        if not (account_sid and auth_token and sender):
            raise ConfigurationError("Twilio needs an account SID, an auth token and a sender")
        role = "MessagingServiceSid" if _MESSAGING_SERVICE.fullmatch(sender) else "From"
        self._sender = urlencode({role: sender})
        callback = callback_url and callback_url + ("&" if "?" in callback_url else "?") + "reference="
        self._callback = callback and urlencode({"StatusCallback": callback})
        self._messages = f"/2010-04-01/Accounts/{quote(account_sid, safe='')}/Messages.json".encode()
        headers = {
            "Accept": "application/json",
            "Authorization": "Basic " + b64encode(f"{account_sid}:{auth_token}".encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "notifier",
        }
        self._clock = clock
        self._http = HttpClient(
            CODES.provider, base_url, headers, connections=connections, timeouts=timeouts, proxies=proxies
        )

    async def send(self, message: SmsMessage) -> Receipt:
        """Hand over one text; the receipt's reference is its SID. Raises a SendError."""
        answer = await self._http.post(self._messages, self._form(message))
        if not 200 <= answer.status < 300:
            raise _error(answer, self._clock.now())
        created = decode(_created, answer.body)
        if created is None:
            raise OutcomeUnknown(CODES.provider, str(answer.status), "Twilio's answer names no message")
        if created.error_code is not None:
            raise CODES.classify(str(created.error_code))
        return Receipt(CODES.provider, created.sid)

    async def find(self, message: SmsMessage, since: int) -> Receipt | None:
        """The text where Twilio has it already: one to that number, with those words, made since an instant.

        None where it has none; a SendError where it doesn't say.
        """
        query = urlencode({"To": message.to, "PageSize": PAGE})
        answer = await self._http.get(b"%b?%b" % (self._messages, query.encode()))
        if answer.status != 200:
            raise _error(answer, self._clock.now())
        page = decode(_page, answer.body)
        if page is None:
            raise Unavailable(CODES.provider, str(answer.status), "Twilio's list can't be read")
        for each in page.messages:
            made = _made(each)
            # Twilio counts in whole seconds.
            if each.sid is None or made is None or made < since - SECOND:
                continue
            if each.to == message.to and each.body == message.content.text:
                return Receipt(CODES.provider, each.sid)
        return None

    async def close(self) -> None:
        """Close every connection; sends under way fail."""
        await self._http.close()

    def _form(self, message: SmsMessage) -> bytes:
        """Twilio's fields, percent-encoded; half a letter (a lone surrogate) becomes a question mark."""
        validity = min(max(message.time_to_live, 1), MAX_VALIDITY)
        text = quote_plus(message.content.text, errors="replace")
        callback = f"&{self._callback}{quote_plus(quote_plus(message.reference))}" if self._callback else ""
        return f"To={quote_plus(message.to)}&{self._sender}&Body={text}&ValidityPeriod={validity}{callback}".encode()


def _made(listed: _Listed) -> int | None:
    """When Twilio took a text; None where its date can't be read."""
    try:
        moment = parsedate_to_datetime(listed.date_created or "")
        return to_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _error(answer: HttpAnswer, now: int) -> SendError:
    failure = decode(_failure, answer.body)
    codes = [] if failure is None else [str(failure.code)]
    asked = retry_after(answer.headers, now)
    return CODES.classify(*codes, str(answer.status), f"{answer.status // 100}xx", retry_after=asked)
