"""Wire-true stand-ins of FCM HTTP v1, Twilio and SMTP on loopback, with a ledger of what arrived and faults on order.

    async with Sandbox() as sandbox:
        sandbox.http_url, sandbox.smtp_port, sandbox.ledger, sandbox.faults, sandbox.service_account()

Its page at `http_url` shows the inboxes as people see them; other processes use the API (`notifier.sandbox.api`).
"""

from notifier.sandbox.faults import Faults, Match, Rule
from notifier.sandbox.ledger import Entry, Ledger, Mail, Push, Sms
from notifier.sandbox.server import Sandbox, serve

__all__ = [
    "Entry",
    "Faults",
    "Ledger",
    "Mail",
    "Match",
    "Push",
    "Rule",
    "Sandbox",
    "Sms",
    "serve",
]
