"""From the settings to transports that send."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from notifier.broker import BACKGROUND
from notifier.channels.email.transport import SmtpTransport
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms.messages import SmsContent
from notifier.channels.sms.provider import segments
from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.channels import specs
from notifier.domain.clock import SystemClock
from notifier.domain.errors import Misconfigured
from notifier.domain.messages import Receipt
from notifier.providers.breaker import BreakerState
from notifier.providers.metrics import breaker_state
from notifier.providers.opening import IN_BACKGROUND, RowAlone, open_transports
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import redis_url
from notifier.runtime.settings import load_settings
from notifier.sandbox import Sandbox
from tests.channels.email.samples import mail
from tests.channels.push.samples import push
from tests.channels.sms.samples import text
from tests.named import EMAIL, PUSH, SMS
from tests.stand_ins import service_account


async def test_what_is_set_is_opened_and_a_channel_without_provider_says_so(tmp_path: Path, valkey: str) -> None:
    async with Sandbox() as sandbox:
        # Given settings with two SMS accounts, the first of which isn't one
        key = tmp_path / "key.json"
        key.write_text(json.dumps(service_account(sandbox)))
        host = sandbox.http_url.removeprefix("http://")
        accounts = [
            f"twilio+http://{ACCOUNT_SID}:{token}@{host}?from=+15005550006&name={name}&weight={weight}"
            for name, token, weight in (("wrong", "wrong", 1), ("right", AUTH_TOKEN, 0))
        ]
        settings = {
            "NOTIFIER_PUSH_PROVIDERS": f"fcm://{quote(str(key))}?url={sandbox.http_url}&rate=5000",
            "NOTIFIER_SMS_PROVIDERS": " ".join(accounts),
            "NOTIFIER_EMAIL_PROVIDERS": f"smtp://127.0.0.1:{sandbox.ports['smtp']}",
        }

        # When the transports are opened, then each channel sends
        transports = open_transports(
            load_settings(settings), SystemClock(), lambda: InRedis(redis_url(valkey), "notifier")
        )
        receipts = [await transports[channel].send(message) for channel, message in MESSAGES.items()]
        assert [receipt.provider for receipt in receipts] == ["fcm", "right", "smtp:127.0.0.1"]
        assert [sandbox.ledger.accepted(channel, "5f" * 16) for channel in MESSAGES] == [1, 1, 1]
        for transport in transports.values():
            await transport.close()


async def test_a_channel_without_account_keeps_its_messages_and_says_why(valkey: str) -> None:
    transports = open_transports(load_settings({}), SystemClock(), lambda: InRedis(redis_url(valkey), "notifier"))

    for channel, message in MESSAGES.items():
        with pytest.raises(Misconfigured, match="notifier doctor"):
            await transports[channel].send(message)


async def test_an_account_that_cannot_be_used_stops_no_other_and_says_so(tmp_path: Path, valkey: str) -> None:
    async with Sandbox() as sandbox:
        # Given a service account whose file is missing, beside one that is there, and a mail server
        key = tmp_path / "key.json"
        key.write_text(json.dumps(service_account(sandbox)))
        gone = f"fcm://{quote(str(tmp_path / 'gone.json'))}?name=gone"
        settings = {
            "NOTIFIER_PUSH_PROVIDERS": f"{gone} fcm://{quote(str(key))}?url={sandbox.http_url}&weight=0",
            "NOTIFIER_EMAIL_PROVIDERS": f"smtp://127.0.0.1:{sandbox.ports['smtp']}",
        }

        # When the transports are opened, then the others send
        transports = open_transports(
            load_settings(settings), SystemClock(), lambda: InRedis(redis_url(valkey), "notifier")
        )
        receipts = [await transports[channel].send(MESSAGES[channel]) for channel in (PUSH, EMAIL)]
        assert [receipt.provider for receipt in receipts] == ["fcm", "smtp:127.0.0.1"]

        # And the health page's metric shows it as left alone
        states = {each.labels["provider"]: each.value for each in next(iter(breaker_state.collect())).samples}
        assert states["gone"] == BreakerState.OPEN
        for transport in transports.values():
            await transport.close()

    # Where it is the only one, its channel's messages wait with the reason
    only = open_transports(
        load_settings({"NOTIFIER_PUSH_PROVIDERS": gone}), SystemClock(), lambda: InRedis(redis_url(valkey), "notifier")
    )
    with pytest.raises(Misconfigured, match=r"gone\.json"):
        await only[PUSH].send(MESSAGES[PUSH])
    for transport in only.values():
        await transport.close()


async def test_a_channel_without_provider_takes_each_message_at_once() -> None:
    # Given what stands where the delivery's row is the delivery
    transport = RowAlone(SMS)

    # When a message comes, then the receipt names the channel, and the delivery by its own reference
    assert await transport.send(MESSAGES[SMS]) == Receipt("sms", MESSAGES[SMS].reference)
    await transport.close()


def test_a_rate_is_shared_with_every_process_in_the_background() -> None:
    assert len(BACKGROUND) == IN_BACKGROUND


def test_the_channels_that_can_be_asked_are_those_whose_transport_can() -> None:
    transports = {PUSH: FcmTransport, SMS: TwilioTransport, EMAIL: SmtpTransport}

    assert {channel for channel, transport in transports.items() if hasattr(transport, "find")} == {
        channel for channel, spec in specs().items() if spec.can_ask
    }


def test_a_text_counts_its_segments() -> None:
    assert segments(text()) == 1
    assert segments(text(content=SmsContent(text="x" * 161))) == 2


MESSAGES = {PUSH: push(), SMS: text(), EMAIL: mail()}
