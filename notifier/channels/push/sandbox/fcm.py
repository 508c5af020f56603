"""Firebase Cloud Messaging's HTTP v1 API: `POST /v1/projects/{project}/messages:send`.

Shape and limits as on firebase.google.com/docs/reference/fcm/rest/v1/projects.messages and …/ErrorCode. Topics and
conditions are refused: every notification here goes to one device.
"""

import re
from collections.abc import Mapping
from itertools import count
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from notifier.channels.push.sandbox.oauth import PROJECT, Issuer
from notifier.domain.clock import Clock
from notifier.domain.deliveries import Channel
from notifier.sandbox.answers import answer, json_answer
from notifier.sandbox.faults import FaultRule, Faults
from notifier.sandbox.ledger import SandboxContent, SandboxLedger

CHANNEL: Final = Channel("push")
PAYLOAD_BYTES: Final = 4_096
"""Bytes of a payload: its keys and values in UTF-8."""
COLLAPSE_ID_BYTES: Final = 64
"""Apple's limit on the apns-collapse-id header."""
TTL_SECONDS: Final = 2_419_200
"""The longest time to live in seconds: four weeks."""
RETRY_AFTER: Final = 60
"""Seconds asked for with 429, FCM's own default."""

ERRORS: Final[Mapping[str, tuple[int, str, str]]] = {
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "The request has an invalid argument."),
    "UNREGISTERED": (404, "NOT_FOUND", "The app instance is no longer registered."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "The token belongs to another sender."),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "A sending limit of the target was exceeded."),
    "RESOURCE_EXHAUSTED": (429, "RESOURCE_EXHAUSTED", "The project's quota is exceeded."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is overloaded at the moment."),
    "INTERNAL": (500, "INTERNAL", "An internal error occurred."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "The APNs certificate or web push key is invalid or missing."),
}
"""By FCM's error code: the HTTP status, google.rpc's canonical status, and a sentence. The project's quota has none."""

_DETAIL: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
_RESERVED_KEY: Final = re.compile(r"from$|message_type$|google|gcm")
_ADDRESS: Final = re.compile(r"https?://[^/?#\s]+\S*")
_DURATION: Final = re.compile(r"\d{1,7}(\.\d{1,9})?s")


class Push(SandboxContent, frozen=True, kw_only=True, tag="push"):
    """A push's content; `action` is its button's label; `apns_headers` have lower-case names."""

    title: str = ""
    body: str = ""
    image: str = ""
    action: str = ""
    data: dict[str, str] = {}
    collapse_key: str = ""
    time_to_live: str = ""
    priority: str = ""
    apns_headers: dict[str, str] = {}


class Notification(msgspec.Struct, forbid_unknown_fields=True):
    title: str = ""
    body: str = ""
    image: str = ""

    def __post_init__(self) -> None:
        _check_image(self.image)


class Android(msgspec.Struct):
    collapse_key: str = ""
    priority: Literal["", "NORMAL", "HIGH", "normal", "high"] = ""
    ttl: str = ""
    data: dict[str, str] = {}
    notification: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.ttl and not (_DURATION.fullmatch(self.ttl) and float(self.ttl[:-1]) <= TTL_SECONDS):
            raise ValueError("ttl must be a duration in seconds, 0s to 2419200s")
        if not all(isinstance(self.notification.get(name, ""), str) for name in ("click_action", "image")):
            raise TypeError("click_action and image of a notification must be strings")
        _check_image(self.notification.get("image", ""))


class ApnsOptions(msgspec.Struct, forbid_unknown_fields=True):
    analytics_label: str = ""
    image: str = ""

    def __post_init__(self) -> None:
        _check_image(self.image)


class Apns(msgspec.Struct):
    headers: dict[str, str] = {}
    payload: dict[str, Any] = {}
    fcm_options: ApnsOptions = msgspec.field(default_factory=ApnsOptions)

    def __post_init__(self) -> None:
        if not isinstance(self.payload.get("aps", {}), dict):
            raise TypeError("aps must be a dictionary")
        self.headers = {name.lower(): value for name, value in self.headers.items()}
        if len(self.headers.get("apns-collapse-id", "").encode()) > COLLAPSE_ID_BYTES:
            raise ValueError("apns-collapse-id is longer than 64 bytes")


class Webpush(msgspec.Struct):
    headers: dict[str, str] = {}
    data: dict[str, str] = {}
    notification: dict[str, Any] = {}


class FcmMessage(msgspec.Struct, forbid_unknown_fields=True):
    token: str = ""
    fid: str = ""
    data: dict[str, str] = {}
    notification: Notification = msgspec.field(default_factory=Notification)
    android: Android = msgspec.field(default_factory=Android)
    apns: Apns = msgspec.field(default_factory=Apns)
    webpush: Webpush = msgspec.field(default_factory=Webpush)
    fcm_options: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if bool(self.token) == bool(self.fid):
            raise ValueError("the recipient must be exactly one of token and fid")
        if any(_RESERVED_KEY.match(key) for key in (*self.data, *self.android.data)):
            raise ValueError("data has a reserved key")

    def payload_bytes(self) -> int:
        """Return the size in bytes of the largest payload that one platform would get."""
        notification = self.notification
        common = _weight(self.data) + _weight([notification.title, notification.body, notification.image])
        own = (
            _weight(self.android.data) + _weight(self.android.notification),
            _weight(self.apns.payload) + _weight(self.apns.fcm_options.image),
            _weight(self.webpush.data) + _weight(self.webpush.notification),
        )
        return common + max(own)


class FcmRequest(msgspec.Struct, forbid_unknown_fields=True):
    message: FcmMessage
    validate_only: bool = False


_decode: Final = msgspec.json.Decoder(FcmRequest).decode


class Fcm:
    """The `messages:send` method, on the ledger and the faults it is given."""

    def __init__(self, ledger: SandboxLedger, faults: Faults, clock: Clock, issuer: Issuer) -> None:
        self._ledger = ledger
        self._faults = faults
        self._clock = clock
        self._issuer = issuer
        self._numbers = count(1)

    async def send(self, request: web.Request) -> web.Response:
        """Accept a push, or refuse it in google.rpc's error format."""
        body = await request.read()
        if not self._issuer.knows(request.headers.get("Authorization", "")):
            return self._refuse("UNAUTHENTICATED", 401, "The access token is missing, unknown or expired.")
        if request.match_info["project"] != PROJECT:
            return self._refuse("PERMISSION_DENIED", 403, "The service account does not belong to this project.")
        try:
            wanted = _decode(body)
            # JSON escapes only lengthen a body, so a short body can't hold a long payload.
            if len(body) > PAYLOAD_BYTES and wanted.message.payload_bytes() > PAYLOAD_BYTES:
                raise msgspec.ValidationError(f"the payload is larger than {PAYLOAD_BYTES} bytes - at `$.message`")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._refuse_shape(str(error))

        message = wanted.message
        name = f"projects/{PROJECT}/messages/0:{self._clock.now() * 1000:016d}%{next(self._numbers):016x}"
        if wanted.validate_only:
            return json_answer({"name": name})
        to = message.token or message.fid
        reference = message.data.get("reference", "")
        trouble = self._faults.meet(CHANNEL, to=to, reference=reference)
        if trouble.fails is not None:
            return await answer(request, trouble, self._fail(trouble.fails, to, reference))
        if not trouble.not_taken:
            self._ledger.accept(CHANNEL, to, reference, _content(message), name)
        return await answer(request, trouble, json_answer({"name": name}))

    def _refuse(self, code: str, status: int, text: str) -> web.Response:
        self._ledger.refuse(CHANNEL, code)
        return json_answer({"error": {"code": status, "message": text, "status": code}}, status)

    def _refuse_shape(self, text: str) -> web.Response:
        """Answer 400 with FCM's two details: its own code, and google.rpc.BadRequest's field."""
        described, _, path = text.partition(" - at `")
        violation = {"field": path.strip("`$.") or "message", "description": described}
        self._ledger.refuse(CHANNEL, "INVALID_ARGUMENT")
        details: list[dict[str, Any]] = [
            {"@type": _DETAIL, "errorCode": "INVALID_ARGUMENT"},
            {"@type": _BAD_REQUEST, "fieldViolations": [violation]},
        ]
        return _error(400, "INVALID_ARGUMENT", described, details)

    def _fail(self, rule: FaultRule, to: str, reference: str) -> web.Response:
        """Answer with the failure that a rule orders; a status that FCM never gives comes as a gateway's page."""
        code = str(rule.code or next((code for code, (status, *_) in ERRORS.items() if status == rule.status), ""))
        if not code and rule.status is None:
            code = "UNAVAILABLE"
        self._ledger.refuse(CHANNEL, code or str(rule.status), to, reference)
        status, canonical, text = ERRORS.get(code, (rule.status or 500, "UNKNOWN", "An unknown error occurred."))
        status = rule.status or status
        wait = rule.retry_after or (RETRY_AFTER if status == 429 else None)
        headers = {} if wait is None else {"Retry-After": str(wait)}
        if not code:
            page = f"<!DOCTYPE html><html lang=en><title>Error {status} (Server Error)</title>"
            return web.Response(text=page, status=status, headers=headers, content_type="text/html")
        if code == canonical == "RESOURCE_EXHAUSTED":
            detail = {"@type": _ERROR_INFO, "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"}
        else:
            detail = {"@type": _DETAIL, "errorCode": code}
        return _error(status, canonical, text, [detail], headers)


def _error(
    status: int, canonical: str, text: str, details: list[dict[str, Any]], headers: Mapping[str, str] | None = None
) -> web.Response:
    error = {"code": status, "message": text, "status": canonical, "details": details}
    return json_answer({"error": error}, status, headers)


def _content(message: FcmMessage) -> Push:
    android = message.android
    return Push(
        title=message.notification.title or str(android.notification.get("title", "")),
        body=message.notification.body or str(android.notification.get("body", "")),
        image=message.notification.image or android.notification.get("image", ""),
        action=message.data.get("action", ""),
        data=message.data,
        collapse_key=android.collapse_key,
        time_to_live=android.ttl,
        priority=android.priority,
        apns_headers=message.apns.headers,
    )


def _check_image(address: str) -> None:
    """Raise ValueError for a URL that no device could load; the SDKs refuse it, too."""
    if address and not _ADDRESS.fullmatch(address):
        raise ValueError("image must be a URL")


def _weight(value: Any) -> int:
    """Return the bytes of a value's keys and texts, as FCM counts them."""
    match value:
        case str():
            return len(value.encode())
        case dict():
            return sum(_weight(key) + _weight(content) for key, content in value.items())
        case list():
            return sum(map(_weight, value))
        case _:
            return len(str(value))
