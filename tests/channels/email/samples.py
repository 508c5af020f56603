"""What the tests of e-mail send, and the time-outs they wait for."""

from collections.abc import Callable
from typing import Any

from notifier.channels.email.dialogue import SmtpTimeouts
from notifier.channels.email.messages import EmailContent, EmailMessage
from notifier.channels.email.transport import SmtpTransport
from tests.channels import canary

SENDER = "no-reply@voltline.example"
PATIENT = SmtpTimeouts(wait=5.0, connect=5.0, greeting=5.0, envelope=5.0, data=5.0, mail=5.0)
"""For tests that end before any time-out, on however busy a machine."""

WAITED_FOR = {
    "greeting": "greeting", "EHLO": "greeting", "MAIL": "envelope", "RCPT": "envelope", "RSET": "envelope",
    "DATA": "data", "mail": "mail",
}  # fmt: skip
"""The time-out of each step of a server's."""

Opener = Callable[..., SmtpTransport]


def impatient(step: str) -> SmtpTimeouts:
    """Time-outs for a test that waits for the one of a step, and for no other."""
    return PATIENT._replace(**{WAITED_FOR[step]: 0.3})


def mail(**changes: Any) -> EmailMessage:
    fields: dict[str, Any] = {
        "reference": "5f" * 16,
        "to": canary.MAILBOX,
        "to_name": canary.NAME,
        "content": EmailContent(subject=canary.TEXT, text=canary.TEXT, html=f"<p>{canary.TEXT}</p>"),
        "unsubscribe_url": "https://api.example/unsubscribe?t=abc",
    }
    return EmailMessage(**{**fields, **changes})
