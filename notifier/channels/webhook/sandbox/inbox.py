"""The webhook column: each webhook's title and text as its form has them, and the whole body."""

from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from notifier.channels.webhook.sandbox.endpoint import Hook
from notifier.domain.deliveries import Channel
from notifier.sandbox.column import Column, InboxColumn, ago
from notifier.sandbox.direction import TextDirection, way
from notifier.sandbox.ledger import SandboxLedger

SHOWN: Final = 12
"""Webhooks in the column: each has a body of a screen's height to open."""

_MASKED: Final = "…"


class HookCard(NamedTuple):
    """A webhook in the column."""

    to: str
    form: str
    time: str
    title: str
    text: str
    way: TextDirection
    body: str


def column(ledger: SandboxLedger, look: InboxColumn) -> Column:
    """Return the webhooks to the selected endpoints, newest first."""
    cards = [
        HookCard(
            urlsplit(entry.to).path.rpartition("/")[2], content.form, ago(entry.received_at, look.now), *told,
            way(" ".join(told)), _pretty(content.body),
        )
        for entry in islice(ledger.latest(Channel("webhook"), look.picked), SHOWN)
        if isinstance(content := entry.content, Hook) and (told := words(content))
    ]  # fmt: skip
    return Column({"cards": cards})


def words(hook: Hook) -> tuple[str, str]:
    """Return the title and the text that a webhook's receiver would see; empty where its body has none."""
    try:
        return _words(hook.form, hook.body)
    except (LookupError, TypeError):
        return "", ""


def _words(form: str, body: Any) -> tuple[str, str]:
    match form:
        case "slack":
            return body["blocks"][0]["text"]["text"], body["blocks"][1]["text"]["text"]
        case "teams":
            title, text = body["attachments"][0]["content"]["body"]
            return title["inlines"][0]["text"], text["inlines"][0]["text"]
        case "pagerduty":
            return f"{body['event_action']}: {body['payload']['summary']}", body["payload"]["custom_details"]["text"]
        case _:
            return body["data"]["title"], body["data"]["text"]


def _pretty(body: dict[str, Any]) -> str:
    if "routing_key" in body:
        body = {**body, "routing_key": _MASKED}
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
