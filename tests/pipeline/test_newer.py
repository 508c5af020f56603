"""A worker of the release before, beside a newer one: what goes by a channel of that one alone is left to it."""

import msgspec
import pytest

from notifier.domain.clock import HOUR, ManualClock
from notifier.domain.deliveries import State
from notifier.pipeline import clock as looks
from notifier.pipeline import erasure
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.resolve import ask
from notifier.rendering import Brand, Renderer
from notifier.rendering.texts import encode
from notifier.store.console import versions
from notifier.store.console.versions import Version
from notifier.store.people import erasures, recipients
from notifier.store.reading import ledger
from notifier.texts import publishing
from tests import newer
from tests.named import SMS
from tests.newer import IDS
from tests.pipeline.samples import COMPLETE, NOW, Report
from tests.pipeline.steps import rows
from tests.samples import CATALOG, TEMPLATES


@pytest.fixture(autouse=True)
async def written(engine: WorkerEngine) -> None:
    await newer.write(engine.database)


async def test_what_another_release_sends_is_neither_claimed_nor_asked_about_nor_signalled(
    engine: WorkerEngine,
) -> None:
    before = await newer.rows(engine.database)

    # When this release's clock ticks and looks for lost leases, and signals of the other release come its way
    await looks.tick(engine)
    await looks.audit(engine)
    assert await deliver(engine, SMS, list(IDS.values())) == 0
    assert await ask(engine, list(IDS.values())) == 0

    # Then every row is as it was
    assert await newer.rows(engine.database) == before
    assert (await ledger.read(engine.database)).balanced


async def test_who_has_chosen_something_of_that_channel_hears_by_the_others(
    engine: WorkerEngine, report: Report
) -> None:
    # When something else happens to her
    event = await report("charging.complete", **{**COMPLETE, "session_id": "102"})

    # Then it is decided and goes out as ever
    await decide(engine, [event])
    await engine.dispatcher.catch_up()
    made = await rows(engine, event_id=event)
    sms = [row for row in made if row.channel == SMS]
    await deliver(engine, SMS, [row.id for row in sms])
    assert [row.state for row in await rows(engine, event_id=event, channel=SMS)] == [State.SENT]


async def test_texts_of_the_other_release_are_spoken_by_the_channels_that_are_known_here(engine: WorkerEngine) -> None:
    # Given shipped texts that are live, with a table for the channel of the other release
    renderer = Renderer(CATALOG, TEMPLATES, Brand("Voltline", "https://app.example.com"))
    wording = msgspec.json.decode(encode(renderer.shipped["charging-complete"]))
    theirs = {locale: {**tables, newer.PIGEON: {"ribbon": "Done"}} for locale, tables in wording.items()}
    new = Version(
        type="charging-complete", number=1, wording=msgspec.Raw(msgspec.json.encode(theirs)), origin="shipped",
        published_at=NOW, actor="release", why="",
    )  # fmt: skip
    await versions.ship(engine.database, [new])

    # When a process of this release starts
    await publishing.ship(engine.database, {"charging-complete": renderer.shipped["charging-complete"]}, engine.clock)

    # Then it leaves them alone, and speaks what it knows of them
    assert await versions.live(engine.database) == {"charging-complete": 1}
    assert await publishing.refresh(engine.database, renderer) == 1


async def test_who_is_erased_is_gone_from_what_the_other_release_sends(
    engine: WorkerEngine, clock: ManualClock
) -> None:
    await erasures.begin(engine.database, ["ada"], "test", clock.now())

    clock.advance(HOUR)
    await erasure.sweep(engine)

    left = await newer.rows(engine.database)
    assert {row.recipient_id for row in left.values()} == {(await erasures.pseudonym(engine.database))("ada")}
    assert left[IDS["pending"]].state == State.CANCELLED
    assert await recipients.get(engine.database, "ada") is None
