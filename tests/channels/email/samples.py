"""What the tests of e-mail send."""

from typing import Any

from notifier.messages import EmailContent, EmailMessage
from tests.channels import canary

SENDER = "no-reply@voltline.example"


def mail(**changes: Any) -> EmailMessage:
    fields: dict[str, Any] = {
        "reference": "5f" * 16,
        "to": canary.MAILBOX,
        "to_name": canary.NAME,
        "content": EmailContent(subject=canary.TEXT, text=canary.TEXT, html=f"<p>{canary.TEXT}</p>"),
        "unsubscribe_url": "https://api.example/unsubscribe?t=abc",
    }
    return EmailMessage(**{**fields, **changes})
