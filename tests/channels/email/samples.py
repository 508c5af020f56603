"""What the tests of e-mail send, and the time-outs they wait for."""

from collections.abc import Callable
from typing import Any

from notifier.channels.email.dialogue import SmtpTimeouts
from notifier.channels.email.messages import EmailContent, EmailMessage
from notifier.channels.email.transport import SmtpTransport
from tests.channels import canary

SENDER = "no-reply@voltline.example"
QUICK = SmtpTimeouts(wait=0.5, connect=0.3, greeting=0.3, envelope=0.2, data=0.2, mail=0.2)

Opener = Callable[..., SmtpTransport]


def mail(**changes: Any) -> EmailMessage:
    fields: dict[str, Any] = {
        "reference": "5f" * 16,
        "to": canary.MAILBOX,
        "to_name": canary.NAME,
        "content": EmailContent(subject=canary.TEXT, text=canary.TEXT, html=f"<p>{canary.TEXT}</p>"),
        "unsubscribe_url": "https://api.example/unsubscribe?t=abc",
    }
    return EmailMessage(**{**fields, **changes})
