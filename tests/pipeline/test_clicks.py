"""Links that count: each leads where it would have led, and a person who follows some counts once for a delivery."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notifier.channels.sms.messages import SmsContent
from notifier.domain.catalog import Catalog
from notifier.domain.clicks import SETTLED, link_of
from notifier.domain.clock import DAY, MINUTE, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.effects import hour_of
from notifier.domain.messages import content_hash
from notifier.pipeline.counting import count
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.store.core.effects import click
from notifier.store.core.schema import delivery_note
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import clicks, effects
from notifier.store.people import erasures
from notifier.why.again import make_again
from tests import everywhere
from tests.conftest import prepare as prepare_database
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import NOW, Report
from tests.pipeline.test_unsubscribe_links import mails, part
from tests.samples import EVENT, LINKS

FAILED = {**EVENT["data"], "driver_id": "ada"}
TARGET, HOME = "https://app.example.com/payments/7", "https://app.example.com"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare_database(request, tmp_path, empty_sqlite, migrated)


@pytest.fixture
def counting(engine: WorkerEngine) -> WorkerEngine:
    """An engine whose messages of failed payments count clicks."""
    kind = msgspec.structs.replace(engine.catalog.types["payment-failed"], clicks=True)
    types = {**engine.catalog.types, kind.id: kind}
    return replace(engine, catalog=Catalog(types.values(), engine.catalog.regulation))


async def sent(engine: WorkerEngine, report: Report) -> dict[str, str]:
    """Tell a driver that a payment failed; the ids of what was sent, by channel."""
    await everywhere.decide(engine, [await report("payment.failed", **FAILED)])
    for each in engine.buckets:
        for row in await everywhere.rows(each.database, delivery):
            if row.state == State.PENDING:
                await deliver(each, row.channel, [row.id])
    return {row.channel: row.id for row in await everywhere.rows(engine.database, delivery)}


async def follow(engine: WorkerEngine, id_: str, *targets: str) -> None:
    for each in targets or (TARGET,):
        await clicks.write(engine.database, id_, link_of(each), engine.clock.now())


async def clicked(engine: WorkerEngine) -> list[tuple[int, str, str, str, int]]:
    """What is counted once all has settled."""
    for each in engine.buckets:
        await count(each)
    found = await effects.read(engine.database, 0, hour_of(NOW) + 10_000)
    return [(e.hour, e.type, e.channel, e.locale, e.number) for e in found if e.what == "clicked"]


def targets(text: str) -> Sequence[str | None]:
    """Where the links lead that count."""
    tokens = re.findall(r"https://notify\.example\.com/c/([\w.-]+)", text)
    return [found.target if (found := LINKS.read_click(token)) else None for token in tokens]


@on_sqlite
async def test_the_links_of_a_mail_count_but_the_one_to_unsubscribe_and_none_says_whose_it_is(
    counting: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    ids = await sent(counting, report)

    (mail,) = mails(sandbox)
    html, text = part(mail, "text/html"), part(mail, "text/plain")
    (target,) = set(targets(text))
    assert target is not None
    assert set(targets(html)) == {HOME, target}
    assert target not in text
    assert target not in html
    for token in re.findall(r"/c/([\w.-]+)", html):
        found = LINKS.read_click(token)
        assert found is not None
        assert found.delivery_id == ids["email"]
    assert LINKS.unsubscribe_url("ada", "billing", EMAIL) in html


@on_sqlite
async def test_a_push_leads_to_the_app_itself_and_a_text_counts(
    counting: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    await sent(counting, report)

    told = {entry.channel: msgspec.to_builtins(entry.content) for entry in sandbox.ledger.entries}
    (target,) = targets(str(told[SMS]))
    assert target is not None
    assert target.startswith(HOME)
    assert "/c/" not in str(told.get(PUSH))


@on_sqlite
async def test_a_type_that_does_not_count_has_its_links_as_they_are(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    await sent(engine, report)

    assert "/c/" not in str([part(mail, "text/html") for mail in mails(sandbox)])


@on_sqlite
async def test_what_is_told_later_of_a_message_is_proven_and_shows_where_it_led(
    counting: WorkerEngine, driver: str, report: Report
) -> None:
    # Given a text that was sent with a link that counts
    await sent(counting, report)
    (row,) = [row for row in await everywhere.rows(counting.database, delivery) if row.channel == SMS]

    class Sent:
        held = None
        data = msgspec.json.encode(FAILED).decode()

        def __getattr__(self, name: str) -> Any:
            return getattr(row, name)

    # When it is rendered again
    again = make_again(counting.renderer, Sent(), ["de-AT"], None)

    # Then it is that text, but for the address that counted
    assert again is not None
    assert again.proven
    assert isinstance(again.content, SmsContent)
    assert HOME in again.content.text
    assert content_hash(again.content) == row.content_hash


async def test_a_person_counts_once_for_a_delivery_in_the_hour_of_its_decision(
    counting: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a mail whose link is followed the next day, and again and again
    id_ = (await sent(counting, report))["email"]
    clock.advance(DAY)
    await follow(counting, id_, TARGET, TARGET)
    await follow(counting, "0" * 32)
    assert await clicked(counting) == []
    clock.advance(SETTLED)
    assert await clicked(counting) == [(hour_of(NOW), "payment-failed", "email", "de", 1)]

    # When another is followed a day later
    clock.advance(DAY)
    await follow(counting, id_, HOME)
    clock.advance(SETTLED)

    # Then it still counts once, and nothing waits any more
    assert await clicked(counting) == [(hour_of(NOW), "payment-failed", "email", "de", 1)]
    assert await everywhere.rows(counting.database, click) == []
    (note,) = await everywhere.rows(counting.database, delivery_note)
    assert (note.delivery_id, note.recipient_id, note.clicked_at, note.seen_at) == (id_, "ada", NOW + DAY, None)


async def test_a_program_that_follows_all_links_or_comes_with_the_mail_is_nobody(
    counting: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a mail server that looks at one link as it takes the mail, and at all of them a minute later
    id_ = (await sent(counting, report))["email"]
    await follow(counting, id_)
    clock.advance(MINUTE)
    await clicked(counting)
    await follow(counting, id_, TARGET, HOME)
    clock.advance(SETTLED)
    assert await clicked(counting) == []

    # When a person follows one of them
    clock.advance(MINUTE)
    await follow(counting, id_)
    clock.advance(SETTLED)

    # Then that counts
    assert len(await clicked(counting)) == 1


async def test_nothing_is_counted_of_who_is_erased(
    counting: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    id_ = (await sent(counting, report))["email"]
    clock.advance(MINUTE)
    await follow(counting, id_)

    await erasures.begin(counting.database, [driver], "test", clock.now())
    clock.advance(SETTLED)

    assert await clicked(counting) == []
    assert await everywhere.rows(counting.database, click) == []
    assert await everywhere.rows(counting.database, delivery_note) == []
