"""Messages to the driver of `conftest`, and what providers tell of them later."""

from typing import Any

import sqlalchemy as sa

from notifier.domain.deliveries import Channel, Reason, State
from notifier.domain.messages import Report
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.receipts import Recorded, record
from notifier.store.core.schema import suppression
from notifier.store.core.status import rendered as delivery
from tests.named import EMAIL, SMS
from tests.pipeline.samples import COMPLETE, RECEIPT
from tests.pipeline.samples import Report as Tell

PHONE = "+4915123456789"
MAILBOX = "ada@example.com"
MOVED, NOTHING = Recorded(moved=True), Recorded()


async def row(engine: WorkerEngine, id_: str) -> Any:
    """A delivery as it is now."""
    async with engine.database.engine.connect() as connection:
        return (await connection.execute(sa.select(delivery).where(delivery.c.id == id_))).one()


async def decided(engine: WorkerEngine, event: str, channel: Channel) -> str:
    """The id of an event's delivery on a channel, once it is decided."""
    await decide(engine, [event])
    query = sa.select(delivery.c.id).where(delivery.c.event_id == event, delivery.c.channel == channel)
    async with engine.database.engine.connect() as connection:
        id_: str = (await connection.execute(query)).scalar_one()
        return id_


async def suppressed(engine: WorkerEngine) -> list[str]:
    """Why addresses are suppressed."""
    async with engine.database.engine.connect() as connection:
        return list((await connection.execute(sa.select(suppression.c.reason))).scalars())


async def text(engine: WorkerEngine, tell: Tell, number: int = 1, *, sent: bool = True) -> Any:
    """The delivery of one more text to the driver."""
    event = await tell("charging.complete", **{**COMPLETE, "session_id": str(number)})
    id_ = await decided(engine, event, SMS)
    if sent:
        await deliver(engine, SMS, [id_])
    return await row(engine, id_)


async def mail(engine: WorkerEngine, tell: Tell, number: int = 1) -> Any:
    """The delivery of one more mail to the driver."""
    event = await tell("session.receipt", **{**RECEIPT, "cdr_id": str(number)})
    id_ = await decided(engine, event, EMAIL)
    await deliver(engine, EMAIL, [id_])
    return await row(engine, id_)


def told(id_: str, state: State = State.DELIVERED, **more: Any) -> Report:
    """What Twilio tells of a text."""
    return Report(**{"delivery": id_, "channel": SMS, "provider": "twilio", "state": state, **more})


def gone(id_: str, *addresses: str, suppress: Reason = Reason.BAD_NUMBER, **more: Any) -> Report:
    """The report that an address is no more."""
    more = {"reason": "address_gone", "code": "30005", "addresses": addresses, "suppress": suppress, **more}
    return told(id_, State.UNDELIVERED, **more)


def bounced(id_: str, *addresses: str) -> Report:
    """A bounce that names these mailboxes."""
    return gone(id_, *addresses, suppress=Reason.BOUNCED, channel=EMAIL, provider=None, code="5.1.1")


async def tell_one(engine: WorkerEngine, report: Report) -> Recorded:
    """What one report does."""
    (recorded,) = await record(engine.database, [report], engine.clock.now())
    return recorded
