"""Wire-true stand-ins of providers on loopback, with a ledger of the messages that arrived and faults on order.

    async with Sandbox() as sandbox:
        sandbox.http_url, sandbox.ports, sandbox.ledger, sandbox.faults, sandbox.services

Each channel's folder declares its stand-in (`notifier.sandbox.stand_in`). The page at `http_url` shows the inboxes as
people see them; other processes use the API (`notifier.sandbox.api`).
"""

from notifier.sandbox.faults import FaultRule, Faults, Match
from notifier.sandbox.ledger import SandboxContent, SandboxEntry, SandboxLedger
from notifier.sandbox.server import Sandbox, serve
from notifier.sandbox.service import Access

__all__ = [
    "Access", "FaultRule", "Faults", "Match", "Sandbox", "SandboxContent", "SandboxEntry", "SandboxLedger", "serve",
]  # fmt: skip
