"""What the tests of push send and are answered."""

from typing import Any

from notifier.channels.push.messages import PushContent, PushMessage
from notifier.domain.messages import Device
from tests.channels import canary

TOKEN_ENDPOINT = "/token"
SEND = "/v1/projects/p/messages:send"


def grant(number: int, lifetime: int | None = 3600) -> dict[str, Any]:
    """The token endpoint's answer; `lifetime` in seconds."""
    granted = {"access_token": f"{canary.SECRET}-{number}", "token_type": "Bearer", "expires_in": lifetime}
    return {key: value for key, value in granted.items() if value is not None}


def push(**changes: Any) -> PushMessage:
    fields: dict[str, Any] = {
        "reference": "5f" * 16,
        "device": Device(value=canary.TOKEN),
        "content": PushContent(title=canary.NAME, body=canary.TEXT, link="https://app.example/sessions/1"),
        "notification_type": "charging-complete",
        "collapse_key": "session-1",
        "time_to_live": 1800,
        "urgency": "high",
    }
    return PushMessage(**{**fields, **changes})
