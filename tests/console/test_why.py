"""What if: what would happen is told, and nothing does."""

import pytest

from notifier.domain.recipients import RecipientDetails
from notifier.store.people import recipients
from tests.api.server import Caller
from tests.api.test_routes import everything
from tests.console.conftest import Enter, signed_in
from tests.console.words import NUMBER, TYPE, says
from tests.samples import NOW


@pytest.mark.parametrize("database_url", ["sqlite", "buckets"], indirect=True)
async def test_what_would_happen_is_told_by_rule_and_nothing_is_written(desk: Enter) -> None:
    visitor = await signed_in(desk, "viewer")
    ada = RecipientDetails(name="Ada", phone=NUMBER, locale="de", time_zone="Europe/Berlin")
    await recipients.put(visitor.engine.database, {"ada": ada}, NOW)
    await visitor.get("/why")
    caller = Caller(visitor.url, visitor.session, visitor.engine)
    before = await everything(caller)
    event = f"{TYPE}/Full, with an idle fee"

    told = says(await visitor.post("/why", event=event, recipient="ada", at="23:10"))
    nobody = await visitor.post("/why", event=event, recipient="nobody")
    when = await visitor.post("/why", event=event, recipient="ada", at="soon")
    data = await visitor.post("/why", event=event, recipient="ada", data='{"session_id": 1}')
    broken = await visitor.post("/why", event=event, data="{")
    none = await visitor.post("/why", event="no/such")

    assert "Charging complete to ada, Monday 23:10 local time in Europe/Berlin" in told
    assert "Dein Auto ist voll geladen" in told
    assert "There is no device: not sent." in told
    assert [each.status for each in (nobody, when, data, broken, none)] == [422, 422, 422, 422, 400]
    assert "no recipient with this id" in says(nobody)
    assert "a time of day: 23:10" in says(when)
    assert "(/event/data/session_id)" in says(data)
    assert await everything(caller) == before
