"""A push as FCM takes it: the Firebase SDK's message in its own encoding."""

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Final, NamedTuple

from firebase_admin import messaging

from notifier.clock import SECOND
from notifier.messages import PushMessage, Urgency

MAX_TIME_TO_LIVE: Final = 2_419_200
"""Seconds, four weeks: FCM keeps no message longer."""
MAX_APNS_COLLAPSE_ID: Final = 64
"""Bytes of `apns-collapse-id` (developer.apple.com, "Sending notification requests to APNs")."""
MAX_TOPIC: Final = 32
"""Characters of web push's `Topic`, of the URL-safe base64 alphabet (RFC 8030 §5.4)."""

_PRINTABLE: Final = re.compile(rf"[!-~]{{1,{MAX_APNS_COLLAPSE_ID}}}")
_TOPIC: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TOPIC}}}")


class _Pace(NamedTuple):
    """An urgency on each platform: Android's priority, APNs' (10 at once, 5 when the battery allows), web push's
    urgency."""

    android: str
    apns: str
    webpush: str


_PACES: Final[dict[Urgency, _Pace]] = {
    "low": _Pace("normal", "5", "low"),
    "normal": _Pace("normal", "5", "normal"),
    "high": _Pace("high", "10", "high"),
    "urgent": _Pace("high", "10", "high"),
}


def encode(message: PushMessage, now: int) -> bytes:
    """The JSON body of `messages:send`; what the platforms share is said to each in its own words.

    The same collapse key replaces on every platform: on the way (Android's collapse key, APNs' collapse id, web
    push's topic) and on the screen (Android's tag). ValueError for a field that the SDK doesn't accept.
    """
    content, key, pace = message.content, message.collapse_key, _PACES[message.urgency]
    time_to_live = min(max(message.time_to_live, 0), MAX_TIME_TO_LIVE)
    data = {"reference": message.reference, "type": message.notification_type}
    if content.link is not None:
        data["link"] = content.link
    push = messaging.Message(
        notification=messaging.Notification(title=content.title, body=content.body),
        data=data,
        android=messaging.AndroidConfig(
            collapse_key=key,
            ttl=time_to_live,
            priority=pace.android,
            notification=messaging.AndroidNotification(tag=key),
        ),
        apns=messaging.APNSConfig(
            headers={
                "apns-collapse-id": key if _PRINTABLE.fullmatch(key) else _short(key),
                "apns-expiration": str(now // SECOND + time_to_live),
                "apns-priority": pace.apns,
            }
        ),
        webpush=messaging.WebpushConfig(
            headers={
                "TTL": str(time_to_live),
                "Urgency": pace.webpush,
                "Topic": key if _TOPIC.fullmatch(key) else _short(key),
            }
        ),
    )
    # Set afterwards: the constructor warns at each token, and projects move to installation ids at their own pace.
    setattr(push, message.device.kind, message.device.value)
    return b'{"message": %b}' % str(push).encode()


def _short(key: str) -> str:
    """22 characters that stand for a key which is too long or has letters that a header can't carry."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
