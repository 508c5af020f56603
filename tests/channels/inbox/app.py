"""An app that shows one person's inbox, and what the network tells them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from notifier.domain.deliveries import Channel, State
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.providers.opening import RowAlone
from notifier.store.core.schema import event
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests.api.server import Answer, Caller
from tests.samples import NOW

INBOX: Final = Channel("inbox")
ADA: Final = RecipientDetails(name="Ada", locale="de-AT", time_zone="Europe/Vienna", tokens=["AT-ADA"])


def completed(session: str) -> dict[str, Any]:
    """The data of a session that is complete."""
    return {
        "session_id": session, "kind": "full", "station": f"Station {session}", "energy_kwh": 41.12,
        "completed_at": "2026-03-09T17:40:00Z",
    }  # fmt: skip


@dataclass
class App:
    """Calls the inbox's endpoints with a token of `who`, and tells people things by events."""

    api: Caller
    who: str = "ada"
    token: str = field(default="", repr=False)
    reported: int = 0

    @property
    def engine(self) -> WorkerEngine:
        """The application's, as a worker's that sends by this channel alone."""
        return replace(self.api.engine, transports={INBOX: RowAlone(INBOX)})

    async def sign_in(self) -> None:
        """Have a token made, as the network's own service does."""
        made = await self.api.call("POST", f"/v1/recipients/{self.who}/inbox-token")
        assert made.status == 200, made.body
        self.token = made.body["token"]

    async def call(self, method: str, path: str = "", body: Any = None, **headers: str) -> Answer:
        """One request of the app."""
        sent = {"Authorization": f"Bearer {self.token}"} | headers
        return await self.api.call(method, f"/v1/inbox{path}", None if body is None else json.dumps(body), **sent)

    async def items(self, query: str = "") -> list[Any]:
        """What the list shows."""
        answer = await self.call("GET", query)
        assert answer.status == 200, answer.body
        found: list[Any] = answer.body["items"]
        return found

    async def ids(self, query: str = "") -> list[str]:
        return [each["id"] for each in await self.items(query)]

    async def unread(self) -> tuple[int, int, bool]:
        """How many are unread, unseen, and whether there are more."""
        told = (await self.call("GET", "/unread")).body
        return told["unread"], told["unseen"], told["more"]

    async def report(self, type_: str, **data: Any) -> str:
        """Report an event about this person; its id."""
        self.reported += 1
        name = f"{self.who}-{self.reported}"
        told = {"specversion": "1.0", "id": name, "source": "test", "type": type_}
        answer = await self.api.post(json.dumps({**told, "data": {"driver_id": self.who, **data}}))
        assert answer.status == 202, answer.body
        return next(str(row.id) for row in await self.api.rows(event) if row.source_id == name)

    async def tell(self, type_: str, **data: Any) -> str:
        """Report an event a moment later, decide it, and send what goes to the inbox; the event's id."""
        self.api.clock.advance(1)
        id_ = await self.report(type_, **data)
        await decide(self.engine, [id_])
        await self.send()
        return id_

    async def complete(self, *sessions: str) -> None:
        """Sessions of theirs are complete, one after the other."""
        for each in sessions:
            await self.tell("charging.complete", **completed(each))

    async def send(self, channels: Sequence[Channel] = (INBOX,)) -> None:
        """What is due goes out."""
        for channel in channels:
            due = [row.id for row in await self.rows(channel=channel) if row.state == State.PENDING]
            await deliver(self.engine, channel, due)

    async def rows(self, **where: Any) -> list[Any]:
        """Deliveries of which this is so, oldest first."""
        found = [
            row for row in await self.api.rows(delivery)
            if all(getattr(row, name) == value for name, value in where.items())
        ]  # fmt: skip
        return sorted(found, key=lambda row: (row.created_at, row.id))


async def app_of(api: Caller, who: str = "ada", details: RecipientDetails = ADA) -> App:
    """The app of somebody who is known here, with a good token."""
    await recipients.put(api.engine.database, {who: details}, NOW)
    app = App(api, who)
    await app.sign_in()
    return app
