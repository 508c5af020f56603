"""Readiness: what a process needs and doesn't get, asked once a second whoever wants to know."""

import asyncio

from notifier.domain.clock import ManualClock
from notifier.monitoring.pages import GOOD_FOR, Readiness, pages_of


async def nothing() -> bytes:
    return b""


async def test_a_process_is_ready_while_all_that_it_needs_answers() -> None:
    # Given a process whose broker falls silent
    clock, broken, asked = ManualClock(0), False, 0

    async def broker() -> None:
        nonlocal asked
        asked += 1
        if broken:
            raise ConnectionError

    pages = pages_of(Readiness({"database": nothing, "broker": broker}, clock), nothing)
    assert (await pages["/readyz"]()) == (200, b'{"status":"ok"}', "application/json")
    broken = True

    # When many ask, then they hear of it within a second, by one question
    clock.advance(GOOD_FOR)
    answers = await asyncio.gather(*(pages["/readyz"]() for _ in range(30)))
    assert {each.status for each in answers} == {503}
    assert answers[0].body == b'{"status":"unavailable","faults":{"broker":"ConnectionError"}}'
    assert asked == 2

    # And it lives all the same: whoever starts it again mends no broker
    assert (await pages["/livez"]()).status == 200

    # And when the broker is back, it is ready again
    broken = False
    clock.advance(GOOD_FOR)
    assert (await pages["/readyz"]()).status == 200
