"""Twilio accounts at a stand-in that counts every request, opened as one process has them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from notifier.channels.sms.messages import SmsMessage
from notifier.domain.errors import SendError
from notifier.domain.messages import Receipt
from notifier.metrics import REGISTRY
from notifier.providers.pool import Providers
from notifier.providers.shared import Kept
from tests.channels.provider import Handler, Provider, reply
from tests.channels.sms.samples import created, refusal, text

TAKES = reply(201, created())
DOWN = reply(503, refusal(20503, 503))
OURS = reply(401, refusal(20003, 401))

Keep = Callable[[], Kept]
"""Opens what keeps what processes share."""
Process = Callable[..., Providers[SmsMessage]]
"""Opens the providers: accounts by name with their options, `by` what is shared or by themselves."""


def answers(provider: Provider, **handlers: Handler) -> None:
    """What each account answers from now on."""
    for account, handler in handlers.items():
        provider.answers(f"/2010-04-01/Accounts/{account}/Messages.json", handler)


def requests(provider: Provider) -> dict[str, int]:
    """How many requests each account has had."""
    return dict(Counter(seen.path.split("/")[3] for seen in provider.seen))


async def outcome(providers: Providers[SmsMessage], **changes: Any) -> Receipt | SendError:
    """What comes of a text."""
    try:
        return await providers.send(text(**changes))
    except SendError as error:
        return error


def counted(name: str, **labels: str) -> float:
    """A metric's value."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
