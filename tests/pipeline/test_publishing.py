"""What is published is sent with, by every process and at once; what was sent keeps the version that it was."""

import asyncio

import msgspec
import pytest
import sqlalchemy as sa

from notifier.channels.sms.writing import SmsTexts
from notifier.domain.clock import ManualClock
from notifier.domain.errors import Problem
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.rendering import Brand, Renderer
from notifier.rendering.confined import Confined, TrialAnswer, TrialRequest
from notifier.rendering.texts import Texts, decode
from notifier.runtime.settings import Settings
from notifier.sandbox import Sandbox
from notifier.store.console import versions
from notifier.store.core.status import rendered as delivery
from notifier.texts import gate, publishing
from tests.named import SMS
from tests.pipeline.samples import COMPLETE, NOW, Report
from tests.samples import CATALOG, TEMPLATES

TYPE = "charging-complete"


def saying(wording: dict[str, Texts], text: str) -> dict[str, Texts]:
    """The same with another German SMS."""
    return {**wording, "de": msgspec.structs.replace(wording["de"], sms=SmsTexts(text))}


async def publish(engine: WorkerEngine, text: str, based_on: int, drafted: int | None = None) -> int:
    wording = saying(dict(engine.renderer.shipped[TYPE]), text)
    new = await publishing.publish(
        engine.database, TYPE, wording, based_on=based_on, origin="console", actor="mia", why="shorter", now=NOW,
        drafted=drafted,
    )  # fmt: skip
    return new.number


class Listened(Confined):
    """A child, and what it was asked for."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.asked: list[TrialRequest] = []

    async def ask(self, request: TrialRequest) -> TrialAnswer:
        self.asked.append(request)
        return await super().ask(request)


@pytest.fixture
def renderer() -> Renderer:
    """One of this test's own, for it changes what is live."""
    return Renderer(CATALOG, TEMPLATES, Brand("Voltline", "https://app.example.com"))


@pytest.fixture(autouse=True)
async def shipped(engine: WorkerEngine) -> None:
    """Version 1 is what ships."""
    assert await publishing.ship(engine.database, engine.renderer.shipped, engine.clock) == len(engine.catalog.types)
    await publishing.refresh(engine.database, engine.renderer)


async def send(engine: WorkerEngine, event: str) -> None:
    await decide(engine, [event])
    async with engine.database.engine.connect() as connection:
        query = sa.select(delivery.c.id).where(delivery.c.channel == SMS, delivery.c.state == "pending")
        ids = list((await connection.execute(query)).scalars())
    await deliver(engine, SMS, ids)


async def test_a_published_text_is_sent_from_then_on_and_each_delivery_keeps_its_version(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a text that was sent as it ships
    await send(engine, await report("charging.complete", **COMPLETE))

    # When somebody publishes another one
    assert await publish(engine, "{{ brand }}: voll.", based_on=1) == 2
    assert await publishing.refresh(engine.database, engine.renderer) == 1
    await send(engine, await report("charging.complete", **{**COMPLETE, "session_id": "102"}))

    # Then the next one is sent with it, and the books say which was which
    bodies = [msgspec.json.encode(entry.content).decode() for entry in sandbox.ledger.entries]
    assert "voll geladen" in bodies[0]
    assert "Voltline: voll." in bodies[1]
    async with engine.database.engine.connect() as connection:
        query = sa.select(delivery.c.version, delivery.c.locale).where(delivery.c.state == "sent")
        assert sorted(map(tuple, await connection.execute(query.order_by(delivery.c.version)))) == [
            (1, "de"),
            (2, "de"),
        ]


async def test_shipping_again_changes_nothing_and_new_texts_of_a_release_are_a_version(engine: WorkerEngine) -> None:
    assert await publishing.ship(engine.database, engine.renderer.shipped, engine.clock) == 0

    released = {**engine.renderer.shipped, TYPE: saying(dict(engine.renderer.shipped[TYPE]), "{{ brand }}: neu.")}

    assert await publishing.ship(engine.database, released, engine.clock) == 1
    assert (await versions.live(engine.database))[TYPE] == 2


async def test_what_people_made_stands_over_a_release(engine: WorkerEngine) -> None:
    await publish(engine, "{{ brand }}: voll.", based_on=1)

    released = {**engine.renderer.shipped, TYPE: saying(dict(engine.renderer.shipped[TYPE]), "{{ brand }}: neu.")}

    assert await publishing.ship(engine.database, released, engine.clock) == 0


async def test_rolling_back_is_a_new_version_with_the_old_words(engine: WorkerEngine) -> None:
    await publish(engine, "{{ brand }}: voll.", based_on=1)
    confined = Confined(Settings())

    again, _ = await gate.roll_back(engine, confined, TYPE, 1, based_on=2, actor="mia", why="too short")

    await confined.close()
    assert again is not None
    assert (again.number, again.origin) == (3, "rollback:1")
    first, last = [await versions.get(engine.database, TYPE, number) for number in (1, 3)]
    assert first is not None
    assert last is not None
    assert publishing.decode(first.wording) == publishing.decode(last.wording)
    assert engine.renderer.live(TYPE) == 3


async def test_a_version_that_does_not_fit_any_more_is_not_rolled_back_to(engine: WorkerEngine) -> None:
    await publish(engine, "{{ brand }}: {{ gone }}", based_on=1)
    confined = Confined(Settings())

    again, checked = await gate.roll_back(engine, confined, TYPE, 2, based_on=2, actor="mia", why="longer")

    await confined.close()
    assert again is None
    assert [(each.code, each.locale, each.part) for each in checked.findings if each.level == "error"] == [
        ("language", "de", "text")
    ]
    assert (await versions.live(engine.database))[TYPE] == 2


async def test_what_a_draft_leaves_as_it_is_is_made_once_for_both(engine: WorkerEngine) -> None:
    # Given a draft with another German SMS, and nothing else
    live, _ = await gate.live_wording(engine, TYPE)
    confined = Listened(Settings())

    # When it is checked beside what is live
    checked = await gate.check(engine, confined, TYPE, saying(live, "{{ brand }}: voll."))
    await confined.close()

    # Then all messages of the draft are made, and of what is live only those that will be others
    made = [
        {
            (trial.locale, trial.channel)
            for each in confined.asked
            for trial in each.trials
            if (decode(each.wording) == live) == is_live
        }
        for is_live in (False, True)
    ]
    assert made == [{(locale, channel) for locale in live for channel in ("push", "sms")}, {("de", "sms")}]

    # And all that changes is told, on each sample
    samples = len(CATALOG.types[TYPE].samples)
    assert [(each.locale, each.channel, len(each.examples)) for each in checked.changes.changed] == [
        ("de", "sms", samples)
    ]


async def test_of_two_who_publish_at_once_one_is_told_that_the_other_was_quicker(engine: WorkerEngine) -> None:
    outcomes = await asyncio.gather(
        *(publish(engine, f"{{{{ brand }}}}: {n}", based_on=1) for n in range(5)), return_exceptions=True
    )

    assert sorted(str(each) for each in outcomes if isinstance(each, int)) == ["2"]
    assert {each.code for each in outcomes if isinstance(each, Problem)} == {40902}


async def test_a_draft_is_one_for_all_and_a_save_over_somebody_elses_is_refused(
    engine: WorkerEngine, clock: ManualClock
) -> None:
    # Given a draft that two have open
    begun = await gate.draft(engine, TYPE)
    await publishing.save(engine.database, begun, publishing.decode(begun.wording), "mia", NOW)
    mine, theirs = await gate.draft(engine, TYPE), await gate.draft(engine, TYPE)
    assert mine == theirs

    # When the first saves
    wording = publishing.decode(mine.wording)
    await publishing.save(engine.database, mine, saying(wording, "{{ brand }}: a"), "mia", NOW)

    # Then the second learns of it, and nothing of the first is lost
    with pytest.raises(Problem) as raised:
        await publishing.save(engine.database, theirs, saying(wording, "{{ brand }}: b"), "tom", NOW)
    assert raised.value.code == 40902
    kept = await versions.draft(engine.database, TYPE)
    assert kept is not None
    assert (kept.revision, kept.actor) == (2, "mia")


async def test_a_version_that_does_not_compile_leaves_the_one_before_it_live(engine: WorkerEngine) -> None:
    await publish(engine, "{{ ''.__class__ }}", based_on=1)

    assert await publishing.refresh(engine.database, engine.renderer) == 0
    assert engine.renderer.live(TYPE) == 1


async def test_texts_of_ones_own_are_sent_after_their_type_has_gained_a_channel(engine: WorkerEngine) -> None:
    # Given texts of before the type went out by webhook
    type_ = "station-offline"
    shipped = engine.renderer.shipped[type_]
    old = {locale: msgspec.structs.replace(texts, webhook=None) for locale, texts in shipped.items()}
    assert old != shipped
    await publishing.publish(
        engine.database, type_, old, based_on=1, origin="console", actor="mia", why="ours", now=NOW
    )

    # When they are loaded
    await publishing.refresh(engine.database, engine.renderer)

    # Then they are sent, and what they don't say is as it ships, in the editor too
    assert engine.renderer.live(type_) == 2
    wording, number = await gate.live_wording(engine, type_)
    assert (wording, number) == (shipped, 2)


async def test_publishing_ends_the_draft(engine: WorkerEngine) -> None:
    begun = await gate.draft(engine, TYPE)
    await publishing.save(engine.database, begun, publishing.decode(begun.wording), "mia", NOW)

    await publish(engine, "{{ brand }}: voll.", based_on=1, drafted=1)

    assert await versions.draft(engine.database, TYPE) is None


async def test_a_draft_that_was_saved_while_it_was_published_stays(engine: WorkerEngine) -> None:
    begun = await gate.draft(engine, TYPE)
    first = await publishing.save(engine.database, begun, publishing.decode(begun.wording), "mia", NOW)
    await publishing.save(engine.database, first, publishing.decode(begun.wording), "tom", NOW)

    await publish(engine, "{{ brand }}: voll.", based_on=1, drafted=1)

    assert await versions.draft(engine.database, TYPE) is not None
