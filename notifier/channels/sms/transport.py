"""Texts to Twilio: the SDK's client over our own HTTP client.

There is no idempotency key: what Twilio may have taken is unknown, and only its callback or its list of messages can
tell.
"""

import logging
import re
from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import twilio
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from yarl import URL

from notifier.channels.http import (
    TIMEOUTS,
    Answer,
    Timeouts,
    base_address,
    decode,
    get,
    open_session,
    post,
    retry_after,
)
from notifier.channels.sms import CODES
from notifier.clock import SECOND, Clock, to_instant
from notifier.errors import ConfigurationError, OutcomeUnknown, SendError, Unavailable
from notifier.messages import Receipt, SmsMessage

URL_OF_TWILIO: Final = "https://api.twilio.com"
CONNECTIONS: Final = 100
"""Requests under way at once; Twilio's own limits per sender are far below what these carry."""
MAX_VALIDITY: Final = 36_000
"""Seconds, ten hours: Twilio queues no text longer."""

PAGE: Final = 50
"""Texts to one number that are looked through for one: more than anybody gets in the minutes that count."""

_log: Final = logging.getLogger(__name__)
_MESSAGING_SERVICE: Final = re.compile(r"MG[0-9a-f]{32}")


class _Created(msgspec.Struct):
    """A message as Twilio answers it."""

    sid: str
    error_code: int | None = None


class _Listed(msgspec.Struct):
    """A message as Twilio lists it; `date_created` is RFC 2822."""

    sid: str
    to: str
    body: str
    date_created: str


class _Page(msgspec.Struct):
    messages: list[_Listed]


class _Failure(msgspec.Struct):
    """An error, in Twilio's own format or as problem details (RFC 9457): both have the code."""

    code: int


_created: Final = msgspec.json.Decoder(_Created)
_page: Final = msgspec.json.Decoder(_Page)
_failure: Final = msgspec.json.Decoder(_Failure)


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
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        if not (account_sid and auth_token and sender):
            raise ConfigurationError("Twilio needs an account SID, an auth token and a sender")
        role = "messaging_service_sid" if _MESSAGING_SERVICE.fullmatch(sender) else "from_"
        self._sender = {role: sender}
        self._callback = callback_url and callback_url + ("&" if "?" in callback_url else "?")
        address = base_address(base_url)
        self._http = _HttpClient(account_sid, auth_token, clock, connections, timeouts)
        # An environment of its own: TWILIO_EDGE and TWILIO_REGION would change the address.
        client = Client(account_sid, auth_token, http_client=self._http, environment={"TWILIO_EDGE": ""})
        client.api.base_url = address
        self._messages = client.messages
        self._list = URL(f"{address}/2010-04-01/Accounts/{account_sid}/Messages.json")

    async def send(self, message: SmsMessage) -> Receipt:
        """Hand over one text; the receipt's reference is its SID. Raises a SendError."""
        more: dict[str, Any] = dict(self._sender)
        if self._callback:
            more["status_callback"] = self._callback + urlencode({"reference": message.reference})
        created = await self._messages.create_async(
            to=message.to,
            body=message.content.text,
            validity_period=min(max(message.time_to_live, 1), MAX_VALIDITY),
            **more,
        )
        return Receipt(CODES.provider, created.sid)

    async def find(self, message: SmsMessage, since: int) -> Receipt | None:
        """The text where Twilio has it already: one to that number, with those words, made since an instant.

        None where it has none; a SendError where it doesn't say.
        """
        listed = await self._http.list(self._list.with_query({"To": message.to, "PageSize": str(PAGE)}))
        for each in listed:
            made = to_instant(parsedate_to_datetime(each.date_created))
            # Twilio counts in whole seconds.
            if each.to == message.to and each.body == message.content.text and made >= since - SECOND:
                return Receipt(CODES.provider, each.sid)
        return None

    async def close(self) -> None:
        """Close every connection; sends under way fail."""
        await self._http.close()


class _HttpClient(AsyncHttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's way to the network: with a time-out that is kept (twilio-python #925), and without its logging.

    Failures end here: the SDK would drop Retry-After, and quote Twilio's sentence, which may hold a number, in its
    exceptions.
    """

    def __init__(self, account_sid: str, auth_token: str, clock: Clock, connections: int, timeouts: Timeouts) -> None:
        super().__init__(_log, is_async=True, timeout=timeouts.total)
        self._clock = clock
        headers = {
            "Accept": "application/json",
            "Authorization": "Basic " + b64encode(f"{account_sid}:{auth_token}".encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": f"twilio-python/{twilio.__version__}",
        }
        self._session = open_session(connections, headers, timeouts)

    async def request(self, _method: str, uri: str, data: Mapping[str, Any], **_: Any) -> Response:
        """Post a form; of the answer the SDK gets what is of use.

        Raises a SendError for an answer that isn't a new text.
        """
        form = urlencode(data, errors="replace").encode()
        answer = await post(self._session, CODES.provider, URL(uri), form)
        if not 200 <= answer.status < 300:
            raise _error(answer, self._clock.now())
        created = decode(_created, answer.body)
        if created is None:
            raise OutcomeUnknown(CODES.provider, str(answer.status), "Twilio's answer names no message")
        if created.error_code is not None:
            raise CODES.classify(str(created.error_code))
        return Response(answer.status, msgspec.json.encode(created).decode())

    async def list(self, url: URL) -> list[_Listed]:
        """The texts that Twilio lists, newest first; a SendError where it doesn't."""
        answer = await get(self._session, CODES.provider, url)
        if answer.status != 200:
            raise _error(answer, self._clock.now())
        page = decode(_page, answer.body)
        if page is None:
            raise Unavailable(CODES.provider, str(answer.status), "Twilio's list can't be read")
        return page.messages

    async def close(self) -> None:
        await self._session.close()


def _error(answer: Answer, now: int) -> SendError:
    failure = decode(_failure, answer.body)
    codes = [] if failure is None else [str(failure.code)]
    asked = retry_after(answer.headers, now)
    return CODES.classify(*codes, str(answer.status), f"{answer.status // 100}xx", retry_after=asked)
