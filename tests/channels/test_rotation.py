"""Keys and accounts change while processes run: what is out stays good, and what is under way ends as it began."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from notifier.domain.errors import StoreUnavailable
from notifier.domain.messages import Receipt
from notifier.pipeline.engine import WorkerEngine
from notifier.runtime.rotation import Change
from notifier.runtime.settings import Settings, load_settings
from notifier.sandbox import Sandbox
from notifier.startup import close, open_worker_engine
from tests.channels.provider import Provider, reply
from tests.channels.sms.samples import created, text
from tests.named import EMAIL, PUSH, SMS
from tests.stand_ins import service_account

OLD, NEW = "a1" * 32, "b2" * 32
TEXTS = "/2010-04-01/Accounts/{}/Messages.json"


class Installation:
    """A worker's engine whose secrets are in files, and those files."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        self.pushes = folder / "pushes"
        self.pushes.write_text("fcm:///nowhere.json")
        self.keys, self.accounts = folder / "keys", folder / "accounts"
        self.provider = provider
        self.keys.write_text(OLD)
        self.account("old")

    def account(self, name: str) -> None:
        """Replace the account by another, as a file that is moved over the old one."""
        port = self.provider.url.rpartition(":")[2]
        new = self.accounts.with_suffix(".new")
        new.write_text(f"twilio+http://{name}:secret-of-{name}@127.0.0.1:{port}?from=%2B1500")
        new.rename(self.accounts)


@pytest.fixture
def installation(tmp_path: Path, provider: Provider) -> Installation:
    return Installation(tmp_path, provider)


@pytest.fixture
async def engine(
    installation: Installation, database_url: str, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WorkerEngine]:
    monkeypatch.setenv("NOTIFIER_DATABASE_URL", database_url)
    monkeypatch.setenv("NOTIFIER_BROKER_URL", valkey)
    monkeypatch.setenv("NOTIFIER_SIGNING_KEYS_FILE", str(installation.keys))
    monkeypatch.setenv("NOTIFIER_SMS_PROVIDERS_FILE", str(installation.accounts))
    monkeypatch.setenv("NOTIFIER_PUSH_PROVIDERS_FILE", str(installation.pushes))
    opened = await open_worker_engine(load_settings(), {})
    yield opened
    await close(opened)


async def look(engine: WorkerEngine) -> Settings:
    """Have the files looked at; the settings as they are then."""
    assert engine.rotation is not None
    await engine.rotation.look()
    return engine.rotation.settings


pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_a_new_key_signs_and_links_that_are_out_stay_good(
    engine: WorkerEngine, installation: Installation
) -> None:
    # Given a link of the old key
    out = engine.links.unsubscribe_url("ada", "offers", EMAIL)

    # When a new key is put in front of it
    installation.keys.write_text(f"{NEW} {OLD}")
    await look(engine)

    # Then new links are another key's, and both kinds are read
    new = engine.links.unsubscribe_url("ada", "offers", EMAIL)
    assert new != out
    for link in (out, new):
        assert engine.links.read_unsubscribe(link.rpartition("/")[2]) is not None


async def test_what_is_sent_after_a_change_goes_by_the_new_account_and_what_is_under_way_ends_by_the_old(
    engine: WorkerEngine, installation: Installation, provider: Provider
) -> None:
    # Given a text that the provider has not answered yet
    arrived, gate = asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> Any:
        arrived.set()
        await gate.wait()
        return await reply(201, created())(request)

    provider.answers(TEXTS.format("old"), slow)
    provider.answers(TEXTS.format("new"), reply(201, created()))
    under_way = asyncio.create_task(engine.transports[SMS].send(text()))
    await arrived.wait()

    # When the account is replaced, and another text sent
    installation.account("new")
    await look(engine)
    receipt = await engine.transports[SMS].send(text())

    # Then each went by its own
    gate.set()
    assert isinstance(await under_way, Receipt)
    assert isinstance(receipt, Receipt)
    assert [seen.path for seen in provider.seen] == [TEXTS.format("old"), TEXTS.format("new")]


@pytest.mark.parametrize("said", ["", "no key at all"])
async def test_what_cannot_be_read_changes_nothing_and_is_told_without_its_words(
    engine: WorkerEngine, installation: Installation, said: str
) -> None:
    # Given
    before = engine.links.unsubscribe_url("ada", "offers", EMAIL), engine.transports[SMS]

    # When what is no key is looked at twice
    installation.keys.write_text(said)
    with capture_logs() as logs:
        await look(engine)
        await look(engine)

    # Then all is as it was, and that was told once
    assert (engine.links.unsubscribe_url("ada", "offers", EMAIL), engine.transports[SMS]) == before
    assert [each["event"] for each in logs] == ["rotation.not_read"]
    assert said == "" or said not in str(logs)

    # When it is a key again, then that is used
    installation.keys.write_text(NEW)
    await look(engine)
    assert engine.links.unsubscribe_url("ada", "offers", EMAIL) != before[0]


async def test_only_the_channel_whose_account_changed_is_opened_again(
    engine: WorkerEngine, installation: Installation
) -> None:
    before = dict(engine.transports)

    installation.account("new")
    await look(engine)

    assert {channel for channel, each in engine.transports.items() if each is not before[channel]} == {SMS}


async def test_a_service_account_is_read_again_where_its_file_changes_and_left_where_it_is_none(
    tmp_path: Path, engine: WorkerEngine, installation: Installation
) -> None:
    # Given pushes by a service account
    async with Sandbox() as sandbox:
        account = service_account(sandbox)
    file = tmp_path / "service-account.json"
    file.write_text(json.dumps(account))
    installation.pushes.write_text(f"fcm://{file}")
    await look(engine)
    first = engine.transports[PUSH]

    # When another is moved over it, then pushes go by that
    file.write_text(json.dumps(account | {"private_key_id": "2"}))
    await look(engine)
    second = engine.transports[PUSH]
    assert second is not first

    # When it is cut off, then the one before is used on, and that is told
    file.write_text("{")
    with capture_logs() as logs:
        await look(engine)
    assert engine.transports[PUSH] is second
    assert "provider.not_reopened" in [each["event"] for each in logs]


async def test_other_settings_stay_as_they_were_until_a_restart(
    engine: WorkerEngine, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFIER_BRAND_NAME", "Another")
    installation.keys.write_text(f"{NEW} {OLD}")

    now = await look(engine)

    assert (now.brand_name, now.signing_keys) == (Settings().brand_name, f"{NEW} {OLD}")


async def test_a_change_that_could_not_be_heeded_is_told_again(
    engine: WorkerEngine, installation: Installation
) -> None:
    # Given somebody who can't heed a change at its first telling
    told: list[Change] = []

    async def heed(change: Change) -> None:
        told.append(change)
        if len(told) == 1:
            raise StoreUnavailable("the database is away")

    assert engine.rotation is not None
    engine.rotation.on_change(heed)
    installation.keys.write_text(f"{NEW} {OLD}")

    # When the files are looked at again and again
    with pytest.raises(StoreUnavailable):
        await look(engine)
    assert (await look(engine)).signing_keys == f"{NEW} {OLD}"
    await look(engine)

    # Then it is told until it was heeded, and no longer
    assert [each.names for each in told] == [["signing_keys"]] * 2
