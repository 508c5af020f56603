"""Twilio's status callbacks: sent, then delivered or undelivered, as signed forms to a text's StatusCallback.

Fields and signature as on twilio.com/docs/messaging/guides/track-outbound-message-status and …/usage/security. Only
URLs on this machine are called. A rule at stage `delivery` makes a text undelivered (fail, its code), late (delay),
never reported (hang, drop_before), or delivered without a report (drop_after).
"""

import asyncio
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from twilio.request_validator import RequestValidator
from yarl import URL

from notifier.channels.sms.sandbox.twilio import CHANNEL, Sms
from notifier.runtime.background import once
from notifier.runtime.guard import is_loopback
from notifier.sandbox.faults import Faults
from notifier.sandbox.ledger import FULL_ENTRIES, SandboxEntry

TIMEOUT: Final = ClientTimeout(total=15)
"""Seconds that Twilio waits for a callback's answer."""
CONCURRENT: Final = 50
"""Concurrent callbacks: enough for thousands a second on loopback, few enough not to overload the receiver."""
UNDELIVERED: Final = 30003
"""The error code of an undelivered text whose rule names none: the handset can't be reached."""

log = structlog.get_logger()


class Callbacks:
    """Delivers texts and calls back; an async context manager that cancels deliveries under way at its end."""

    def __init__(self, faults: Faults, account_sid: str, auth_token: str) -> None:
        self._faults = faults
        self._account_sid = account_sid
        self._sign = RequestValidator(auth_token).compute_signature
        self._turns = asyncio.Semaphore(CONCURRENT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._statuses: dict[str, tuple[str, int | None]] = {}

    async def __aenter__(self) -> "Callbacks":
        self._session = ClientSession(timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def status(self, sid: str) -> tuple[str, int | None]:
        """Return a text's status, and its error code if it is undelivered."""
        return self._statuses.get(sid, ("sent", None))

    def deliver(self, entry: SandboxEntry) -> None:
        """Start a text's delivery."""
        task = once("sandbox.callback", partial(self._deliver, entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, entry: SandboxEntry) -> None:
        await self._tell(entry, "sent")
        trouble = self._faults.meet(CHANNEL, "delivery", entry.to, entry.reference)
        if trouble.seconds:
            await asyncio.sleep(trouble.seconds)
        if trouble.not_taken:
            return
        error = None if trouble.fails is None else int(trouble.fails.code or UNDELIVERED)
        status = "delivered" if error is None else "undelivered"
        self._statuses[entry.provider_id] = (status, error)
        if len(self._statuses) > FULL_ENTRIES:
            self._statuses.pop(next(iter(self._statuses)))
        if not trouble.silent:
            await self._tell(entry, status, error)

    async def _tell(self, entry: SandboxEntry, status: str, error: int | None = None) -> None:
        content = entry.content
        if not isinstance(content, Sms) or not is_loopback(urlsplit(content.status_callback).hostname or ""):
            return
        form = {
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "MessageSid": entry.provider_id,
            "MessageStatus": status,
            "SmsSid": entry.provider_id,
            "SmsStatus": status,
            "To": entry.to,
            **({"From": content.sender} if content.sender else {}),
            **({"MessagingServiceSid": content.service} if content.service else {}),
            **({"ErrorCode": str(error)} if error is not None else {}),
        }
        signature = self._sign(content.status_callback, form)
        try:
            async with (
                self._turns,
                self._session.post(
                    URL(content.status_callback, encoded=True),  # byte for byte as it was signed
                    data=form,
                    headers={"X-Twilio-Signature": signature, "I-Twilio-Idempotency-Token": f"{entry.number}-{status}"},
                    allow_redirects=False,
                ) as response,
            ):
                await response.read()
        except (ClientError, TimeoutError) as problem:
            log.warning("sandbox.callback_failed", status=status, problem=type(problem).__name__)
