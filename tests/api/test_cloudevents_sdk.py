"""Events that CloudEvents' own SDK makes, which nobody here wrote, are taken as it puts them on the wire."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent as FormerEvent

from notifier.store.core.schema import event
from tests.api.server import Answer, Caller
from tests.samples import EVENT, NOW

ATTRIBUTES = {
    "id": "Zähler 7, \"Süd\" 50 %", "source": "/billing/münchen", "type": "payment.failed", "subject": "A-1 €",
    "specversion": "1.0", "datacontenttype": "application/json",
}  # fmt: skip
TIME = datetime(2026, 3, 9, 17, 39, tzinfo=UTC)


async def send(api: Caller, headers: dict[str, str], body: bytes) -> Answer:
    return await api.call("POST", "/v1/events", body, **headers)


@pytest.mark.parametrize("data", [EVENT["data"], json.dumps(EVENT["data"]).encode()], ids=["members", "bytes"])
@pytest.mark.parametrize("wire", [to_structured_event, to_binary_event])
async def test_an_event_of_the_sdk_stands_in_the_store_as_it_was_made(
    api: Caller, wire: Callable[[BaseCloudEvent], HTTPMessage], data: dict[str, object] | bytes
) -> None:
    # Given an event with what headers can't hold as it is; bytes are Base64 in the structured mode
    made = wire(CloudEvent({**ATTRIBUTES, "time": TIME}, data))
    assert (b"data_base64" in made.body) == (wire is to_structured_event and isinstance(data, bytes))

    # When it is sent as the SDK says
    answer = await send(api, dict(made.headers), made.body)

    # Then it is taken, and nothing of it is changed
    assert answer.status == 202, answer.body
    (row,) = await api.rows(event)
    assert {name: getattr(row, column) for name, column in KEPT.items()} == {name: ATTRIBUTES[name] for name in KEPT}
    assert (row.occurred_at, json.loads(row.data)) == (NOW - 60_000, EVENT["data"])


KEPT = {"id": "source_id", "source": "source", "type": "type", "subject": "subject"}


@pytest.mark.parametrize("wire", [to_structured_event, to_binary_event])
async def test_the_same_event_in_each_of_the_sdks_forms_is_one_event(
    api: Caller, wire: Callable[[BaseCloudEvent], HTTPMessage]
) -> None:
    first = to_structured_event(CloudEvent({**ATTRIBUTES, "time": TIME}, EVENT["data"]))
    again = wire(CloudEvent({**ATTRIBUTES, "time": TIME}, json.dumps(EVENT["data"]).encode()))

    answers = [await send(api, dict(each.headers), each.body) for each in (first, again)]

    assert [each.status for each in answers] == [202, 202]
    assert len(await api.rows(event)) == 1


@pytest.mark.parametrize("wire", [to_structured, to_binary])
async def test_an_event_by_the_sdks_former_interface_is_taken(
    api: Caller, wire: Callable[[FormerEvent], tuple[dict[str, str], bytes]]
) -> None:
    # The interface of the SDK's first version, which most services use: `data` may be bytes there, too
    plain = {**ATTRIBUTES, "id": "attempt-7", "source": "billing", "subject": "A-1"}
    for number, data in enumerate([EVENT["data"], json.dumps(EVENT["data"]).encode()]):
        headers, body = wire(FormerEvent({**plain, "id": f"attempt-{number}"}, data))

        answer = await send(api, headers, body)

        assert answer.status == 202, answer.body
    assert [json.loads(row.data) for row in await api.rows(event)] == [EVENT["data"], EVENT["data"]]
