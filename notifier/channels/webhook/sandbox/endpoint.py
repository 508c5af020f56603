"""An endpoint that behaves as receivers should: it accepts only validly signed webhooks, and answers at once."""

import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from notifier.domain.clock import MINUTE, SECOND, Clock
from notifier.domain.deliveries import Channel
from notifier.domain.standard_webhooks import secret_key, secret_text, signed_headers
from notifier.sandbox.answers import answer, json_answer
from notifier.sandbox.ledger import SandboxContent
from notifier.sandbox.service import Host

CHANNEL: Final = Channel("webhook")
PATH: Final = "/webhooks/{form}/{name}"
SECRET: Final = secret_text(b"the sandbox's own, and well known")
"""The signing secret of webhooks to the sandbox in the standard form; it is public and used nowhere else."""
ROUTING_KEY: Final = "5a" * 16
"""The routing key of the sandbox's PagerDuty."""
TOLERANCE: Final = 5 * MINUTE
"""Milliseconds by which a signature's time may be off (Standard Webhooks, "Verifying webhook authenticity")."""


class Hook(SandboxContent, frozen=True, kw_only=True, tag="webhook"):
    """A webhook's content: its form, and its body as received."""

    form: str
    body: dict[str, Any]


class Endpoints:
    """All endpoints of a sandbox, with its ledger and its faults."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def take(self, request: web.Request) -> web.Response:
        """Answer 2xx as the form's service does, or with the error."""
        form, data = request.match_info["form"], await request.read()
        to, reference = f"{self._host.http_url}{request.path}", request.headers.get("webhook-id", "")
        body, wrong = _read(form, data, request.headers, self._host.clock)
        if wrong is not None:
            return self._refuse(wrong, to, reference)
        trouble = self._host.faults.meet(CHANNEL, to=to, reference=reference)
        if (rule := trouble.fails) is not None:
            status = rule.status or int(rule.code or 500)
            headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
            return await answer(request, trouble, self._refuse(status, to, reference, headers))
        if trouble.not_taken:
            return await answer(request, trouble, web.Response())
        self._host.ledger.accept(CHANNEL, to, reference, Hook(form=form, body=body), reference)
        return await answer(request, trouble, json_answer({"status": "success"}, 202 if form == "pagerduty" else 200))

    def _refuse(self, status: int, to: str, reference: str, headers: Mapping[str, str] | None = None) -> web.Response:
        self._host.ledger.refuse(CHANNEL, str(status), to, reference)
        return json_answer({"status": "refused"}, status, headers)


def _read(form: str, data: bytes, headers: Mapping[str, str], clock: Clock) -> tuple[dict[str, Any], int | None]:
    """Return a webhook's body and, where it is invalid, the status of the answer."""
    try:
        body = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}, 400
    match form:
        case "standard":
            return body, None if is_signed(data, headers, SECRET, clock.now()) else 401
        case "slack":
            return body, None if {"text", "blocks"} & body.keys() else 400
        case "teams":
            return body, None if body.get("attachments") else 400
        case "pagerduty":
            return body, None if body.get("routing_key") == ROUTING_KEY and body.get("dedup_key") else 400
        case _:
            return body, 404


def is_signed(data: bytes, headers: Mapping[str, str], secret: str, now: int) -> bool:
    """Whether a body was signed with a secret within five minutes of now."""
    id_, at, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not at.isdecimal() or abs(now - int(at) * SECOND) > TOLERANCE:
        return False
    try:
        good = signed_headers([secret_key(secret)], id_, int(at) * SECOND, data)["webhook-signature"]
    except ValueError:
        return False
    return any(hmac.compare_digest(each.encode(), good.encode()) for each in signatures.split(" "))
