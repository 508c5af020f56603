"""What the screens tell and do, over every database: activity, search, dead letters, users, the audit log, health."""

import asyncio
import json
import math
import re
from collections import Counter

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from notifier.console import watch
from notifier.console.pages import duration
from notifier.console.watch import Remembered, Sample, quantile
from notifier.deliveries import State, make_id
from notifier.store import activity, events, paging
from notifier.store.activity import Filter
from notifier.store.dead import successor_id
from notifier.store.schema import audit, console_user, delivery, event
from tests.api.conftest import on_sqlite
from tests.console.conftest import Enter, Visitor
from tests.samples import NOW


async def fill(visitor: Visitor, number: int, **given: object) -> list[str]:
    """The ids of so many texts, newest first, each of an event of its own a second after the other."""
    happened = {"source": "csms/berlin", "type": "charging.complete", "digest": "", "data": "{}", "deliveries": 1}
    text = {"type": "charging-complete", "channel": "sms", "target": "", "lane": "urgent", "about": make_id("101")}
    kept = {"recipient_id": "ada", "state": "sent", "reason": None, "attempts": 1, **given}
    times = [NOW + each * SECOND for each in range(number)]
    of = [
        {**happened, "id": make_id("event", "csms/berlin", str(at)), "source_id": str(at), "subject": f"S-{at}"}
        | {"occurred_at": at, "accepted_at": at, "decided_at": at}
        for at in times
    ]
    made = [
        {**text, **kept, "id": make_id("delivery", str(at)), "event_id": make_id("event", "csms/berlin", str(at))}
        | {"created_at": at, "updated_at": at, "due_at": at, "expires_at": at + HOUR}
        for at in times
    ]
    async with visitor.engine.database.engine.begin() as connection:
        await connection.execute(sa.insert(event), of)
        await connection.execute(sa.insert(delivery), made)
    return [make_id("delivery", str(at)) for at in reversed(times)]


def listed(body: str) -> list[str]:
    """The deliveries that a page's table leads to."""
    return re.findall(r'<a class="id" href="/console/(?:deliveries|events)/([0-9a-f]{32})">', body)


async def signed_in(enter: Enter, role: str) -> Visitor:
    visitor = enter()
    await visitor.sign_in(role)
    return visitor


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
    ids = await fill(visitor, 3)
    async with visitor.engine.database.engine.begin() as connection:
        change = sa.update(delivery).where(delivery.c.id == ids[0])
        await connection.execute(change.values(type="idle-warning", channel="push", state="failed", recipient_id="bo"))

    for query in ("type=idle-warning", "channel=push", "state=failed", "recipient=bo", "recipient=bo&channel=push"):
        assert listed((await visitor.get(f"/activity?{query}")).body) == ids[:1], query
    assert listed((await visitor.get("/activity?recipient=ada&state=sent")).body) == ids[1:]
    assert "None like that" in (await visitor.get("/activity?recipient=ada&state=failed")).body


async def test_a_page_looks_at_so_many_rows_and_says_where_it_stopped(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a filter that nothing fits but the oldest of ten, and pages that look at four
    monkeypatch.setattr(paging, "LOOKED_AT", 4)
    visitor = await signed_in(enter, "viewer")
    ids = await fill(visitor, 10)
    database = visitor.engine.database
    async with database.engine.begin() as connection:
        await connection.execute(sa.update(delivery).where(delivery.c.id == ids[-1]).values(state="failed"))

    # When pages are read one after the other
    wanted = Filter(state=State.FAILED)
    pages = [await activity.find(database, wanted, None, 50)]
    while pages[-1].next:
        pages.append(await activity.find(database, wanted, pages[-1].next, 50))

    # Then it is found on the third, and the two before say that they were cut
    assert [(len(page.rows), page.cut) for page in pages] == [(0, True), (0, True), (1, False)]
    assert "None among the newest" in (await visitor.get("/activity?state=failed")).body


# ── Search


async def test_a_search_leads_to_what_an_id_names(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    (id_,) = await fill(visitor, 1)
    of = make_id("event", "csms/berlin", str(NOW))

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
        assert (answer.status, "Nothing is called" in answer.body) == (404, True)


async def test_a_delivery_and_its_event_tell_what_happened_and_no_address(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    (id_,) = await fill(visitor, 1, state="failed", reason="address_gone")

    page = (await visitor.get(f"/deliveries/{id_}")).body
    of = (await visitor.get(f"/events/{make_id('event', 'csms/berlin', str(NOW))}")).body

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
    async with visitor.engine.database.engine.begin() as connection:
        await connection.execute(
            sa.update(delivery).where(delivery.c.id == sent).values(state="delivered", reason=None)
        )
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
    assert f"taken up by {successor_id(dead)}" in (await visitor.get(f"/deliveries/{dead}")).body


async def test_all_that_the_filters_leave_are_discarded_together(enter: Enter) -> None:
    visitor = await signed_in(enter, "operator")
    ids = await fill(visitor, 60, state="failed", reason="refused")
    async with visitor.engine.database.engine.begin() as connection:
        await connection.execute(sa.update(delivery).where(delivery.c.id == ids[0]).values(reason="address_gone"))

    page = (await visitor.post("/dead/confirm", action="discard", every="yes", reason="refused")).body
    confirmed = re.search(r'name="ids" value="([^"]+)"', page)
    assert confirmed
    assert "Discard 59 dead letters?" in page
    assert "59 discarded" in (await visitor.post("/dead/discard", ids=confirmed[1])).body

    assert listed((await visitor.get("/dead")).body) == ids[:1]


async def test_a_quarantined_event_can_be_redriven_too(enter: Enter) -> None:
    visitor = await signed_in(enter, "operator")
    await fill(visitor, 1)
    of = make_id("event", "csms/berlin", str(NOW))
    async with visitor.engine.database.engine.begin() as connection:
        await connection.execute(sa.update(event).values(decided_at=None, deliveries=None))
    await events.quarantine(visitor.engine.database, [of], NOW)

    assert listed((await visitor.get("/dead?reason=quarantined")).body) == [of]
    assert "Redrive…" in (await visitor.get(f"/events/{of}")).body
    assert "1 redriven" in (await visitor.post("/dead/redrive", ids=of)).body


@pytest.mark.parametrize("ids", ["", "x", "0" * 31, "0" * 32 + "  " + "0" * 32, " ".join(["0" * 32] * 501)])
@on_sqlite
async def test_ids_that_no_page_of_ours_made_are_refused(enter: Enter, ids: str) -> None:
    visitor = await signed_in(enter, "operator")

    assert (await visitor.post("/dead/redrive", ids=ids)).status == 400
    assert (await visitor.post("/dead/confirm", action="drop", id="0" * 32)).status == 400
    assert "None chosen" in await confirm(visitor, "redrive")


# ── Users


async def test_an_administrator_makes_a_user_who_signs_in_and_chooses_another_password(enter: Enter) -> None:
    # Given a new user, whose password is shown once
    admin = await signed_in(enter, "admin")
    shown = re.search(r'class="secret"[^>]*>([^<]+)<', (await admin.post("/users", name="Grace", role="author")).body)
    assert shown

    # When they sign in with it and choose another
    grace, elsewhere = enter(), enter()
    assert (await grace.sign_in("grace", shown[1])).status == 303
    assert (await elsewhere.sign_in("grace", shown[1])).status == 303
    changed = await grace.post("/account/password", old=shown[1], new="a few plain words", again="a few plain words")

    # Then they stay signed in here and nowhere else, and the old password is no more
    assert "Your password is changed" in changed.body
    assert (await grace.get("/activity")).status == 200
    assert (await elsewhere.get("/activity")).status == 303
    assert (await elsewhere.sign_in("grace", shown[1])).status == 401
    assert (await elsewhere.sign_in("grace", "a few plain words")).status == 303
    assert shown[1] not in str(await admin.rows(audit))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"old": "wrong", "new": "a few plain words", "again": "a few plain words"}, "not your password"),
        ({"old": "x", "new": "short", "again": "short"}, "at least 12 characters"),
        ({"old": "x", "new": "a few plain words", "again": "others entirely"}, "not the same"),
    ],
)
@on_sqlite
async def test_a_password_that_does_not_do_is_told_where(enter: Enter, fields: dict[str, str], told: str) -> None:
    visitor = await signed_in(enter, "viewer")

    answer = await visitor.post("/account/password", **fields)

    assert answer.status == 422
    assert told in answer.body
    assert not any(value in answer.body for value in fields.values() if len(value) > 5)


async def test_roles_change_and_doors_close_at_once(enter: Enter) -> None:
    admin, viewer = await signed_in(enter, "admin"), await signed_in(enter, "viewer")
    assert (await viewer.get("/users")).status == 403

    await admin.post("/users/viewer/role", role="admin")
    assert (await viewer.get("/users")).status == 200

    await admin.post("/users/viewer/disable")
    assert (await viewer.get("/users")).status == 303
    assert (await viewer.sign_in("viewer")).status == 401

    await admin.post("/users/viewer/enable")
    assert (await viewer.sign_in("viewer")).status == 303

    reset = (await admin.post("/users/viewer/reset")).body
    shown = re.search(r'class="secret"[^>]*>([^<]+)<', reset)
    assert shown
    assert (await viewer.get("/users")).status == 303
    assert (await viewer.sign_in("viewer", shown[1])).status == 303
    did = [
        (each.action, each.subject, each.detail) for each in await admin.rows(audit) if each.actor == "console:admin"
    ]
    assert sorted(action for action, subject, _ in did if subject == "viewer") == [
        "user.disable", "user.enable", "user.reset", "user.role"
    ]  # fmt: skip
    assert ("user.role", "viewer", "admin") in did


@pytest.mark.parametrize("action", ["role", "disable", "reset"])
@on_sqlite
async def test_nobody_shuts_themselves_out(enter: Enter, action: str) -> None:
    admin = await signed_in(enter, "admin")

    assert (await admin.post(f"/users/admin/{action}", role="viewer")).status == 400
    assert (await admin.get("/users")).status == 200


@pytest.mark.parametrize("given", ["", "Ada Lovelace", "-x", "x" * 65, "viewer", "<b>"])
@on_sqlite
async def test_a_name_that_does_not_do_is_told(enter: Enter, given: str) -> None:
    admin = await signed_in(enter, "admin")
    before = len(await admin.rows(console_user))

    answer = await admin.post("/users", name=given, role="viewer")

    assert answer.status == 422
    assert 'aria-invalid="true"' in answer.body
    assert "<b>" not in answer.body
    assert len(await admin.rows(console_user)) == before


# ── The audit log


async def test_the_audit_log_is_read_page_by_page_and_by_actor(enter: Enter) -> None:
    admin = await signed_in(enter, "admin")
    for _ in range(101):
        await admin.engine.database.write(add_line)

    first = await admin.get("/audit?actor=cli:root")
    following = re.search(r'rel="next" href="/console([^"]+)"', first.body)
    assert following
    second = await admin.get(following[1].replace("&amp;", "&"))

    assert (first.body.count("<td>test.line</td>"), second.body.count("<td>test.line</td>")) == (100, 1)
    assert "user.sign_in" not in first.body + second.body
    assert "user.sign_in" in (await admin.get("/audit")).body


async def add_line(connection: AsyncConnection) -> None:
    line = {"at": NOW - 60_000, "actor": "cli:root", "action": "test.line", "subject": "x", "detail": ""}
    count = len(list(await connection.execute(sa.select(audit.c.id))))
    await connection.execute(sa.insert(audit).values(id=make_id(str(count)), **line))


# ── Health, live


async def test_health_tells_what_waits_and_whether_the_sum_is_whole(enter: Enter) -> None:
    # Given a delivery that nobody planned, and one that fell due a minute ago
    visitor = await signed_in(enter, "viewer")
    await fill(visitor, 2)
    async with visitor.engine.database.engine.begin() as connection:
        await connection.execute(sa.update(event).where(event.c.source_id == str(NOW)).values(deliveries=0))
        late = sa.update(delivery).where(delivery.c.created_at == NOW)
        await connection.execute(late.values(state="pending", signal_at=NOW - MINUTE))
    await visitor.engine.signals.ask(["0" * 32])

    async with asyncio.timeout(10):
        body = ""
        while "astray" not in body or "Looking" in body:  # a page waits for neither for long
            body = (await visitor.get("/health")).body

    assert "1 astray" in body
    assert '<dt>ask</dt><dd class="number">1</dd>' in body
    assert "1 min late" in body


@on_sqlite
async def test_a_live_page_sends_what_has_changed(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    async with visitor.session.get(f"{visitor.url}/console/activity/live?channel=sms") as stream:
        assert stream.content_type == "text/event-stream"
        assert "Nothing has been sent" not in await drawn(stream)

        (id_,) = await fill(visitor, 1)

        assert listed(await drawn(stream)) == [id_]


async def drawn(stream: object) -> str:
    async for line in stream.content:  # type: ignore[attr-defined]
        if line.startswith(b"data: "):
            return str(json.loads(line[6:]))
    raise AssertionError("the stream ended")


async def test_what_takes_long_is_told_as_it_was_last_seen() -> None:
    # Given something that takes as long as we say
    clock, gate, found = ManualClock(NOW), asyncio.Event(), iter([1, 2])

    async def find() -> int:
        await gate.wait()
        return next(found)

    remembered = Remembered(find, clock)

    # Then nobody waits for it, all ask once, and what was found stands while it is looked for again
    assert await asyncio.gather(remembered.latest(), remembered.latest()) == [None, None]  # type: ignore[comparison-overlap]
    gate.set()
    assert await remembered.latest() == 1
    gate.clear()
    clock.advance(watch.LOOK_EVERY)
    assert await remembered.latest() == 1
    gate.set()
    assert await remembered.latest() == 2
    assert await remembered.latest() == 2
    await remembered.close()


def test_speeds_and_answers_are_those_between_two_readings() -> None:
    def sample(at: int, *counts: int) -> Sample:
        bounds = (0.1, 0.25, math.inf)
        answers = Counter({("sms", bound): count for bound, count in zip(bounds, counts, strict=True)})
        return Sample(
            at, Counter({("twilio", "sent"): counts[-1], ("twilio", "throttled"): 5}), answers, {"twilio": 2}, 0
        )

    earlier, later = sample(0, 100, 100, 100), sample(MINUTE, 150, 200, 200)

    (speed,) = watch.speeds(earlier, later)
    assert (speed.channel, speed.answered, speed.p50) == ("sms", 100, 100)
    assert speed.p95 == pytest.approx(235)
    (provider,) = watch.providers(earlier, later)
    assert (provider.name, provider.breaker, provider.said) == ("twilio", "open", [("sent", 100)])


@pytest.mark.parametrize(
    ("buckets", "told"),
    [({}, None), ({0.1: 0, math.inf: 0}, None), ({0.1: 0, math.inf: 4}, 100), ({0.1: 4, 1.0: 4, math.inf: 4}, 95)],
)
def test_a_quantile_lies_within_its_bucket(buckets: dict[float, int], told: float | None) -> None:
    assert quantile(buckets, 0.95) == pytest.approx(told) if told else quantile(buckets, 0.95) is None


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (0, "0 ms"),
        (850, "850 ms"),
        (2_340, "2.3 s"),
        (12 * SECOND, "12 s"),
        (MINUTE, "1 min"),
        (3 * MINUTE + 5 * SECOND, "3 min 5 s"),
        (HOUR + 59 * SECOND, "1 h"),
        (2 * DAY + 4 * HOUR, "2 d 4 h"),
    ],
)
def test_spans_are_told_in_their_two_largest_units(span: int, told: str) -> None:
    assert duration(span) == told
