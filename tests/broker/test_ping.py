"""Whether the broker answers: asked of each, and of one that isn't there."""

import pytest

from notifier.broker import make_broker
from notifier.broker.signals import Signals


async def test_a_broker_that_is_there_answers(broker_url: str) -> None:
    signals = Signals(make_broker(broker_url))

    await signals.ping()

    await signals.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1/"])
async def test_one_that_is_away_does_not(url: str) -> None:
    signals = Signals(make_broker(url))

    with pytest.raises(ConnectionError):
        await signals.ping()

    await signals.close()
