"""What was sent and what was given up, over every database: activity, search, dead letters."""

import asyncio
import re
from itertools import count

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.console.pages import plainly
from notifier.domain.buckets import bucket_of
from notifier.domain.campaigns import NEVER
from notifier.domain.deliveries import Reason, State
from notifier.store.core import paging
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import campaigns, open_events
from notifier.store.reading import listing
from notifier.store.reading.dead import successor_id
from notifier.store.reading.listing import DeliveryFilter
from tests.api.conftest import in_one_piece, on_sqlite
from tests.conftest import BUCKETS
from tests.console.conftest import Enter, Visitor, signed_in
from tests.console.rows import event_of, fill, listed
from tests.samples import CATALOG, NOW
from tests.states import become_there
from tests.written import write_events

# ── Activity


async def test_activity_is_read_page_by_page_newest_first(enter: Enter) -> None:
    # Given more deliveries than two pages hold
    visitor = await signed_in(enter, "viewer")
    ids = await fill(visitor, 120)

    # When they are read from the newest on
    found, where = [], "/activity"
    while where:
        body = (await visitor.get(where)).body
        found += listed(body)
        following = re.search(r'rel="next" href="/console([^"]+)"', body)
        where = following[1].replace("&amp;", "&") if following else ""

    # Then each is there once, in its order
    assert found == ids


async def test_activity_is_narrowed_by_type_channel_state_and_recipient(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    ids = await fill(visitor, 3, recipient_id="ada")
    bo = next(name for name in map("bo-{}".format, count()) if bucket_of(name, BUCKETS) == bucket_of("ada", BUCKETS))
    changed = {"type": "idle-warning", "channel": "push", "state": "failed", "recipient_id": bo}
    await become_there(visitor.engine.database, ids[:1], **changed)

    for query in (
        "type=idle-warning",
        "channel=push",
        "state=failed",
        f"recipient={bo}",
        f"recipient={bo}&channel=push",
    ):
        assert listed((await visitor.get(f"/activity?{query}")).body) == ids[:1], query
    assert listed((await visitor.get("/activity?recipient=ada&state=sent")).body) == ids[1:]
    assert "No matches" in (await visitor.get("/activity?recipient=ada&state=failed")).body


@in_one_piece
async def test_a_page_looks_at_so_many_rows_and_says_where_it_stopped(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a filter that nothing fits but the oldest of ten, and pages that look at four
    monkeypatch.setattr(paging, "LOOKED_UP", 4)
    visitor = await signed_in(enter, "viewer")
    ids = await fill(visitor, 10)
    database = visitor.engine.database
    await become_there(database, ids[-1:], state="failed")

    # When pages are read one after the other
    wanted = DeliveryFilter(state=State.FAILED)
    pages = [await listing.find(database, wanted, None, 50)]
    while pages[-1].next:
        pages.append(await listing.find(database, wanted, pages[-1].next, 50))

    # Then it is found on the third, and the two before say that they were cut
    assert [(len(page.rows), page.cut) for page in pages] == [(0, True), (0, True), (1, False)]
    assert "No match among the newest" in (await visitor.get("/activity?state=failed")).body


# ── Search


async def test_a_search_leads_to_what_an_id_names(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    (id_,) = await fill(visitor, 1)
    of = event_of(NOW)

    for query, place in (
        (f"q={id_}", f"deliveries/{id_}"),
        (f"q=%20{id_.upper()}%20", f"deliveries/{id_}"),
        (f"q={of}", f"events/{of}"),
        (f"source=csms/berlin&q={NOW}", f"events/{of}"),
        ("q=ada", "activity?recipient=ada"),
    ):
        assert (await visitor.get(f"/search?{query}")).headers["Location"] == f"/console/{place}"
    for query in ("q=bo", f"q={'0' * 32}", "source=csms/berlin&q=1", f"source=csms&q={NOW}"):
        answer = await visitor.get(f"/search?{query}")
        assert (answer.status, "Nothing found for" in answer.body) == (404, True)


async def test_a_delivery_and_its_event_tell_what_happened_and_no_address(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    (id_,) = await fill(visitor, 1, state="failed", reason="address_gone")

    page = (await visitor.get(f"/deliveries/{id_}")).body
    of = (await visitor.get(f"/events/{event_of(NOW)}")).body

    for said in (id_, "charging-complete", "csms/berlin", str(NOW), "2026-03-09 17:40:00", "number or mailbox doesn"):
        assert said in page
    assert listed(of) == [id_]
    assert "Redrive" not in page + of  # a viewer's


# ── Dead letters


async def confirm(visitor: Visitor, action: str, *ids: str) -> str:
    """The confirm page; its form goes with the ids that it names."""
    answer = await visitor.post("/dead/confirm", action=action, every="", **({"id": ids[0]} if ids else {}))
    assert answer.status == (200 if ids else 422)
    return str(answer.body)


async def test_an_operator_redrives_once_what_a_page_asked_about(enter: Enter) -> None:
    # Given a dead letter, and a delivery that arrived
    visitor = await signed_in(enter, "operator")
    dead, sent = await fill(visitor, 2, state="failed", reason="refused")
    await become_there(visitor.engine.database, [sent], state="delivered", reason=None)
    assert listed((await visitor.get("/dead")).body) == [dead]

    # When it is chosen, nothing happens but a question
    assert "Redrive 1 dead letter?" in await confirm(visitor, "redrive", dead)
    assert len(await visitor.rows(delivery)) == 2

    # When the question is answered, twice and at once, with the other id beside
    answers = await asyncio.gather(*(visitor.post("/dead/redrive", ids=f"{dead} {sent}") for _ in range(2)))

    # Then there is one redrive, audited with the name, and what was delivered is refused
    for answer in answers:
        assert "1 redriven, 1 refused" in answer.body
        assert "not dead" in answer.body
    assert [row.id for row in await visitor.rows(delivery) if row.redrive_of] == [successor_id(dead)]
    entries = [each for each in await visitor.rows(audit) if each.action.startswith("dead.")]
    assert [(each.actor, each.action, each.subject) for each in entries] == [("console:operator", "dead.redrive", dead)]
    assert listed((await visitor.get("/dead")).body) == []
    assert f"redriven as {successor_id(dead)}" in (await visitor.get(f"/deliveries/{dead}")).body


async def test_all_that_the_filters_leave_are_discarded_together(enter: Enter) -> None:
    visitor = await signed_in(enter, "operator")
    ids = await fill(visitor, 60, state="failed", reason="refused")
    await become_there(visitor.engine.database, ids[:1], reason="address_gone")

    page = (await visitor.post("/dead/confirm", action="discard", every="yes", reason="refused")).body
    confirmed = re.search(r'name="ids" value="([^"]+)"', page)
    assert confirmed
    assert "Discard 59 dead letters?" in page
    assert "59 discarded" in (await visitor.post("/dead/discard", ids=confirmed[1])).body

    assert listed((await visitor.get("/dead")).body) == ids[:1]


async def test_a_quarantined_event_can_be_redriven_too(enter: Enter) -> None:
    visitor = await signed_in(enter, "operator")
    of = event_of(NOW)
    happened = {"id": of, "source": "csms/berlin", "source_id": str(NOW), "type": "charging.complete", "digest": ""}

    async def write(connection: AsyncConnection) -> None:
        await write_events(connection, [happened | {"data": "{}", "occurred_at": NOW, "accepted_at": NOW}])

    there = visitor.engine.database.buckets[-1]
    await there.write(write)
    await open_events.quarantine(there, [of], NOW)

    assert listed((await visitor.get("/dead?reason=quarantined")).body) == [of]
    assert "Redrive…" in (await visitor.get(f"/events/{of}")).body
    assert "1 redriven" in (await visitor.post("/dead/redrive", ids=of)).body


async def test_a_paused_campaign_stands_with_the_dead_letters_until_somebody_ends_it(enter: Enter) -> None:
    # Given a campaign that is paused, and a delivery of it that is put off
    visitor = await signed_in(enter, "operator")
    (waiting,) = await fill(visitor, 1, state="pending", reason="campaign_paused")
    of, database = event_of(NOW), visitor.engine.database
    await campaigns.pause(database, {of: Reason.COMPLAINTS}, NOW)
    await become_there(database, [waiting], due_at=NEVER + NOW, next_check_at=NEVER + NOW)

    # When somebody looks, then both say why they wait
    assert listed((await visitor.get("/dead?reason=complaints")).body) == [of]
    assert "called mails of the campaign spam" in (await visitor.get("/dead")).body
    assert "its campaign is paused until somebody lets it go on" in (await visitor.get(f"/deliveries/{waiting}")).body

    # And when they end it, it is gone from the list
    assert "1 discarded" in (await visitor.post("/dead/discard", ids=of)).body
    assert listed((await visitor.get("/dead")).body) == []


@pytest.mark.parametrize("ids", ["", "x", "0" * 31, "0" * 32 + "  " + "0" * 32, " ".join(["0" * 32] * 501)])
@on_sqlite
async def test_ids_that_no_page_of_ours_made_are_refused(enter: Enter, ids: str) -> None:
    visitor = await signed_in(enter, "operator")

    assert (await visitor.post("/dead/redrive", ids=ids)).status == 400
    assert (await visitor.post("/dead/confirm", action="drop", id="0" * 32)).status == 400
    assert "None selected" in await confirm(visitor, "redrive")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "none"),
        ({"quiet_hours": None, "everything": True}, "quiet hours: none; everything: on"),
        ({"charging": {"sms": False}}, "charging: sms: off"),
        ([], "none"),
        ({}, "nothing"),
    ],
)
def test_values_are_told_in_words(value: object, told: str) -> None:
    assert plainly(value) == told


async def test_a_delivery_is_headed_by_its_types_name_and_tells_which_clock_its_times_are_of(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    (id_,) = await fill(visitor, 1)

    body = (await visitor.get(f"/deliveries/{id_}")).body

    assert "<h1>charging-complete</h1>" not in body
    assert f"<h1>{CATALOG.types['charging-complete'].name}</h1>" in body
    assert re.search(r" UTC</time>", body)
