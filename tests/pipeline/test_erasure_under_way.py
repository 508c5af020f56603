"""Erasure of whom something is under way for: whoever is first, nothing tells of them in the end."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from notifier.channels.email.messages import EmailMessage
from notifier.domain.clock import ManualClock
from notifier.domain.deliveries import Channel, State
from notifier.domain.messages import Device, Receipt
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.erasure import ENDED, sweep
from notifier.store.core.status import TELLING
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import deliveries, events
from notifier.store.delivery.decisions import Decision
from notifier.store.people import consents, devices, erasures, preferences, recipients, topics
from tests.named import EMAIL, SMS
from tests.pipeline.erasing import (
    AGREED,
    CANARIES,
    ID,
    PERSON,
    TOKEN,
    erase,
    found,
    rows,
)
from tests.pipeline.receipts import MOVED, tell_one, told
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, Report


async def test_what_a_worker_was_just_deciding_is_swept_up_by_the_second_sweep(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given an event whose decision began before the erasure and is written after the first sweep
    await recipients.put(engine.database, {ID: PERSON}, NOW)
    late = await report("charging.complete", **COMPLETE | {"driver_id": ID})
    await erasures.begin(engine.database, [ID], "test", clock.now())
    await sweep(engine)
    async with engine.database.engine.begin() as connection:
        dialect = engine.database.dialect
        row = dict.fromkeys(("due_at", "expires_at", "updated_at"), 0) | {"subject_key": "a" * 32}
        new = deliveries.NewDelivery(
            id="d" * 32, event_id=late, recipient_id=ID, type="charging-complete", channel=SMS, target="",
            lane="normal", state=State.PENDING, reason=None, created_at=NOW, next_check_at=NOW, **row,  # type: ignore[arg-type]
        )  # fmt: skip
        await deliveries.add(connection, dialect, [new])
        told = Decision(event_id=late, type="charging-complete", recipient_id=ID, decided_at=NOW, answers=[])
        await deliveries.add_decisions(connection, dialect, [told])
        (decided,) = await events.take_undecided(connection, dialect, [late])
        await events.mark_decided(connection, dialect, [decided], {late: 1}, NOW)

    # When that comes
    clock.advance(ENDED)
    await sweep(engine)

    # Then nothing of it is left
    assert await found(engine, *CANARIES) == set()
    (ended,) = await rows(engine, delivery)
    assert (ended.state, ended.reason) == ("cancelled", "recipient_gone")


class Slow:
    """A mail server that has a mail, and answers when it is told to."""

    def __init__(self) -> None:
        self.has_it = asyncio.Event()
        self.answers = asyncio.Event()

    async def send(self, message: EmailMessage) -> Receipt:
        self.has_it.set()
        await self.answers.wait()
        return Receipt("smtp", f"{message.reference}@example.com")


@pytest.mark.parametrize("overtaken", [False, True])
async def test_an_answer_that_comes_when_the_last_sweep_is_over_tells_nothing_of_them(
    engine: WorkerEngine, clock: ManualClock, report: Report, overtaken: bool
) -> None:
    # Given a mail on the wire, whose lease is renewed for as long as that takes
    await recipients.put(engine.database, {ID: PERSON}, NOW)
    await decide(engine, [await report("session.receipt", **RECEIPT | {"token": TOKEN})])
    (mail,) = [row.id for row in await rows(engine, delivery) if row.channel == "email"]
    server = Slow()
    transports: dict[Channel, Any] = {**engine.transports, EMAIL: server}
    sending = asyncio.create_task(deliver(replace(engine, transports=transports), EMAIL, [mail]))
    await server.has_it.wait()

    # When its person is erased to the end before the answer, or a receipt and then the answer, comes
    await erase(engine, clock)
    if overtaken:
        assert await tell_one(engine, told(mail, channel=EMAIL, provider="smtp")) == MOVED
    server.answers.set()
    await sending

    # Then the books have it, under the pseudonym, and nothing else
    (row,) = [row for row in await rows(engine, delivery) if row.id == mail]
    assert row.state == (State.DELIVERED if overtaken else State.SENT)
    assert row.provider_reference == f"{mail}@example.com"
    assert row.recipient_id == (await erasures.pseudonym(engine.database))(ID)
    assert [row._mapping[name] for name in TELLING] == [None, None, None]
    assert await found(engine, *CANARIES) == set()


RACES = 12  # people who are erased in the middle of something


async def test_whatever_is_written_for_people_while_they_are_erased_nothing_tells_of_them_after(
    engine: WorkerEngine, clock: ManualClock
) -> None:
    """Given people who at one moment subscribe, register a phone, choose and agree
    When they are erased at that same moment
    Then whoever was first, nothing tells of them once they are swept up."""
    database, now = engine.database, clock.now()
    ids = [f"{ID}-{number}" for number in range(RACES)]
    await recipients.put(database, dict.fromkeys(ids, RecipientDetails()), now)

    async def all_at_once(id_: str) -> None:
        await asyncio.gather(
            topics.subscribe(database, "station", id_),
            devices.register(database, id_, f"phone-of-{id_}", lambda _: Device(value=f"phone-of-{id_}")),
            preferences.change(database, id_, lambda _: Preferences(everything=False), "test", now, {}),
            consents.add(database, id_, AGREED, "test", now),
            erasures.begin(database, [id_], "test", now),
        )

    for id_ in ids:
        await all_at_once(id_)
    clock.advance(ENDED)
    while await sweep(engine):
        clock.advance(ENDED)

    assert await found(engine, "c4n4ry") == set()
