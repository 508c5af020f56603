"""What people do in the inbox: seen, read and put away, one or all, in one tab and another; and what hangs on it."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from notifier.channels.inbox import items
from notifier.domain.catalog import Catalog
from notifier.domain.clock import MINUTE, SECOND, to_datetime
from notifier.domain.deliveries import State
from notifier.domain.messages import Message, Receipt
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.deliver import deliver
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery_note
from tests.api.conftest import on_sqlite
from tests.api.server import application
from tests.channels.inbox.app import INBOX, App, app_of
from tests.named import SMS
from tests.samples import CATALOG

FIRST_INBOX_THEN_SMS = msgspec.structs.replace(
    CATALOG.types["charging-complete"], channels=(INBOX, SMS), fallback="20 s"
)
"""A type that tells its driver in the inbox, and by text where they haven't opened it in 20 seconds."""


class Texts:
    """Takes every text."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, message: Message) -> Receipt:
        self.sent.append(message.reference)
        return Receipt("texts", "1")

    async def close(self) -> None:
        return


async def test_a_message_that_is_opened_is_read_and_delivered(app: App) -> None:
    await app.complete("7")
    (id_,) = await app.ids()
    app.api.clock.advance(SECOND)

    # When it is opened, twice
    for _ in range(2):
        assert (await app.call("POST", f"/{id_}/read")).status == 204

    # Then it counts as delivered, and is seen and read
    (item,) = await app.items()
    assert item["seen_at"] == item["read_at"] == "2026-03-09T17:40:01.001000Z"
    assert [row.state for row in await app.rows(channel=INBOX)] == [State.DELIVERED]
    assert await app.unread() == (0, 0, False)


async def test_a_message_that_is_seen_is_unread_still(app: App) -> None:
    await app.complete("7", "8")
    newest, _ = await app.ids()

    assert (await app.call("POST", "/seen", {"up_to": newest})).status == 204

    assert await app.unread() == (2, 0, False)
    assert {row.state for row in await app.rows(channel=INBOX)} == {State.SENT}


async def test_a_message_that_is_put_away_stands_in_the_archive(app: App) -> None:
    await app.complete("7", "8")
    newest, oldest = await app.ids()

    assert (await app.call("POST", f"/{newest}/archived")).status == 204

    assert await app.ids() == [oldest]
    assert await app.ids("?view=archived") == [newest]
    assert await app.unread() == (1, 1, False)


async def test_all_up_to_one_leaves_out_what_came_since(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an app that has shown three messages, more than are noted at once, and one that came since
    monkeypatch.setattr(items, "TOGETHER", 2)
    await app.complete("1", "2", "3")
    shown = await app.ids()
    await app.complete("4")

    # When all are read
    assert (await app.call("POST", "/read", {"up_to": shown[0]})).status == 204

    # Then what its reader hasn't seen is unread still
    unread = [each["id"] for each in await app.items() if each["read_at"] is None]
    assert len(unread) == 1
    assert unread[0] not in shown
    assert [row.state for row in await app.rows(channel=INBOX)] == ["delivered", "delivered", "delivered", "sent"]


async def test_all_up_to_an_instant_are_put_away(app: App) -> None:
    await app.complete("1", "2")
    until = to_datetime(app.api.clock.now()).isoformat()
    await app.complete("3")

    assert (await app.call("POST", "/archived", {"until": until})).status == 204

    assert [each["link"][-1] for each in await app.items()] == ["3"]


async def test_two_tabs_at_once_note_a_message_once(app: App) -> None:
    await app.complete("1", "2", "3")
    newest, middle, _ = await app.ids()

    # When one opens a message while the other calls all of them read
    answers = await asyncio.gather(
        *(app.call("POST", f"/{middle}/read") for _ in range(4)),
        *(app.call("POST", "/read", {"up_to": newest}) for _ in range(4)),
    )

    assert {each.status for each in answers} == {204}
    assert await app.unread() == (0, 0, False)
    assert len(await app.api.rows(delivery_note)) == 3


@on_sqlite
async def test_a_message_that_left_the_list_can_be_read_in_the_archive(app: App) -> None:
    await app.complete("7")
    (id_,) = await app.ids()
    app.api.clock.advance(30 * MINUTE)

    assert (await app.call("POST", f"/{id_}/read")).status == 204
    assert (await app.items("?view=archived"))[0]["read_at"] is not None


@on_sqlite
async def test_a_message_that_is_not_true_any_more_can_not_be_read(app: App) -> None:
    await app.complete("7")
    (id_,) = await app.ids()
    await app.tell("session.ended", session_id="7")

    assert (await app.call("POST", f"/{id_}/read")).problem == (40401, None)


@on_sqlite
@pytest.mark.parametrize(
    ("body", "number", "pointer"),
    [
        ({}, 42205, "/up_to"), ({"up_to": "1" * 32, "until": "2026-03-09T17:40:00Z"}, 42205, "/up_to"),
        ({"up_to": "x"}, 42205, "/up_to"), ({"until": "2026-03-09"}, 42205, "/until"), ({"all": 1}, 42205, "/all"),
        ({"up_to": "1" * 32}, 40401, None), ({"up_to": "x" * 2000}, 41301, None),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_told(app: App, body: object, number: int, pointer: str | None) -> None:
    assert (await app.call("POST", "/read", body)).problem == (number, pointer)


@pytest.mark.parametrize("opened", [True, False])
async def test_reading_stops_the_text_that_would_have_followed(database: Database, valkey: str, opened: bool) -> None:
    types = CATALOG.types | {FIRST_INBOX_THEN_SMS.id: FIRST_INBOX_THEN_SMS}
    catalog = Catalog(types.values(), CATALOG.regulation)
    async with application(database, valkey, catalog=catalog) as api:
        # Given somebody who is told in the inbox, where a text follows
        app = await app_of(api, details=RecipientDetails(name="Ada", phone="+4915123456789", locale="de-AT"))
        await app.complete("7")
        (id_,) = await app.ids()

        # When they open it in time, or don't
        if opened:
            assert (await app.call("POST", f"/{id_}/read")).status == 204
        api.clock.advance(20 * SECOND)
        texts = Texts()
        await deliver(
            replace(app.engine, transports={SMS: texts}), SMS, [row.id for row in await app.rows(channel=SMS)]
        )

        # Then the text goes out only where they didn't
        (text,) = await app.rows(channel=SMS)
        assert (text.state, text.reason) == (("suppressed", "reached") if opened else ("sent", None))
        assert texts.sent == ([] if opened else [text.id])


async def test_what_was_done_is_in_the_persons_export(app: App) -> None:
    await app.complete("7")
    (id_,) = await app.ids()
    await app.call("POST", f"/{id_}/read")
    await app.call("POST", f"/{id_}/archived")

    told = (await app.api.call("GET", "/v1/recipients/ada/export")).body

    (exported,) = [each for each in told["deliveries"] if each["channel"] == "inbox"]
    assert exported["id"] == id_
    assert None not in (exported["seen_at"], exported["read_at"], exported["archived_at"])
    assert {each["read_at"] for each in told["deliveries"] if each["channel"] != "inbox"} == {None}
