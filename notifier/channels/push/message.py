"""The encoder of pushes: the same JSON that the Firebase SDK makes of its `Message`, written directly.

`tests/channels/push` compares the result with the SDK's encoder.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from notifier.channels.push.messages import PushContent, PushMessage
from notifier.domain.clock import SECOND
from notifier.domain.messages import Urgency

MAX_TIME_TO_LIVE: Final = 2_419_200
"""Seconds, four weeks: FCM keeps no message longer."""
MAX_APNS_COLLAPSE_ID: Final = 64
"""Bytes of `apns-collapse-id` (developer.apple.com, "Sending notification requests to APNs")."""
MAX_TOPIC: Final = 32
"""Characters of web push's `Topic`, of the URL-safe base64 alphabet (RFC 8030 §5.4)."""

_WEB_LINK: Final = "https://"
"""The prefix of a link that a click on a web push may open: FCM refuses a message with any other."""

ACTION: Final = "open"
"""The action name of a web push's button, for the service worker that handles the click."""

_PRINTABLE: Final = re.compile(rf"[!-~]{{1,{MAX_APNS_COLLAPSE_ID}}}")
_TOPIC: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TOPIC}}}")


class _Pace(NamedTuple):
    """An urgency on each platform.

    Its way to the device: Android's priority, APNs' (10 at once, 5 when the battery allows), web push's urgency. How it
    makes itself heard: Android's notification priority, which counts before Android 8 (since then the app's channel of
    the urgency's name does, or the one of its manifest); Apple's interruption level, of which "time-sensitive" passes
    through a Focus (developer.apple.com, "Generating a remote notification"); the device's own sound unless silent.
    """

    android: str
    apns: str
    webpush: str
    shown: str
    interruption: str
    silent: bool = False


_PACES: Final[dict[Urgency, _Pace]] = {
    "low": _Pace("normal", "5", "low", "PRIORITY_LOW", "passive", silent=True),
    "normal": _Pace("normal", "5", "normal", "PRIORITY_DEFAULT", "active"),
    "high": _Pace("high", "10", "high", "PRIORITY_HIGH", "active"),
    "urgent": _Pace("high", "10", "high", "PRIORITY_MAX", "time-sensitive"),
}


def encode(message: PushMessage, now: int) -> bytes:
    """Encode the JSON body of `messages:send`; settings that the platforms share are repeated in each platform's own
    fields.

    The same collapse key replaces on every platform: on the screen (Android's tag), and also on the way (APNs' collapse
    id, web push's topic). Not on the way to Android: what FCM shows by itself it collapses under the app's own key,
    whatever it is sent, so of what came while a phone was off it shows the newest. ValueError for an empty token and
    for half a letter (a lone surrogate), which no JSON holds.
    """
    if not message.device.value:
        raise ValueError("a device's token must be a non-empty string")
    content, key, pace = message.content, message.collapse_key, _PACES[message.urgency]
    time_to_live = min(max(message.time_to_live, 0), MAX_TIME_TO_LIVE)
    link = {} if content.link is None else {"link": content.link}
    push: dict[str, Any] = {
        message.device.kind: message.device.value,
        "notification": {"title": content.title, "body": content.body},
        "data": {"reference": message.reference, "type": message.notification_type, **link},
        "android": {
            "ttl": f"{time_to_live}s",
            "priority": pace.android,
            "notification": {"tag": key, "channel_id": message.urgency, "notification_priority": pace.shown},
        },
        "apns": {
            "headers": {
                "apns-collapse-id": key if _PRINTABLE.fullmatch(key) else _short(key),
                "apns-expiration": str(now // SECOND + time_to_live),
                "apns-priority": pace.apns,
            },
            "payload": {"aps": {"interruption-level": pace.interruption}},
        },
        "webpush": {
            "headers": {
                "TTL": str(time_to_live),
                "Urgency": pace.webpush,
                "Topic": key if _TOPIC.fullmatch(key) else _short(key),
            }
        },
    }
    if not pace.silent:
        push["android"]["notification"]["default_sound"] = True
        push["apns"]["payload"]["aps"]["sound"] = "default"
    if content.link is not None and content.link.startswith(_WEB_LINK):
        push["webpush"]["fcm_options"] = {"link": content.link}
    if content.image is not None or content.action is not None:
        _enrich(push, content, message.notification_type)
    return msgspec.json.encode({"message": push})


def _enrich(push: dict[str, Any], content: PushContent, notification_type: str) -> None:
    """Add an image and a button in each platform's own fields.

    Android draws the image by itself, Apple only by the app's service extension, which `mutable-content` wakes
    (firebase.google.com/docs/cloud-messaging/ios/send-image). A button is the app's: the type's id names the registered
    buttons on Apple (`category`), and the label goes along in `data`. No `click_action` for Android: a tap on the
    notification itself would do nothing in an app that has no activity of that name.
    """
    aps: dict[str, Any] = push["apns"]["payload"]["aps"]
    aps["mutable-content"] = 1
    if content.image is not None:
        push["notification"]["image"] = content.image
        push["apns"]["fcm_options"] = {"image": content.image}
    if content.action is not None:
        push["data"]["action"] = content.action
        aps["category"] = notification_type
        push["webpush"]["notification"] = {"actions": [{"action": ACTION, "title": content.action}]}


def _short(key: str) -> str:
    """Return a hash of 22 characters for a key that is too long or has characters that a header can't carry."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
