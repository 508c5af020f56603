"""What the channels' folders declare of their providers: whole, and found without anybody naming a channel."""

import math

import pytest

from notifier.api.app import ENDPOINTS
from notifier.api.endpoints import of_channels
from notifier.domain import channels
from notifier.domain.deliveries import Channel
from notifier.domain.errors import AddressGone, OptedOut, Refused
from notifier.providers.codes import AGAIN, DEFERRED, suppresses
from notifier.providers.opening import concurrency
from notifier.providers.spec import codes, provider, retries
from notifier.runtime.settings import every, load_settings
from notifier.runtime.settings import of_channels as settings_of_channels
from tests.named import EMAIL, PUSH, SMS

CHANNELS = channels.channels()
WITH_PROVIDER = [channel for channel in CHANNELS if provider(channel) is not None]


@pytest.mark.parametrize("channel", WITH_PROVIDER)
def test_a_channel_that_has_a_provider_says_what_its_codes_mean(channel: Channel) -> None:
    assert codes(channel) is not None


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_says_when_it_tries_again(channel: Channel) -> None:
    assert retries(channel).keys() >= AGAIN | {DEFERRED}


def test_a_channel_that_none_is_has_no_provider_and_no_codes() -> None:
    assert (provider(Channel.NONE), codes(Channel.NONE), retries(Channel.NONE)) == (None, None, {})


def test_each_setting_of_a_channel_begins_with_its_name_and_is_no_other() -> None:
    declared = [
        (channel, name) for channel in CHANNELS for name in channels.part(channel, "settings", "SETTINGS") or {}
    ]

    assert all(name.startswith(f"{channel}_") for channel, name in declared)
    assert len({name for _, name in declared}) == len(declared) == len(settings_of_channels())
    assert set(every()) >= {name for _, name in declared}


@pytest.mark.parametrize(("name", "value"), [("push_providers", "fcm:///a.json"), ("email_from", "a@b.example")])
def test_a_setting_that_is_given_stands_beside_the_defaults_of_the_others(name: str, value: str) -> None:
    settings = load_settings({f"NOTIFIER_{name.upper()}": value})

    defaults = {each: setting.default for each, setting in settings_of_channels().items()}
    assert settings.channels == {**defaults, name: value}


def test_each_endpoint_of_a_channel_is_one_of_the_api() -> None:
    assert of_channels()
    assert all(endpoint in ENDPOINTS for endpoint in of_channels())


def test_as_many_messages_are_sent_at_once_as_keep_the_connections_busy() -> None:
    # Given a rate, which keeps messages apart by itself; two accounts; a server that takes several mails a connection
    environ = {
        "NOTIFIER_PUSH_PROVIDERS": "fcm:///a.json?rate=5",
        "NOTIFIER_SMS_PROVIDERS": "twilio://a:b@h?from=1&connections=7 twilio://c:d@h?from=1&connections=5&name=other",
        "NOTIFIER_EMAIL_PROVIDERS": "smtp://h?connections=3",
    }

    at_once = concurrency(load_settings(environ))

    mails = provider(EMAIL)
    assert mails is not None
    assert at_once.items() >= {PUSH: math.inf, SMS: 12, EMAIL: 3 * mails.per_connection}.items()
    # And where nothing is set, any number is refused at once
    nothing = concurrency(load_settings({}))
    assert {nothing[channel] for channel in (PUSH, SMS, EMAIL)} == {math.inf}


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_a_provider_says_of_an_address_is_why_it_is_left_alone(channel: Channel) -> None:
    assert suppresses(channel, OptedOut("p", "1", "d")) == "stopped"
    assert suppresses(channel, AddressGone("p", "1", "d")) == channels.spec(channel).gone
    assert suppresses(channel, Refused("p", "1", "d")) is None
