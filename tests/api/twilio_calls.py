"""Twilio as the API sees it: what calls back, and signs what it says."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from notifier.api.http import FORM, JSON
from notifier.store.core.status import rendered as delivery
from tests.api.server import Answer, Caller

PHONE = "+4915123456789"
REFERENCE = "5f" * 16
SID = "SM" + "ab" * 16
TOKEN, OTHER = "sandbox-token", "token-of-another-account"
ACCOUNTS = f"twilio://AC1:{TOKEN}@api.twilio.com?from=VOLTLINE twilio://AC2:{OTHER}@api.twilio.com?from=V&name=second"
PUBLIC = "https://notify.example.com/hooks"
RECEIPTS, INBOUND = "/v1/receipts/twilio", "/v1/inbound/twilio"
STATUS = f"{RECEIPTS}?reference={REFERENCE}"


@dataclass
class Twilio:
    """Calls the API as Twilio does."""

    api: Caller

    async def report(self, status: str, path: str = STATUS, token: str = TOKEN, **more: str) -> Answer:
        """A status callback."""
        return await self.form(path, {"MessageSid": SID, "MessageStatus": status, "To": PHONE, **more}, token)

    async def text(self, body: str, sid: int) -> Answer:
        """A text that somebody sent us."""
        return await self.form(INBOUND, {"From": PHONE, "Body": body, "MessageSid": f"SM{sid:032x}"})

    async def form(self, path: str, fields: dict[str, str], token: str = TOKEN) -> Answer:
        signature = RequestValidator(token).compute_signature(PUBLIC + path, fields)
        return await self.raw(path, urlencode(fields).encode(), FORM, signature)

    async def json(self, path: str, members: dict[str, Any]) -> Answer:
        body = json.dumps(members).encode()
        path += f"{'&' if '?' in path else '?'}bodySHA256={sha256(body).hexdigest()}"
        return await self.raw(path, body, JSON, RequestValidator(TOKEN).compute_signature(PUBLIC + path, {}))

    async def raw(self, path: str, body: bytes, media: str, signature: str, **headers: str) -> Answer:
        return await self.api.call(
            "POST", path, body, Content_Type=media, X_Twilio_Signature=signature, Authorization="", **headers
        )

    async def state(self) -> tuple[str, str | None, str | None]:
        """The delivery's state, and why."""
        (row,) = await self.api.rows(delivery)
        return row.state, row.reason, row.code
