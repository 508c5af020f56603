"""Test contacts with an address of one channel alone: entered by its members, kept for tests, and shown nowhere."""

from collections.abc import AsyncIterator

import pytest

from notifier.channels.webhook.sandbox import SECRET, endpoint_url
from notifier.console import contact_form
from notifier.domain.channels import specs
from notifier.domain.clock import SystemClock
from notifier.runtime.settings import Settings
from notifier.sandbox import Sandbox
from notifier.store.console import contacts
from notifier.store.core.database import Database
from tests.channels.webhook.samples import OLD_SECRET, WEBHOOK
from tests.console.conftest import Enter, Visitor, opened, signed_in
from tests.console.words import hidden, says
from tests.samples import NOW

TYPE = "station-offline"
URL = "https://hooks.example/in"
FIELDS = {"webhook.url": URL, "webhook.secret": SECRET}


@pytest.fixture
async def desk(database: Database, valkey: str) -> AsyncIterator[Enter]:
    """The console of a network whose own machine may be written to."""
    async with opened(database, valkey, Settings(channels={"webhook_nets": "127.0.0.0/8"})) as enter:
        yield enter


async def publisher(desk: Enter) -> Visitor:
    visitor = await signed_in(desk, "publisher")
    await visitor.get("/contacts")
    return visitor


async def held(visitor: Visitor) -> object:
    found = await contacts.find(visitor.engine.database, "mia")
    return None if found is None else found.own.get("webhook")


async def test_an_endpoint_is_kept_and_a_test_goes_to_it(desk: Enter) -> None:
    visitor = desk()
    visitor.clock.advance(SystemClock().now() - NOW)  # which a receiver compares a signature's time with
    await visitor.sign_in("publisher")
    await visitor.get("/contacts")
    async with Sandbox() as sandbox:
        # Given a contact with an endpoint
        fields = {"webhook.url": endpoint_url(sandbox.http_url, "standard", "mia"), "webhook.secret": SECRET}
        assert (await visitor.post("/contacts", name="mia", **fields)).status == 303
        assert "webhook" in (await visitor.get("/contacts")).body.partition("<tbody>")[2].partition("</tbody>")[0]

        # When a test of a webhook's text is sent
        page = (await visitor.get(f"/types/{TYPE}/edit?locale=en&channel=webhook")).body
        assert ">mia<" in page
        texts = {"title": "{{ station }} is offline", "text": "{{ site }}"}
        answer = await visitor.post(f"/types/{TYPE}/test", **hidden(page), **texts, contact="mia")

        # Then the endpoint has it, signed
        assert "Sent to mia" in says(answer), says(answer)
        (entry,) = list(sandbox.ledger.latest(WEBHOOK))
        assert entry.verdict == "accepted"


async def test_a_member_that_is_left_empty_stays_as_it_is(desk: Enter) -> None:
    visitor = await publisher(desk)
    await visitor.post("/contacts", name="mia", phone="+49 151 12345678", **FIELDS)

    await visitor.post("/contacts", name="mia", **{"webhook.url": "https://moved.example/in"})
    await visitor.post("/contacts", name="mia", email="mia@example.com")

    assert await held(visitor) == {"url": "https://moved.example/in", "secret": SECRET}
    found = await contacts.find(visitor.engine.database, "mia")
    assert found is not None
    assert (found.phone, found.email) == ("+4915112345678", "mia@example.com")


@pytest.mark.parametrize(
    ("fields", "place", "why"),
    [
        ({**FIELDS, "webhook.url": "https://169.254.169.254/"}, "webhook.url", "url"),
        ({"webhook.url": URL}, "webhook.secret", "secret is needed"),
        ({"webhook.secret": SECRET}, "webhook.url", "url"),
        ({**FIELDS, "webhook.secret": "canary-secret"}, "webhook.secret", "secret"),
        ({**FIELDS, "webhook.format": "fax"}, "webhook.format", "fax"),
    ],
)
async def test_a_fault_is_told_at_its_field_and_no_secret_is_written_into_the_page(
    desk: Enter, fields: dict[str, str], place: str, why: str
) -> None:
    visitor = await publisher(desk)

    answer = await visitor.post("/contacts", name="mia", **fields)

    assert answer.status == 422
    fault = answer.body.partition(f'id="{place}-fault">')[2].partition("</p>")[0]
    assert fault
    assert f'aria-describedby="{place}-fault"' in answer.body
    assert SECRET not in answer.body
    assert "canary-secret" not in answer.body
    assert await held(visitor) is None


async def test_nobody_is_shown_an_address(desk: Enter) -> None:
    visitor = await publisher(desk)
    await visitor.post("/contacts", name="mia", **FIELDS, **{"webhook.previous_secret": OLD_SECRET})

    page = await visitor.get("/contacts")

    for secret in (URL, SECRET, OLD_SECRET):
        assert secret not in page.body
    assert SECRET not in repr(await contacts.find(visitor.engine.database, "mia"))


def test_every_address_of_one_channel_alone_has_its_fields() -> None:
    own = [spec for spec in specs().values() if spec.own_address is not None]

    assert set(contact_form.own_fields()) == {spec.words("en").name for spec in own}
    for spec in own:
        assert {f"{spec.channel}.{name}" for name in spec.own_address.__struct_fields__} <= set(contact_form.names())  # type: ignore[union-attr]
