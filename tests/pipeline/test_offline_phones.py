"""A phone that is off for a night: FCM keeps what it says it keeps, and what is sent besides misses nobody."""

import pytest

from notifier.channels.push.sandbox import Push
from notifier.channels.push.sandbox.storage import MOST_KEYS, MOST_PLAIN, kept
from notifier.domain.catalog import Catalog
from notifier.domain.clock import SystemClock
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.sandbox.ledger import SandboxLedger
from tests.named import EMAIL, PUSH
from tests.pipeline.samples import NOW, RECEIPT, Report
from tests.pipeline.steps import rows
from tests.samples import UNLIMITED

SESSIONS = 30  # a fleet's night: far more than FCM keeps collapse keys


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return UNLIMITED


async def test_of_a_nights_pushes_a_phone_shows_the_newest_and_the_mailbox_has_them_all(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a phone that is off while its person's sessions end, each of which they are told of by push and mail
    for number in range(SESSIONS):
        data = {**RECEIPT, "session_id": f"night-{number}", "cdr_id": f"night-{number}"}
        await decide(engine, [await report("session.receipt", **data, at=NOW)])
    for channel in (PUSH, EMAIL):
        for row in await rows(engine, channel=channel):
            await deliver(engine, channel, [row.id])

    # When it is on again
    pushes = [entry for entry in sandbox.ledger.entries if entry.channel == PUSH]
    newest = {entry.to: entry.reference for entry in pushes}
    shown = {device: [entry.reference for entry in kept(pushes, device)] for device in newest}

    # Then it shows the newest, as FCM's page has it, and everything was mailed
    assert len(pushes) == SESSIONS * len(newest)
    assert shown == {device: [reference] for device, reference in newest.items()}
    assert len([entry for entry in sandbox.ledger.entries if entry.channel == EMAIL]) == SESSIONS


def test_the_sandbox_keeps_the_newest_notification_four_keys_of_data_and_a_hundred_without_one() -> None:
    ledger = SandboxLedger(SystemClock())

    def take(reference: str, push: Push) -> None:
        ledger.accept(PUSH, "phone", reference, push, "")

    # What is shown by itself collapses, whatever key it was sent with, and so does data with one key
    take("shown", Push(title="one", collapse_key="a"))
    take("shown later", Push(title="two"))
    for number in range(MOST_KEYS):
        take(f"k{number}", Push(collapse_key=str(number)))
    take("newer", Push(collapse_key="0"))
    assert [entry.reference for entry in kept(ledger.entries, "phone")] == ["shown later", "k1", "k2", "newer"]

    # Of data without one there are a hundred, and with one more none
    for number in range(MOST_PLAIN + 1):
        assert len(kept(ledger.entries, "phone")) == MOST_KEYS + number
        take(f"p{number}", Push())
    assert len(kept(ledger.entries, "phone")) == MOST_KEYS
