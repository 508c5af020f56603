"""A past day decided again: the same types find nothing to differ, others find exactly what they change."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import DAY, HOUR, MINUTE, ManualClock
from notifier.domain.preferences import Preferences, QuietHours
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.schema import decision, metadata
from notifier.store.people import recipients
from notifier.store.reading import history
from notifier.why.replaying import Differences, replay
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, WARNING, Report, to_people

TEMPLATES = Path(__file__).parents[2] / "templates"
DAY_BEGINS = NOW - NOW % DAY
QUIET = Preferences(quiet_hours=QuietHours("18:00", "20:00"))


@pytest.fixture
async def day(engine: WorkerEngine, driver: str, report: Report, clock: ManualClock) -> int:
    """A day on which something happened of every kind; how many events were decided on it."""
    quiet = RecipientDetails(email="bea@example.com", time_zone="Europe/Vienna", tokens=["T-BEA"], preferences=QUIET)
    await recipients.put(engine.database, {"bea": quiet}, NOW)
    told = [
        await report("charging.complete", **COMPLETE),
        await report("charging.complete", **{**COMPLETE, "session_id": "102", "driver_id": "nobody"}),
        await report("session.receipt", **RECEIPT),
        await report("session.receipt", **{**RECEIPT, "token": "T-BEA", "cdr_id": "2"}),
        await report("idle.warning", at=NOW - HOUR, **WARNING),
        await report("session.ended", session_id="101"),
    ]
    await decide(engine, told)
    clock.advance(DAY)
    await decide(engine, [await report("charging.complete", **{**COMPLETE, "session_id": "103"})])
    return len(told)


async def again(engine: WorkerEngine, catalog: Catalog | None = None, day: int = DAY_BEGINS) -> Differences:
    return await replay(engine.database, catalog or engine.catalog, day, lambda _: None)


def changed(folder: Path, type_: str, old: str, new: str) -> Catalog:
    """The types, but for one line of one of them."""
    copy = folder / "templates"
    shutil.copytree(TEMPLATES, copy, dirs_exist_ok=True)
    file = copy / type_
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return to_people(load_catalog(copy))


def changes(told: Differences) -> set[tuple[str, str, str, str, int]]:
    return {(each.type, each.channel, each.before, each.after, each.count) for each in told.changes}


async def test_the_same_types_would_have_decided_the_same_and_nothing_is_written(
    engine: WorkerEngine, day: int
) -> None:
    async with engine.database.engine.connect() as connection:
        before = [list(await connection.execute(sa.select(table))) for table in metadata.sorted_tables]

    told = await again(engine)

    assert (told.events, told.decisions, told.differ, told.changes) == (day, day - 1, 0, [])
    assert told.answers == 9  # two for each of Ada's three and Bea's one, and one for nobody
    async with engine.database.engine.connect() as connection:
        assert [list(await connection.execute(sa.select(table))) for table in metadata.sorted_tables] == before


async def test_only_the_day_that_is_asked_about_is_decided_again(engine: WorkerEngine, day: int) -> None:
    assert (await again(engine, day=DAY_BEGINS + DAY)).events == 1
    assert (await again(engine, day=DAY_BEGINS - DAY)).events == 0


async def test_a_channel_that_is_taken_away_is_a_difference_for_those_who_had_it(
    engine: WorkerEngine, day: int, tmp_path: Path
) -> None:
    catalog = changed(
        tmp_path, "charging-complete/type.toml", 'channels = ["push", "sms", "inbox"]', 'channels = ["push"]'
    )

    told = await again(engine, catalog)

    assert changes(told) == {("charging-complete", "sms", "to be sent immediately", "no decision", 1)}
    assert told.changes[0].examples[0].recipient == "ada"


async def test_rules_are_asked_by_where_people_stood_then_whatever_they_chose_since(
    engine: WorkerEngine, day: int, tmp_path: Path
) -> None:
    # Given Bea, who has given up her quiet hours since, and a type that goes through them
    details = RecipientDetails(email="bea@example.com", tokens=["T-BEA"], preferences=Preferences())
    await recipients.put(engine.database, {"bea": details}, NOW + 2 * DAY)
    assert (await again(engine)).differ == 0
    catalog = changed(tmp_path, "session-receipt/type.toml", 'urgency = "normal"', "through_quiet_hours = true")

    # When the day is decided again, then the mail that waited would not have
    assert changes(await again(engine, catalog)) == {
        ("session-receipt", "email", "held: the person has quiet hours", "to be sent immediately", 1)
    }


async def test_a_cap_that_is_new_counts_what_was_sent_by_then(
    engine: WorkerEngine, driver: str, report: Report, clock: ManualClock, tmp_path: Path
) -> None:
    # Given three completions on one day, of which nobody kept a count
    for number in range(3):
        data = {**COMPLETE, "session_id": str(number)}
        await decide(engine, [await report("charging.complete", **data)])
        clock.advance(HOUR)

    # When the rules allow two
    catalog = changed(
        tmp_path, "_policy.toml", "[caps.offers]", '[caps.charging]\nmost = 2\nwindow = "1 d"\n\n[caps.offers]'
    )
    told = await again(engine, catalog)

    # Then the third would not have gone out, on either channel
    over = "not sent: the person had reached a limit on messages"
    assert changes(told) == {
        ("charging-complete", channel, "to be sent immediately", over, 1) for channel in ("push", "sms")
    }


async def test_a_limit_of_a_type_that_is_new_counts_what_was_sent_by_then_and_an_old_one_finds_the_same(
    engine: WorkerEngine, driver: str, report: Report, clock: ManualClock, tmp_path: Path
) -> None:
    # Given a loop that the rules held back after ten
    for first in (0, 13):
        ids = [await report("charging.complete", **{**COMPLETE, "session_id": str(first + n)}) for n in range(13)]
        await decide(engine, ids)
        clock.advance(MINUTE)

    # When the day is decided again by the same rules, then nothing differs
    assert (await again(engine)).differ == 0

    # When they let twelve through, then two more would have gone out on each channel
    catalog = changed(tmp_path, "_policy.toml", "most = 10", "most = 12")
    over = "not sent: the person had reached a limit on messages"
    assert {each[:4] for each in changes(await again(engine, catalog))} == {
        ("charging-complete", channel, over, "to be sent immediately") for channel in ("push", "sms")
    }


async def test_a_type_that_is_gone_and_one_that_is_new_are_differences(
    engine: WorkerEngine, day: int, tmp_path: Path
) -> None:
    catalog = changed(tmp_path, "charging-complete/type.toml", 'name = "Charging complete"', 'name = "Complete"')
    kinds = dict(catalog.types)
    gone = kinds.pop("charging-complete")
    kinds["charge-done"] = msgspec.structs.replace(gone, id="charge-done")

    told = changes(await again(engine, Catalog(kinds.values(), catalog.regulation)))

    assert ("charging-complete", "push", "to be sent immediately", "no decision", 1) in told
    assert ("charge-done", "push", "no decision", "to be sent immediately", 1) in told


async def test_an_event_that_only_took_others_back_may_be_told_of_by_a_new_type(engine: WorkerEngine, day: int) -> None:
    complete = engine.catalog.types["charging-complete"]
    fields = {name: complete.data[name] for name in ("session_id", "driver_id", "token")}
    goodbye = msgspec.structs.replace(
        complete, id="goodbye", event="session.ended", data=fields, same=("session_id",), supersedes=(), samples=()
    )
    kinds = {**engine.catalog.types, "goodbye": goodbye}

    told = changes(await again(engine, Catalog(kinds.values(), engine.catalog.regulation)))

    assert told == {("goodbye", "none", "no decision", "not sent: nobody that the event names is registered", 1)}


async def test_an_event_whose_data_these_types_do_not_take_is_counted_and_passed_over(
    engine: WorkerEngine, day: int
) -> None:
    warning = engine.catalog.types["idle-warning"]
    needy = msgspec.structs.replace(warning, data={**warning.data, "bay": warning.data["station"]})
    kinds = {**engine.catalog.types, "idle-warning": needy}

    told = await again(engine, Catalog(kinds.values(), engine.catalog.regulation))

    assert (told.failed, told.differ) == (1, 0)


async def test_decisions_of_a_time_when_nobody_wrote_down_where_people_stood_go_by_today(
    engine: WorkerEngine, day: int
) -> None:
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.update(decision).values(standing=None))

    told = await again(engine)

    assert (told.by_today, told.differ) == (4, 0)


async def test_pages_of_any_size_add_up_to_the_same(
    engine: WorkerEngine, report: Report, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a fleet's twenty managers told of three vehicles, and pages that hold few rows
    people = {
        f"m{number:02}": RecipientDetails(kind="fleet_manager", email=f"m{number}@example.com", fleets=["acme"])
        for number in range(20)
    }
    await recipients.put(engine.database, people, NOW)
    sample = engine.catalog.types["vehicle-not-ready"].samples[0].data
    for number in range(3):
        data: dict[str, Any] = {**sample, "fleet_id": "acme", "vehicle_id": f"v{number}"}
        await decide(engine, [await report("vehicle.not_ready", **data)])
    catalog = changed(
        tmp_path,
        "vehicle-not-ready/type.toml",
        'channels = ["push", "sms", "email", "webhook"]',
        'channels = ["push", "sms"]',
    )
    whole = await again(engine, catalog)
    monkeypatch.setattr(history, "EVENTS", 1)
    monkeypatch.setattr(history, "DECISIONS", 7)
    shares: list[float] = []

    # When the day is decided again by either
    torn = await replay(engine.database, catalog, DAY_BEGINS, shares.append)

    # Then it is the same, and the progress ends where all is done
    assert (torn.decisions, torn.differ, changes(torn)) == (whole.decisions, whole.differ, changes(whole))
    assert (whole.decisions, whole.differ) == (60, 60)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
