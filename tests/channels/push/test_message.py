"""The body of a push, within the limits that FCM, APNs and web push document."""

import json
import re
from typing import Any, get_args

import pytest
from firebase_admin import messaging
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.push.message import encode
from notifier.channels.push.messages import PushContent
from notifier.domain.messages import Device, Urgency
from tests.channels import canary
from tests.channels.push.samples import push

NOW = 1_790_000_000_123


def encoded(**changes: Any) -> dict[str, Any]:
    body = json.loads(encode(push(**changes), NOW))
    assert list(body) == ["message"]
    message: dict[str, Any] = body["message"]
    return message


def test_a_push_says_the_same_to_each_platform() -> None:
    assert encoded() == {
        "token": canary.TOKEN,
        "notification": {"title": canary.NAME, "body": canary.TEXT},
        "data": {"reference": "5f" * 16, "type": "charging-complete", "link": "https://app.example/sessions/1"},
        "android": {
            "priority": "high",
            "ttl": "1800s",
            "notification": {
                "tag": "session-1",
                "channel_id": "high",
                "notification_priority": "PRIORITY_HIGH",
                "default_sound": True,
            },
        },
        "apns": {
            "headers": {"apns-collapse-id": "session-1", "apns-expiration": "1790001800", "apns-priority": "10"},
            "payload": {"aps": {"interruption-level": "active", "sound": "default"}},
        },
        "webpush": {
            "headers": {"TTL": "1800", "Topic": "session-1", "Urgency": "high"},
            "fcm_options": {"link": "https://app.example/sessions/1"},
        },
    }


def test_a_picture_and_a_button_are_said_to_each_platform_in_its_words() -> None:
    # When
    message = encoded(content=PushContent(title="t", body="b", image="https://i.example/a.png", action="Pay now"))

    # Then
    assert message["notification"] == {"title": "t", "body": "b", "image": "https://i.example/a.png"}
    assert message["data"]["action"] == "Pay now"
    assert message["apns"]["payload"]["aps"] == {
        "interruption-level": "active", "sound": "default", "mutable-content": 1, "category": "charging-complete",
    }  # fmt: skip
    assert message["apns"]["fcm_options"] == {"image": "https://i.example/a.png"}
    assert message["webpush"]["notification"] == {"actions": [{"action": "open", "title": "Pay now"}]}


WORDS = st.text(min_size=1)


@given(
    kind=st.sampled_from(["token", "fid"]), value=WORDS, title=st.text(), body=st.text(), link=st.none() | st.text() | st.just("https://app.example/s"),
    image=st.none() | st.just("https://i.example/a.png?ü=1"), action=st.none() | WORDS,
    kind_of=st.text(), key=st.text(), time_to_live=st.integers(-10, 10**9), urgency=st.sampled_from(get_args(Urgency)),
)  # fmt: skip
def test_a_push_is_what_the_sdk_makes_of_it(
    kind: Any, value: str, title: str, body: str, link: str | None, image: str | None,
    action: str | None, kind_of: str, key: str, time_to_live: int,
    urgency: Urgency,
) -> None:  # fmt: skip
    # Given a push
    message = push(
        device=Device(kind=kind, value=value),
        content=PushContent(title=title, body=body, link=link, image=image, action=action),
        notification_type=kind_of, collapse_key=key, time_to_live=time_to_live, urgency=urgency,
    )  # fmt: skip

    # When it is written here, and as the SDK's message by the SDK's encoder
    ours = json.loads(encode(message, NOW))["message"]
    data = {"reference": message.reference, "type": kind_of} | ({} if link is None else {"link": link})
    data |= {} if action is None else {"action": action}
    silent = urgency == "low"
    level = {"low": "passive", "urgent": "time-sensitive"}.get(urgency, "active")
    shown = {"normal": "default", "urgent": "max"}.get(urgency, urgency)
    rich = (image or action) is not None
    aps = messaging.Aps(
        mutable_content=rich, category=None if action is None else kind_of, sound=None if silent else "default",
        custom_data={"interruption-level": level},
    )  # fmt: skip
    web_link = link if link is not None and link.startswith("https://") else None
    button = None if action is None else messaging.WebpushNotificationAction("open", action)
    theirs = messaging.Message(
        data=data,
        notification=messaging.Notification(title=title, body=body, image=image),
        android=messaging.AndroidConfig(
            priority="high" if urgency in ("high", "urgent") else "normal",
            ttl=min(max(time_to_live, 0), 28 * 86_400),
            notification=messaging.AndroidNotification(
                tag=key, channel_id=urgency, priority=shown, default_sound=None if silent else True
            ),
        ),
        apns=messaging.APNSConfig(
            headers=ours["apns"]["headers"], payload=messaging.APNSPayload(aps),
            fcm_options=None if image is None else messaging.APNSFCMOptions(image=image),
        ),
        webpush=messaging.WebpushConfig(
            headers=ours["webpush"]["headers"],
            notification=None if button is None else messaging.WebpushNotification(actions=[button]),
            fcm_options=None if web_link is None else messaging.WebpushFCMOptions(link=web_link),
        ),
    )  # fmt: skip
    setattr(theirs, kind, value)  # the constructor warns at a token

    # Then there is no difference
    assert ours == json.loads(str(theirs))


def test_half_a_letter_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode(push(content=PushContent(title="\ud800", body="b")), NOW)


def test_an_installation_is_addressed_as_one() -> None:
    # When
    message = encoded(device=Device(kind="fid", value="cA4n"))

    # Then
    assert message["fid"] == "cA4n"
    assert "token" not in message


def test_without_a_link_none_is_sent() -> None:
    assert "link" not in encoded(content=PushContent(title="t", body="b"))["data"]


@pytest.mark.parametrize("urgency", get_args(Urgency))
def test_urgency_decides_on_each_platform_alike(urgency: Urgency) -> None:
    # When
    message = encoded(urgency=urgency)

    # Then
    waking = urgency in ("high", "urgent")
    assert message["android"]["priority"] == ("high" if waking else "normal")
    assert message["apns"]["headers"]["apns-priority"] == ("10" if waking else "5")
    assert message["webpush"]["headers"]["Urgency"] == ("high" if waking else urgency)
    assert message["android"]["notification"]["channel_id"] == urgency


@pytest.mark.parametrize("urgency", get_args(Urgency))
def test_what_matters_is_heard_and_what_is_urgent_passes_through_a_focus(urgency: Urgency) -> None:
    # When
    message = encoded(urgency=urgency)

    # Then
    heard = urgency != "low"
    assert message["apns"]["payload"]["aps"].get("sound") == ("default" if heard else None)
    assert message["android"]["notification"].get("default_sound", False) is heard
    assert (message["apns"]["payload"]["aps"]["interruption-level"] == "time-sensitive") is (urgency == "urgent")


@pytest.mark.parametrize("link", ["http://127.0.0.1/sessions/1", "voltline://sessions/1"])
def test_a_link_that_fcm_takes_for_no_web_page_goes_to_the_app_only(link: str) -> None:
    # When
    message = encoded(content=PushContent(title="t", body="b", link=link))

    # Then
    assert message["data"]["link"] == link
    assert "fcm_options" not in message["webpush"]


def test_an_empty_token_is_refused_as_by_the_sdk() -> None:
    with pytest.raises(ValueError, match="non-empty"):
        encode(push(device=Device(value="")), NOW)


@given(key=st.text(min_size=1), time_to_live=st.integers(-10, 10**9), title=st.text(), body=st.text())
def test_headers_and_times_stay_within_their_limits(key: str, time_to_live: int, title: str, body: str) -> None:
    # When
    message = encoded(collapse_key=key, time_to_live=time_to_live, content=PushContent(title=title, body=body))

    # Then
    apns, webpush = message["apns"]["headers"], message["webpush"]["headers"]
    assert re.fullmatch(r"[!-~]{1,64}", apns["apns-collapse-id"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", webpush["Topic"])
    assert 0 <= int(webpush["TTL"]) <= 28 * 86_400
    assert message["android"]["ttl"] == f"{webpush['TTL']}s"
    assert int(apns["apns-expiration"]) == NOW // 1000 + int(webpush["TTL"])
    assert message["notification"] == {"title": title, "body": body}


@given(st.lists(st.text(min_size=1, max_size=200), min_size=2, max_size=2, unique=True))
def test_different_keys_never_replace_each_other(keys: list[str]) -> None:
    ids = [encoded(collapse_key=key)["apns"]["headers"]["apns-collapse-id"] for key in keys]
    topics = [encoded(collapse_key=key)["webpush"]["headers"]["Topic"] for key in keys]
    assert ids[0] != ids[1]
    assert topics[0] != topics[1]
