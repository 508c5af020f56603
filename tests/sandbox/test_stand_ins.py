"""Every stand-in, whichever channels there are: what each must have for the sandbox to run it."""

from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from notifier.domain.deliveries import Channel
from notifier.providers.spec import provider
from notifier.runtime.settings import every, load_settings, to_environment
from notifier.sandbox import FaultRule, Sandbox
from notifier.sandbox.stand_in import HTTP, servers, settings_of, stand_in, stand_ins
from tests.named import EMAIL, PUSH, SMS

EVERY = pytest.mark.parametrize("channel", stand_ins())


def test_the_channels_with_a_provider_have_one() -> None:
    assert {PUSH, SMS, EMAIL} <= set(stand_ins())


def test_servers_have_names_and_ports_of_their_own() -> None:
    assert servers()[0] == HTTP
    assert len({each.name for each in servers()}) == len({each.port for each in servers()}) == len(servers())


@EVERY
async def test_each_has_a_column_and_a_count_on_the_page(
    channel: Channel, sandbox: Sandbox, http: ClientSession
) -> None:
    # When
    async with http.get("/") as response:
        page = await response.text()

    # Then
    assert f"<dt>{stand_in(channel).title}</dt>" in page
    assert page.count("<section") == len(sandbox.services)


@EVERY
def test_each_takes_a_fault_at_each_of_its_stages_and_at_no_other(channel: Channel) -> None:
    for stage in stand_in(channel).stages | stand_in(channel).early_stages:
        assert FaultRule(channel=channel, action="fail", stage=stage).matches(channel, stage, "", "")
    with pytest.raises(ValueError, match="has no stage 'nowhere'"):
        FaultRule(channel=channel, action="fail", stage="nowhere")


@EVERY
def test_each_ones_account_is_one_of_its_channels(channel: Channel, tmp_path: Path) -> None:
    # Given
    account, accounts = stand_in(channel).account, provider(channel)
    if account is None or accounts is None:
        return

    # When
    settings = load_settings({f"NOTIFIER_{channel.upper()}_PROVIDERS": account(tmp_path, 8025)})

    # Then
    assert len(accounts.accounts(settings)) == 1


@EVERY
async def test_the_files_of_its_account_are_given_by_their_names(
    channel: Channel, sandbox: Sandbox, http: ClientSession
) -> None:
    for name in stand_in(channel).files:
        async with http.get(f"/sandbox/{name}") as response:
            assert response.status == 200


@EVERY
def test_a_shortcuts_answer_is_json(channel: Channel) -> None:
    shortcut = stand_in(channel).shortcut
    if shortcut is not None:
        assert msgspec.json.decode(shortcut.body % 7) != msgspec.json.decode(shortcut.body % 8)


def test_every_stand_in_is_reached_by_settings_that_there_are(tmp_path: Path) -> None:
    ports = {server.name: number for number, server in enumerate(servers(), 8000)}

    given = settings_of(tmp_path, ports)

    assert given.keys() <= every().keys()
    for channel, each in stand_ins().items():
        assert (f"{channel}_providers" in given) == (each.account is not None)
        assert each.settings.items() <= given.items()
    load_settings(to_environment(given))
