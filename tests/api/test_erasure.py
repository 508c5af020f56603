"""What a person may ask for over HTTP: all that is held about them, and to be forgotten."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText
from notifier.pipeline.erasure import ENDED, sweep
from notifier.store.core.schema import decision, recipient
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.reading import export
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.api.test_recipients import ADA
from tests.samples import NOW, encoded

PAYMENT = {"account_id": "A-1", "attempt": 7, "amount": {"amount": 20.9, "currency": "EUR"}, "blocked": False}


async def tell(api: Caller, *ids: str, driver: str = "ada") -> None:
    """Report events about a driver, and decide them."""
    for id_ in ids:
        told = await api.post(encoded(id=id_, data={**PAYMENT, "driver_id": driver, "attempt": int(id_)}))
        assert await everywhere.decide(api.engine, [told.body["event"]]) == 1


async def exported(api: Caller, id_: str = "ada") -> Any:
    answer = await api.call("GET", f"/v1/recipients/{quote(id_, safe='')}/export")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    return answer.body


async def test_all_that_is_held_is_exported_and_nobody_elses(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given somebody with a history that takes several pages, beside somebody else
    monkeypatch.setattr(export, "PAGE", 2)
    for id_ in ("ada", "bob"):
        await api.call("PUT", f"/v1/recipients/{id_}", json.dumps(ADA | {"devices": [], "tokens": []}))
    word = {"category": "offers", "channel": "sms", "granted": True, "wording": "1", "source": "app"}
    await api.call("POST", "/v1/recipients/ada/consents", json.dumps(word))
    await heed(api.engine.database, IncomingText(number=ADA["phone"], body="STOP", sid="SM1"), NOW + 1)
    await tell(api, "1", "2", "3")
    await tell(api, "4", driver="bob")

    # When it is exported
    told = await exported(api)

    # Then everything is there, once
    assert told["recipient"] == (await api.call("GET", "/v1/recipients/ada")).body
    assert [each["preferences"] for each in told["preference_history"]] == [ADA["preferences"]]
    assert told["consents"] == {"offers": {"sms": False}}
    assert [each["wording"] for each in told["consent_ledger"]] == ["STOP", "1"]
    assert [(each["channel"], each["reason"]) for each in told["suppressions"]] == [("sms", "stopped")]
    deliveries = [row for row in await api.rows(delivery) if row.recipient_id == "ada"]
    assert sorted(each["id"] for each in told["deliveries"]) == sorted(row.id for row in deliveries)
    assert len(deliveries) > 4
    assert {each["event"]["data"]["driver_id"] for each in told["deliveries"]} == {"ada"}
    assert {each["event"]["source_id"] for each in told["deliveries"]} == {"1", "2", "3"}
    assert len(told["decisions"]) == 3
    assert all(each["answers"] and each["standing"] for each in told["decisions"])


async def test_who_is_erased_is_gone_at_once_and_what_tells_of_them_within_a_minute(api: Caller) -> None:
    # Given somebody with a history
    await api.call("PUT", "/v1/recipients/ada", json.dumps(ADA))
    await tell(api, "1", "2")

    # When they are erased, twice
    for _ in range(2):
        assert (await api.call("DELETE", "/v1/recipients/ada")).status == 202

    # Then they are gone; and behind the sweeps nothing tells of them
    assert (await api.call("GET", "/v1/recipients/ada")).problem == (40401, None)
    assert (await api.call("GET", "/v1/recipients/ada/export")).problem == (40401, None)
    for _ in range(2):
        for each in api.engine.buckets:
            await sweep(each)
        api.clock.advance(ENDED)
    assert "ada" not in {row.recipient_id for table in (delivery, decision) for row in await api.rows(table)}
    assert (await api.call("GET", "/v1/ledger")).body["balanced"]
    told = [(row.actor, row.action) for row in await api.rows(audit)]
    assert told == [("test", "recipient.erase")] * 2
    assert "ada" not in {row.subject for row in await api.rows(audit)}


@pytest.mark.parametrize("id_", ["a:b", "import", "Ä€😀", "'\"\\"])
@on_sqlite
async def test_any_word_that_may_be_an_id_can_be_exported_and_erased(api: Caller, id_: str) -> None:
    await api.call("PUT", f"/v1/recipients/{quote(id_, safe='')}", b"{}")
    assert (await exported(api, id_))["id"] == id_

    assert (await api.call("DELETE", f"/v1/recipients/{quote(id_, safe='')}")).status == 202

    assert await api.rows(recipient) == []
