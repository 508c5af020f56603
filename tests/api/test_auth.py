"""Keys: good ones are let in, all others are told apart without a word too many, and a revoked one soon ends."""

import base64

import pytest

from notifier.api.auth import REMEMBERED, USE_NOTED
from notifier.domain.clock import SECOND
from notifier.domain.keys import split_key
from notifier.store.console import keys
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.samples import encoded

WRONG = f"ntf_{'0' * 16}_{'0' * 64}"


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode("latin-1")).decode()


async def test_a_good_key_is_let_in_by_each_of_its_schemes(api: Caller) -> None:
    for header in (f"Bearer {api.key}", f"bearer  {api.key} ", f"Token {base64_of(api.key)}", f"token {api.key}"):
        answer = await api.post(encoded(), Authorization=header)

        assert answer.status == 202, header


@pytest.mark.parametrize(
    ("header", "number"),
    [
        ("", 40101),
        ("Bearer", 40102),
        (f"Bearer {WRONG}", 40102),
        (f"Basic {base64_of('ntf:secret')}", 40101),
        ("Bearer ntf_", 40102),
        (f"Bearer {WRONG} {WRONG}", 40102),
        (f"Token {base64_of(WRONG)}", 40102),
        (f"Token {base64_of('ntf_' + chr(0) * 16 + '_' + '0' * 64)}", 40102),
        (f"Token {base64_of('é' * 85)}", 40102),
        (f"Token {'=' * 100}", 40102),
        ("Bearer " + "é" * 85, 40102),
        ("Bearer " + "x" * 8000, 40102),
    ],
)
async def test_anything_else_is_told_so_and_nothing_is_taken(api: Caller, header: str, number: int) -> None:
    answer = await api.post(encoded(), Authorization=header)

    assert answer.problem == (number, None)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert await api.rows(event) == []


async def test_a_key_with_the_secret_of_another_is_wrong(api: Caller) -> None:
    id_, secret = split_key(api.key) or ("", "")
    _, other_secret = split_key(await add_key(api.engine.database)) or ("", "")

    assert (await api.post(encoded(), Authorization=f"Bearer ntf_{id_}_{other_secret}")).problem == (40102, None)
    assert (await api.post(encoded(), Authorization=f"Bearer ntf_{id_}_{secret}")).status == 202


async def test_a_key_without_the_scope_is_told_which_one_it_lacks(api: Caller) -> None:
    reader = await add_key(api.engine.database, "recipients:read", "ledger:read")

    answer = await api.post(encoded(), Authorization=f"Bearer {reader}")

    assert answer.problem == (40301, None)
    assert "events:write" in answer.body["detail"]
    assert await api.rows(event) == []


async def test_a_revoked_key_is_let_in_for_seconds_at_most(api: Caller) -> None:
    # Given a key in use, that is then revoked by another process
    assert (await api.post(encoded(id="1"))).status == 202
    id_, _ = split_key(api.key) or ("", "")
    assert await keys.revoke(api.engine.database, id_, api.clock.now(), "ops")

    # When as long has passed as a key is remembered
    assert REMEMBERED <= 60 * SECOND
    api.clock.advance(REMEMBERED)

    # Then it is wrong, and stays so
    assert (await api.post(encoded(id="2"))).problem == (40102, None)
    assert (await api.post(encoded(id="3"))).problem == (40102, None)
    assert [row.source_id for row in await api.rows(event)] == ["1"]


async def test_a_key_that_was_revoked_before_its_first_use_is_never_let_in(api: Caller) -> None:
    key = await add_key(api.engine.database)
    assert await keys.revoke(api.engine.database, (split_key(key) or ("", ""))[0], api.clock.now(), "ops")

    assert (await api.post(encoded(), Authorization=f"Bearer {key}")).problem == (40102, None)


async def test_a_new_key_is_good_at_once_though_it_was_tried_before(api: Caller) -> None:
    # Given a caller that was refused while it had a wrong key
    assert (await api.post(encoded(), Authorization=f"Bearer {WRONG}")).status == 401

    # When it gets one, then that is good without a pause
    key = await add_key(api.engine.database, "events:write")
    assert (await api.post(encoded(), Authorization=f"Bearer {key}")).status == 202


@on_sqlite
async def test_no_answer_holds_a_key(api: Caller) -> None:
    _, secret = split_key(api.key) or ("", "")
    reader = await add_key(api.engine.database, "ledger:read")
    for key in (api.key, api.key[:-1], WRONG, reader):
        answer = await api.post(encoded(), Authorization=f"Bearer {key}")

        assert secret not in str(answer)
        assert (split_key(reader) or ("", ""))[1] not in str(answer)


async def test_a_key_that_expires_is_let_in_until_then_and_no_longer(api: Caller) -> None:
    # Given a key with a minute to live, which is in use
    key = await add_key(api.engine.database, expires_at=api.clock.now() + 60 * SECOND)
    bearer = f"Bearer {key}"
    assert (await api.post(encoded(id="1"), Authorization=bearer)).status == 202

    # When its time is up, though it was looked up a moment before
    api.clock.advance(59 * SECOND)
    assert (await api.post(encoded(id="2"), Authorization=bearer)).status == 202
    api.clock.advance(SECOND)

    # Then it is refused
    assert (await api.post(encoded(id="3"), Authorization=bearer)).problem == (40102, None)


async def test_a_key_tells_when_it_was_last_used(api: Caller) -> None:
    key = await add_key(api.engine.database)
    id_, _ = split_key(key) or ("", "")

    async def used() -> int | None:
        found = await keys.find(api.engine.database, id_)
        assert found is not None
        return found.used_at

    assert await used() is None
    assert (await api.post(encoded(id="1"), Authorization=f"Bearer {key}")).status == 202
    assert await used() == api.clock.now()

    api.clock.advance(USE_NOTED)
    assert (await api.post(encoded(id="2"), Authorization=f"Bearer {key}")).status == 202
    assert await used() == api.clock.now()


async def test_a_key_reports_only_what_it_is_bound_to(api: Caller) -> None:
    # Given keys that are bound to another source, and to another event type
    elsewhere = f"Bearer {await add_key(api.engine.database, sources=('csms/*',))}"
    another = f"Bearer {await add_key(api.engine.database, types=('charging.complete',))}"

    # Then each is told what it may not do, alone and within a batch
    assert (await api.post(encoded(), Authorization=elsewhere)).problem == (40303, "/source")
    assert (await api.post(encoded(), Authorization=another)).problem == (40303, "/type")
    batch = b"[" + encoded(id="1", source="csms/berlin") + b"," + encoded(id="2") + b"]"
    told = await api.post(batch, "application/cloudevents-batch+json", Authorization=elsewhere)
    assert [each["status"] for each in told.body["results"]] == ["accepted", "refused"]
    assert [row.source for row in await api.rows(event)] == ["csms/berlin"]


async def test_a_key_stops_only_what_it_may_report(api: Caller) -> None:
    key = await add_key(api.engine.database, types=("charging.complete",), sources=("csms/*",))

    async def cancel(body: bytes) -> tuple[int, str | None] | None:
        return (await api.call("POST", "/v1/cancel", body, Authorization=f"Bearer {key}")).problem

    assert await cancel(b'{"type":"payment-failed","about":"a1"}') == (40303, "/type")
    assert await cancel(b'{"event":{"source":"billing","id":"1"}}') == (40303, "/event/source")
    assert await cancel(b'{"event":{"source":"csms/berlin","id":"1"}}') == (40401, "/event")
    # An event of its source that it may not report is another's to stop, too
    assert (await api.post(encoded(id="1", source="csms/berlin"))).status == 202
    assert await cancel(b'{"event":{"source":"csms/berlin","id":"1"}}') == (40303, "/event")
