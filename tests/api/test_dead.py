"""Dead letters over HTTP: listed by pages, told without an address, redriven and discarded with a result for each."""

import asyncio
import json
from typing import Any

import pytest

from notifier.domain.campaigns import CampaignState, Pause
from notifier.domain.clock import HOUR
from notifier.domain.deliveries import Reason
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import campaigns, open_events
from notifier.store.reading.dead import successor_id
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, add_key
from tests.samples import NOW, with_data
from tests.states import become_there

ADA = b'{"name": "Ada", "email": "ada@example.com", "phone": "+4915123456789", "devices": [{"value": "token-1"}]}'


async def die(api: Caller, number: int = 7, *, state: str = "failed", reason: str = "address_gone") -> str:
    """The id of a mail that was not to be delivered."""
    await api.call("PUT", "/v1/recipients/A-1", ADA)
    event = json.loads(with_data(attempt=number))
    event["data"]["driver_id"] = "A-1"
    event = (await api.post(json.dumps({**event, "id": f"attempt-{number}", "subject": f"A-{number}"}))).body["event"]
    await everywhere.decide(api.engine, [event])
    (id_,) = [row.id for row in await api.rows(delivery) if (row.event_id, row.channel) == (event, "email")]
    died = {"state": state, "reason": reason, "updated_at": api.clock.now(), "next_check_at": None, "attempts": 1}
    tried = {"started_at": NOW, "provider": "smtp", "answer": "address_gone", "code": "5.1.1"}
    await become_there(api.engine.database, [id_], **died, **tried)
    return str(id_)


async def post(api: Caller, action: str, *ids: Any, **headers: str) -> Answer:
    return await api.call("POST", f"/v1/dead/{action}", json.dumps({"ids": ids}), **headers)


async def listed(api: Caller, query: str = "") -> list[str]:
    return [letter["id"] for letter in (await api.call("GET", f"/v1/dead{query}")).body["letters"]]


async def test_a_dead_letter_is_listed_and_told_with_its_reason_in_words_and_no_address(api: Caller) -> None:
    # Given a mail whose mailbox is no more
    id_ = await die(api)

    # When the list and the letter are read
    page = await api.call("GET", "/v1/dead")
    letter = await api.call("GET", f"/v1/dead/{id_}")

    # Then both say what, why and when
    (line,) = page.body["letters"]
    why = "the device, number or mailbox doesn't exist or can't receive"
    assert (page.status, page.body["next"], letter.status) == (200, None, 200)
    assert line == {
        "kind": "delivery", "id": id_, "type": "payment-failed", "channel": "email", "state": "failed",
        "reason": "address_gone", "why": why, "at": "2026-03-09T17:40:00Z", "attempts": 1,
        "event": letter.body["event"]["id"],
    }  # fmt: skip
    (tried,) = letter.body["attempts"]
    assert (tried["provider"], tried["code"], tried["started_at"]) == ("smtp", "5.1.1", "2026-03-09T17:40:00Z")
    assert tried["meaning"]
    told = letter.body["event"]
    assert (told["type"], told["source"], told["subject"]) == ("payment.failed", "billing", "A-7")
    assert (letter.body["why"], letter.body["recipient"], letter.body["handled_at"]) == (why, "A-1", None)

    # And neither has a name, an address or a word of the message
    for private in ("Ada", "ada@", "+49", "token-1", "20.9", "EUR"):
        assert private not in str(page.body) + str(letter.body)


async def test_a_receipts_code_is_told_with_its_meaning(api: Caller) -> None:
    id_ = await die(api, state="undelivered", reason="unavailable")
    await become_there(api.engine.database, [id_], channel="sms", code="30003")

    letter = (await api.call("GET", f"/v1/dead/{id_}")).body

    assert (letter["state"], letter["code"]) == ("undelivered", "30003")
    assert "the phone is off" in letter["meaning"]


async def test_pages_follow_each_other_by_their_cursors(api: Caller) -> None:
    # Given five dead letters, two of them of one instant
    ids = []
    for number in range(5):
        ids.append(await die(api, number))
        api.clock.advance(number % 2)

    # When they are read by twos
    first = (await api.call("GET", "/v1/dead?limit=2")).body
    second = (await api.call("GET", f"/v1/dead?limit=2&cursor={first['next']}")).body
    third = (await api.call("GET", f"/v1/dead?limit=2&cursor={second['next']}")).body

    # Then each is on one page, and the last page says that it is the last
    read = [letter["id"] for page in (first, second, third) for letter in page["letters"]]
    assert sorted(read) == sorted(ids)
    assert read == await listed(api)
    assert (len(third["letters"]), third["next"]) == (1, None)
    assert (await api.call("GET", "/v1/dead?limit=5")).body["next"] is None


async def test_the_list_is_narrowed_by_type_channel_and_reason(api: Caller) -> None:
    gone, refused = await die(api, 1), await die(api, 2, reason="refused")

    assert await listed(api, "?reason=refused") == [refused]
    assert await listed(api, "?channel=sms") == []
    assert await listed(api, "?type=payment-failed&channel=email&reason=address_gone") == [gone]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=1001", "/limit"),
        ("limit=x", "/limit"),
        ("channel=fax", "/channel"),
        ("cursor=1", "/cursor"),
        ("cursor=%00", "/cursor"),
        ("chanel=sms", "/chanel"),
    ],
)
@on_sqlite
async def test_a_parameter_that_does_not_fit_is_named(api: Caller, query: str, pointer: str) -> None:
    assert (await api.call("GET", f"/v1/dead?{query}")).problem == (42205, pointer)


async def test_a_redrive_answers_for_each_id_and_the_same_again_is_answered_alike(api: Caller) -> None:
    # Given a dead letter, and ids of which nothing can be redriven
    id_ = await die(api)
    (push,) = [row.id for row in await api.rows(delivery) if row.channel == "push"]

    # When they are redriven, by two callers at once and once more
    answers = await asyncio.gather(*(post(api, "redrive", id_, push, "0" * 32, id_) for _ in range(2)))
    answers.append(await post(api, "redrive", id_, push, "0" * 32))

    # Then each id has its result, and all answers are the same
    for answer in answers:
        assert answer.status == 200
        assert answer.body["results"] == [
            {"id": id_, "status": "redriven", "delivery": successor_id(id_)},
            {"id": push, "status": "refused", "reason": "not_dead"},
            {"id": "0" * 32, "status": "refused", "reason": "not_found"},
        ]
    assert [row.state for row in await api.rows(delivery) if row.redrive_of == id_] == ["pending"]

    # And it is listed no more, its page names what took it up, and the audit the key
    assert await listed(api) == []
    letter = (await api.call("GET", f"/v1/dead/{id_}")).body
    assert (letter["redriven_as"], letter["handled_at"]) == (successor_id(id_), "2026-03-09T17:40:00Z")
    (entry,) = await api.rows(audit)
    assert (entry.actor, entry.action, entry.subject) == ("test", "dead.redrive", id_)
    assert (await api.call("GET", "/v1/ledger")).body["balanced"]


async def test_a_quarantined_event_is_a_dead_letter_too(api: Caller) -> None:
    event = (await api.post(with_data(attempt=1))).body["event"]
    for each in api.engine.database.buckets:
        await open_events.quarantine(each, [event], api.clock.now())

    (line,) = (await api.call("GET", "/v1/dead")).body["letters"]
    letter = (await api.call("GET", f"/v1/dead/{event}")).body
    books = (await api.call("GET", "/v1/ledger")).body

    assert (line["kind"], line["id"], line["channel"], line["state"]) == ("event", event, None, "quarantined")
    assert (letter["event"]["source_id"], letter["recipient"], letter["attempts"]) == ("attempt-7", None, [])
    assert (books["balanced"], books["events"], books["quarantined"], books["undecided"]) == (True, 1, 1, 0)
    assert (await post(api, "redrive", event)).body == {"results": [{"id": event, "status": "redriven"}]}
    assert (await api.call("GET", f"/v1/dead/{event}")).problem == (40401, None)


async def test_a_paused_campaign_is_a_dead_letter_too_and_goes_on_by_a_redrive(api: Caller) -> None:
    # Given a campaign that is paused, and a delivery of it that is put off
    event = (await api.post(with_data(attempt=1))).body["event"]
    await campaigns.pause(api.engine.database, {event: Reason.COMPLAINTS}, api.clock.now())

    # When it is listed and read
    (line,) = (await api.call("GET", "/v1/dead?reason=complaints")).body["letters"]
    letter = (await api.call("GET", f"/v1/dead/{event}")).body

    # Then it says why it waits, and a redrive lets it go on
    assert (line["kind"], line["id"], line["state"], line["reason"]) == ("event", event, "paused", "complaints")
    assert "spam" in line["why"]
    assert (letter["state"], letter["event"]["source_id"], letter["handled_at"]) == ("paused", "attempt-7", None)
    assert (await post(api, "redrive", event)).body == {"results": [{"id": event, "status": "redriven"}]}
    assert (await api.call("GET", "/v1/dead")).body["letters"] == []
    assert (await api.call("GET", f"/v1/dead/{event}")).body["handled_at"] == "2026-03-09T17:40:00Z"


async def test_a_delivery_that_a_pause_puts_off_is_told_without_an_instant(api: Caller) -> None:
    id_ = await die(api, state="pending", reason=Reason.CAMPAIGN_PAUSED)
    until = Pause(state=CampaignState.PAUSED, paused_at=NOW).until
    await become_there(api.engine.database, [id_], due_at=until, next_check_at=until)

    told = (await api.call("GET", f"/v1/deliveries/{id_}")).body

    assert (told["state"], told["reason"], told["due_at"]) == ("pending", "campaign_paused", None)


async def test_what_is_discarded_is_listed_no_more_and_stays(api: Caller) -> None:
    id_ = await die(api)
    api.clock.advance(HOUR)

    for _ in range(2):
        assert (await post(api, "discard", id_)).body == {"results": [{"id": id_, "status": "discarded"}]}

    assert await listed(api) == []
    assert (await api.call("GET", f"/v1/dead/{id_}")).body["handled_at"] == "2026-03-09T18:40:00Z"
    assert (await post(api, "redrive", id_)).body["results"][0]["reason"] == "discarded"
    assert [entry.action for entry in await api.rows(audit)] == ["dead.discard"]


@pytest.mark.parametrize("action", ["redrive", "discard"])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", (40001, None)),
        ("[]", (42205, None)),
        ("{}", (42205, "/ids")),
        ('{"ids": []}', (42205, "/ids")),
        ('{"ids": ["x"]}', (42205, "/ids/0")),
        ('{"ids": [1]}', (42205, "/ids/0")),
        ('{"ids": ["%s"], "all": true}' % ("0" * 32), (42205, "/all")),
        (json.dumps({"ids": ["0" * 32] * 1001}), (42205, "/ids")),
        (" " * 65_537, (41301, None)),
    ],
)
@on_sqlite
async def test_a_body_that_does_not_fit_changes_nothing(
    api: Caller, action: str, body: str, problem: tuple[int, str | None]
) -> None:
    assert (await api.call("POST", f"/v1/dead/{action}", body)).problem == problem


@on_sqlite
async def test_an_id_of_nothing_and_an_id_that_is_none_are_not_found(api: Caller) -> None:
    for missing in ("0" * 32, "x", "%00", "%F0%9F%98%80", "a" * 3000):
        assert (await api.call("GET", f"/v1/dead/{missing}")).problem == (40401, None)


@on_sqlite
async def test_who_may_look_may_not_act(api: Caller) -> None:
    id_ = await die(api)
    reader = f"Bearer {await add_key(api.engine.database, 'dead:read')}"

    for action in ("redrive", "discard"):
        assert (await post(api, action, id_, Authorization=reader)).problem == (40301, None)
    assert (await api.call("GET", f"/v1/dead/{id_}", Authorization=reader)).status == 200
    assert await listed(api) == [id_]


async def test_a_key_is_told_of_dead_letters_within_its_bounds_and_handles_no_others(api: Caller) -> None:
    # Given a dead mail of the source billing, and keys of others
    id_ = await die(api)
    event = (await api.call("GET", f"/v1/dead/{id_}")).body["event"]["id"]
    (letter,) = (await api.call("GET", "/v1/dead")).body["letters"]

    for sources, types, fits in [
        (("billing",), (), True), (("bill*",), ("payment.failed",), True), ((), ("payment.failed",), True),
        (("billing ",), (), False), (("billing2",), (), False), (("BILL*",), (), False),
        ((), ("payment.recovered",), False), (("billing",), ("payment.recovered",), False),
    ]:  # fmt: skip
        key = await add_key(api.engine.database, "dead:read", "dead:write", sources=sources, types=types)
        mine = {"Authorization": f"Bearer {key}"}

        # When they list, read, redrive and discard it
        page = await api.call("GET", "/v1/dead", **mine)
        told = await api.call("GET", f"/v1/dead/{id_}", **mine)

        # Then it is there for those whose it is
        assert page.body["letters"] == ([letter] if fits else []), (sources, types)
        assert told.status == (200 if fits else 404)
        if not fits:
            for action in ("redrive", "discard"):
                results = (await post(api, action, id_, event, **mine)).body["results"]
                assert [(each["status"], each["reason"]) for each in results] == [("refused", "not_found")] * 2
    assert await listed(api) == [id_]

    # And once somebody has redriven it, others don't hear of that either
    mine = {"Authorization": f"Bearer {await add_key(api.engine.database, 'dead:write', sources=('billing',))}"}
    other = {"Authorization": f"Bearer {await add_key(api.engine.database, 'dead:write', sources=('other',))}"}
    (done,) = (await post(api, "redrive", id_, **mine)).body["results"]
    (unknown,) = (await post(api, "redrive", id_, **other)).body["results"]
    assert (done["status"], unknown) == ("redriven", {"id": id_, "status": "refused", "reason": "not_found"})
