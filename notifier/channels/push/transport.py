"""The FCM transport: sends pushes over a pool of connections.

The Firebase SDK's own senders aren't used: `send` repeats a POST after a time-out, `send_each` takes a thread a
message, and `send_each_async` repeats a 503 at once and loses its connections doing so. Its credentials and exceptions
are.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
from firebase_admin import exceptions, messaging

from notifier.channels.push.codes import CODES
from notifier.channels.push.message import encode
from notifier.channels.push.messages import PushMessage
from notifier.channels.push.tokens import AccessTokens, read_certificate
from notifier.domain.clock import Clock
from notifier.domain.errors import ConfigurationError, OutcomeUnknown, SendError
from notifier.domain.messages import Receipt
from notifier.providers.http import TIMEOUTS, HttpAnswer, HttpTimeouts, decode, retry_after
from notifier.providers.http_client import HttpClient
from notifier.runtime.proxies import DIRECT, Proxies

URL_OF_FCM: Final = "https://fcm.googleapis.com"
CONNECTIONS: Final = 200
"""Requests under way at once: with 80 ms to the server, 2,500 a second."""

CAUSES: Final[Mapping[str, type[exceptions.FirebaseError]]] = {
    "UNREGISTERED": messaging.UnregisteredError,
    "SENDER_ID_MISMATCH": messaging.SenderIdMismatchError,
    "QUOTA_EXCEEDED": messaging.QuotaExceededError,
    "THIRD_PARTY_AUTH_ERROR": messaging.ThirdPartyAuthError,
    "APNS_AUTH_ERROR": messaging.ThirdPartyAuthError,
    exceptions.INVALID_ARGUMENT: exceptions.InvalidArgumentError,
    exceptions.FAILED_PRECONDITION: exceptions.FailedPreconditionError,
    exceptions.OUT_OF_RANGE: exceptions.OutOfRangeError,
    exceptions.UNAUTHENTICATED: exceptions.UnauthenticatedError,
    exceptions.PERMISSION_DENIED: exceptions.PermissionDeniedError,
    exceptions.NOT_FOUND: exceptions.NotFoundError,
    exceptions.ABORTED: exceptions.AbortedError,
    exceptions.ALREADY_EXISTS: exceptions.AlreadyExistsError,
    exceptions.RESOURCE_EXHAUSTED: exceptions.ResourceExhaustedError,
    exceptions.CANCELLED: exceptions.CancelledError,
    exceptions.DATA_LOSS: exceptions.DataLossError,
    exceptions.UNKNOWN: exceptions.UnknownError,
    exceptions.INTERNAL: exceptions.InternalError,
    exceptions.UNAVAILABLE: exceptions.UnavailableError,
    exceptions.DEADLINE_EXCEEDED: exceptions.DeadlineExceededError,
}
"""The SDK's exception for a code: the cause of our error, for callers who know Firebase better than us."""

DEVICE_FIELDS: Final = frozenset({"message.token", "message.fid"})
INVALID_DEVICE: Final = "invalid_device"
"""The field of an invalid argument that means the device: FCM's code is the same for all fields."""

_CODE: Final = re.compile(r"[A-Z][A-Z_]{1,49}")


class _Accepted(msgspec.Struct):
    name: str


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    error_code: str = ""
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct):
    status: str = ""
    details: list[_Detail] = []


class _FcmFailure(msgspec.Struct):
    error: _Error


_accepted: Final = msgspec.json.Decoder(_Accepted)
_failure: Final = msgspec.json.Decoder(_FcmFailure)


class FcmTransport:
    """Sends pushes for a Firebase project.

    `service_account` is the file that the Firebase console hands out, or its content; `project` another project than
    its own that it may send for. ConfigurationError where these can't be used.
    """

    def __init__(
        self,
        service_account: Mapping[str, Any] | Path,
        *,
        clock: Clock,
        project: str | None = None,
        base_url: str = URL_OF_FCM,
        connections: int = CONNECTIONS,
        timeouts: HttpTimeouts = TIMEOUTS,
        proxies: Proxies = DIRECT,
    ) -> None:
        certificate = read_certificate(service_account)
        project = project or certificate.project_id
        if not project:
            raise ConfigurationError("the service account names no project_id")
        self.project: Final = project
        self._target = f"/v1/projects/{quote(project, safe=':')}/messages:send".encode()
        self._clock = clock
        self._tokens = AccessTokens(certificate, CODES, clock, proxies)
        headers = {"Content-Type": "application/json; charset=UTF-8", "X-GOOG-API-FORMAT-VERSION": "2"}
        self._http = HttpClient(
            CODES.provider, base_url, headers, connections=connections, timeouts=timeouts, proxies=proxies
        )

    async def send(self, message: PushMessage) -> Receipt:
        """Send a push; the receipt's reference is FCM's message name. Raises a SendError."""
        try:
            body = encode(message, self._clock.now())
        except ValueError:
            raise CODES.classify("not_encodable") from None
        answer = await self._post(body)
        if _is_token_refused(answer):  # the token was revoked, or Google changed its keys: a new one is fetched at once
            answer = await self._post(body)
        if answer.status == 200:
            return _receipt(answer)
        raise _error(answer, self._clock.now())

    async def authorize(self) -> None:
        """Have an access token ready, as a push needs one. Raises the SendError that a push would."""
        await self._tokens.bearer()

    async def _post(self, body: bytes) -> HttpAnswer:
        bearer = await self._tokens.bearer()
        answer = await self._http.post(self._target, body, b"Authorization: %b\r\n" % bearer.encode())
        if _is_token_refused(answer):
            self._tokens.refused(bearer)
        return answer

    async def close(self) -> None:
        """Close all connections; sends under way fail."""
        await self._tokens.close()
        await self._http.close()


def _receipt(answer: HttpAnswer) -> Receipt:
    accepted = decode(_accepted, answer.body)
    if accepted is None:
        raise OutcomeUnknown(CODES.provider, "200", "FCM's answer names no message")
    return Receipt(CODES.provider, accepted.name)


def _told(answer: HttpAnswer) -> _Error:
    failure = decode(_failure, answer.body)
    return _Error() if failure is None else failure.error


def _codes(told: _Error) -> list[str]:
    codes = [detail.error_code for detail in told.details] + [told.status]
    return [code for code in codes if _CODE.fullmatch(code)]


def _is_token_refused(answer: HttpAnswer) -> bool:
    """Whether FCM rejected the access token: a 401 with an FcmError is about Apple's or a browser's credentials
    instead."""
    return answer.status == 401 and _codes(_told(answer))[:1] in ([], [exceptions.UNAUTHENTICATED])


def _error(answer: HttpAnswer, now: int) -> SendError:
    """Return the error of a failed response, with the SDK's exception as its cause where there is one."""
    told = _told(answer)
    known = _codes(told)
    violated = {violation.field for detail in told.details for violation in detail.field_violations}
    gone = [INVALID_DEVICE] if violated & DEVICE_FIELDS else []
    error = CODES.classify(
        *gone, *known, str(answer.status), f"{answer.status // 100}xx", retry_after=retry_after(answer.headers, now)
    )
    cause = next((CAUSES[code] for code in known if code in CAUSES), None)
    error.__cause__ = cause(error.detail) if cause else None
    return error
