"""Twilio's Messages resource: create, list and fetch, as on twilio.com/docs/messaging/api/message-resource.

Basic authentication, form in, JSON out. A text's reference is the query parameter `reference` of its StatusCallback.
"""

import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice
from math import inf
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from aiohttp import web

from notifier.channels.sms.sandbox.segments import Encoding, segments
from notifier.domain.clock import DAY, SECOND, to_datetime, to_instant
from notifier.domain.deliveries import Channel
from notifier.sandbox.answers import answer, json_answer
from notifier.sandbox.faults import FaultRule, Faults
from notifier.sandbox.ledger import SandboxContent, SandboxEntry, SandboxLedger

CHANNEL: Final = Channel("sms")
BODY_LENGTH: Final = 1_600
"""Characters a body may have."""
VALIDITY_SECONDS: Final = 36_000
"""The longest ValidityPeriod: ten hours."""
URL_LENGTH: Final = 4_000
"""Characters a StatusCallback may have."""
PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1_000
VERSION: Final = "2010-04-01"

ERRORS: Final[Mapping[str, tuple[int, str]]] = {
    "20001": (400, "A parameter is invalid"),
    "20003": (401, "Authentication failed"),
    "20404": (404, "The requested resource was not found"),
    "20429": (429, "Too many requests"),
    "20500": (500, "Internal server error"),
    "20503": (503, "Service unavailable"),
    "21211": (400, "The 'To' number is not a valid phone number"),
    "21602": (400, "A message body is required"),
    "21603": (400, "A 'From' number or a Messaging Service is required"),
    "21604": (400, "A 'To' number is required"),
    "21609": (400, "The StatusCallback is not a valid URL"),
    "21610": (400, "The recipient has opted out of messages from this sender"),
    "21617": (400, "The body is longer than 1600 characters"),
    "90007": (400, "The validity period must be 1 to 36000 seconds"),
}
"""By Twilio's error code: the HTTP status and a sentence. Codes not listed are 400."""

_E164: Final = re.compile(r"\+[1-9]\d{1,14}")


class Sms(SandboxContent, frozen=True, kw_only=True, tag="sms"):
    """A text's content; `sender` is its From, `service` its Messaging Service; `validity` is in seconds."""

    sender: str
    service: str = ""
    body: str
    encoding: Encoding
    segments: int
    status_callback: str = ""
    validity: int | None = None


class Twilio:
    """The account's messages, on the ledger and the faults it is given.

    `deliver`, if given, is called with every accepted text; `status_of` returns a text's status and error code by its
    sid.
    """

    def __init__(
        self,
        ledger: SandboxLedger,
        faults: Faults,
        account_sid: str,
        auth_token: str,
        deliver: Callable[[SandboxEntry], None] | None,
        status_of: Callable[[str], tuple[str, int | None]],
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._sid = account_sid
        self._basic = "Basic " + b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._deliver = deliver
        self._status_of = status_of

    async def create(self, request: web.Request) -> web.Response:
        """Accept a text with 201, or refuse it in Twilio's error format."""
        form = dict(parse_qsl((await request.read()).decode("utf-8", "replace"), keep_blank_values=True))
        to, callback = form.get("To", ""), form.get("StatusCallback", "")
        reference = parse_qs(urlsplit(callback).query).get("reference", [""])[0]
        code = "20003" if not self._authentic(request) else _fault_in(form)
        if code is not None:
            return self._refuse(code, to, reference)
        trouble = self._faults.meet(CHANNEL, to=to, reference=reference)
        if trouble.fails is not None:
            return await answer(request, trouble, self._fail(trouble.fails, to, reference))
        if trouble.not_taken:
            return await answer(request, trouble, web.Response())
        encoding, count = segments(form["Body"])
        content = Sms(
            sender=form.get("From", ""),
            service=form.get("MessagingServiceSid", ""),
            body=form["Body"],
            encoding=encoding,
            segments=count,
            status_callback=callback,
            validity=int(form["ValidityPeriod"]) if "ValidityPeriod" in form else None,
        )
        entry = self._ledger.accept(CHANNEL, to, reference, content, f"SM{secrets.token_hex(16)}")
        if self._deliver is not None:
            self._deliver(entry)
        return await answer(request, trouble, json_answer(self._resource(entry, content, created=True), 201))

    async def list(self, request: web.Request) -> web.Response:
        """List the texts, newest first, filtered by To and by the time of sending, a page at a time."""
        if not self._authentic(request):
            return _error("20003")
        query = request.query
        try:
            since, until = _sent_between(query)
            page, size = int(query.get("Page", 0)), min(int(query.get("PageSize", PAGE_SIZE)), MAX_PAGE_SIZE)
        except ValueError:
            return _error("20001")
        to = frozenset(query.getall("To", []))
        matching = (
            entry
            for entry in self._ledger.latest(CHANNEL, to)
            if since <= entry.received_at // SECOND * SECOND <= until  # Twilio knows whole seconds
        )
        found = list(islice(matching, page * size, page * size + size + 1))

        def address(number: int) -> str:
            return f"{request.path}?{urlencode({**query, 'Page': number, 'PageSize': size})}"

        return json_answer(
            {
                "messages": [self._resource(entry, entry.content) for entry in found[:size]],
                "first_page_uri": address(0),
                "next_page_uri": address(page + 1) if len(found) > size else None,
                "previous_page_uri": address(page - 1) if page else None,
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(len(found[:size]) - 1, 0),
                "uri": str(request.rel_url),
            }
        )

    async def fetch(self, request: web.Request) -> web.Response:
        """Return one text by its sid."""
        if not self._authentic(request):
            return _error("20003")
        sid = request.match_info["message"]
        entry = next((entry for entry in self._ledger.latest(CHANNEL) if entry.provider_id == sid), None)
        return _error("20404") if entry is None else json_answer(self._resource(entry, entry.content))

    def _authentic(self, request: web.Request) -> bool:
        return request.match_info["account"] == self._sid and request.headers.get("Authorization") == self._basic

    def _refuse(self, code: str, to: str, reference: str) -> web.Response:
        self._ledger.refuse(CHANNEL, code, to, reference)
        return _error(code)

    def _fail(self, rule: FaultRule, to: str, reference: str) -> web.Response:
        usual = next((code for code, (status, _) in ERRORS.items() if status == rule.status), "20500")
        code = str(rule.code or usual)
        self._ledger.refuse(CHANNEL, code, to, reference)
        return _error(code, rule.status, rule.retry_after)

    def _resource(self, entry: SandboxEntry, content: Any, *, created: bool = False) -> dict[str, Any]:
        """Return the message as Twilio shows it; a Messaging Service counts segments once it has chosen a sender."""
        status, error = ("queued", None) if created else self._status_of(entry.provider_id)
        date = format_datetime(to_datetime(entry.received_at))
        uri = f"/{VERSION}/Accounts/{self._sid}/Messages/{entry.provider_id}"
        return {
            "account_sid": self._sid,
            "api_version": VERSION,
            "body": content.body,
            "date_created": date,
            "date_sent": None if created else date,
            "date_updated": date,
            "direction": "outbound-api",
            "error_code": error,
            "error_message": None,
            "from": content.sender or None,
            "messaging_service_sid": content.service or None,
            "num_media": "0",
            "num_segments": "0" if created and not content.sender else str(content.segments),
            "price": None,
            "price_unit": "USD",
            "sid": entry.provider_id,
            "status": status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": entry.to,
            "uri": f"{uri}.json",
        }


def _fault_in(form: Mapping[str, str]) -> str | None:
    """Return the error code of an invalid request; None for a valid one."""
    to, body = form.get("To", ""), form.get("Body", "")
    callback = urlsplit(form.get("StatusCallback", "http://host/"))
    validity = form.get("ValidityPeriod", "1")
    checks = (
        (not to, "21604"),
        (not _E164.fullmatch(to), "21211"),
        (not form.get("From") and not form.get("MessagingServiceSid"), "21603"),
        (not body, "21602"),
        (len(body) > BODY_LENGTH, "21617"),
        (callback.scheme not in ("http", "https") or not callback.hostname, "21609"),
        (len(form.get("StatusCallback", "")) > URL_LENGTH, "21609"),
        (not validity.isdecimal() or not 1 <= int(validity) <= VALIDITY_SECONDS, "90007"),
    )
    return next((code for wrong, code in checks if wrong), None)


def _error(code: str, status: int | None = None, retry_after: int | None = None) -> web.Response:
    usual, text = ERRORS.get(code, (400, "The message was refused"))
    status = status or usual
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_answer({"code": int(code), "message": text, "more_info": more, "status": status}, status, headers)


def _sent_between(query: Mapping[str, str]) -> tuple[float, float]:
    """Parse the DateSent filters into the instants between which texts were sent; ValueError for an invalid date."""
    if "DateSent" in query:
        day = _instant(query["DateSent"])
        return day, day + DAY - 1
    return _instant(query.get("DateSent>")) or -inf, _instant(query.get("DateSent<")) or inf


def _instant(date: str | None) -> int:
    """Parse a filter's date, or date and time, in UTC; 0 for none."""
    if date is None:
        return 0
    moment = datetime.fromisoformat(date)
    return to_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
