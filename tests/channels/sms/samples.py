"""What the tests of SMS send and are answered."""

from typing import Any

from notifier.channels.sms.messages import SmsContent, SmsMessage
from tests.channels import canary

ACCOUNT = "AC" + "0" * 32
CREATE = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
SENDER = "+15005550006"


def text(**changes: Any) -> SmsMessage:
    fields: dict[str, Any] = {
        "reference": "5f" * 16,
        "to": canary.PHONE,
        "content": SmsContent(text=canary.TEXT),
        "time_to_live": 1800,
    }
    return SmsMessage(**{**fields, **changes})


def created(**changes: Any) -> dict[str, Any]:
    """A message as Twilio answers it."""
    return {
        "sid": "SM" + "1" * 32,
        "status": "queued",
        "to": canary.PHONE,
        "body": canary.TEXT,
        "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
        "error_code": None,
        **changes,
    }


def refusal(code: int, status: int = 400) -> dict[str, Any]:
    """An error in Twilio's own format; its sentence quotes the number."""
    return {"code": code, "message": f"{canary.PHONE} is wrong", "more_info": "https://…", "status": status}


def problem(code: int, status: int = 400) -> dict[str, Any]:
    """The same as problem details (RFC 9457), for which the SDK has another exception."""
    detail = f"{canary.PHONE} is wrong"
    return {"type": "https://…", "title": "Invalid", "status": status, "code": code, "detail": detail}
