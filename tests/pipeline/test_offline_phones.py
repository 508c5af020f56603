"""A phone that is off for a night: FCM keeps what it says it keeps, and the person misses nothing."""

from notifier.clock import SystemClock
from notifier.deliveries import Channel
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.sandbox.fcm_storage import MOST_KEYS, MOST_PLAIN, kept
from notifier.sandbox.ledger import Ledger, Push
from tests.pipeline.samples import COMPLETE, NOW, Report
from tests.pipeline.steps import rows

SESSIONS = 30  # a fleet's night: far more than FCM keeps collapse keys


async def test_a_nights_pushes_are_all_there_when_the_phone_is_on_again(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a phone that is off while its person's sessions end, each of which they are told of
    for number in range(SESSIONS):
        data = {**COMPLETE, "session_id": f"night-{number}"}
        await decide(engine, [await report("charging.complete", **data, at=NOW)])
    pushes = [row.id for row in await rows(engine, channel=Channel.PUSH)]
    await deliver(engine, Channel.PUSH, pushes)

    # When it is on again
    devices = {entry.to for entry in sandbox.ledger.entries if entry.channel == Channel.PUSH}
    told = [entry.reference for device in devices for entry in kept(sandbox.ledger.entries, device)]

    # Then nothing that was sent is missing
    assert sorted(told) == sorted(pushes)
    assert len(pushes) == SESSIONS * len(devices)


def test_the_sandbox_keeps_four_collapse_keys_and_a_hundred_plain_messages() -> None:
    ledger = Ledger(SystemClock())
    for number in range(MOST_KEYS + 2):
        ledger.accept(Channel.PUSH, "phone", f"k{number}", Push(collapse_key=str(number)), "")
    ledger.accept(Channel.PUSH, "phone", "newer", Push(collapse_key="0"), "")
    for number in range(MOST_PLAIN + 1):
        assert len(kept(ledger.entries, "phone")) == MOST_KEYS + number
        ledger.accept(Channel.PUSH, "phone", f"p{number}", Push(), "")

    # The newest of a key is kept, no fifth key, and with one plain message too many none of them
    assert [entry.reference for entry in kept(ledger.entries, "phone")] == ["k1", "k2", "k3", "newer"]
