"""Scenario of a service that subscribes to what becomes of deliveries and is away while they go out."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any, Final

import msgspec
from aiohttp import ClientSession, web

from notifier.chaos import load
from notifier.chaos.bed import Bed, make_bed, until
from notifier.chaos.options import Options
from notifier.chaos.outcome import Observation, ScenarioOutcome, demands, look
from notifier.chaos.proxy import HOST
from notifier.demo.local import LocalSystem
from notifier.domain.deliveries import MOVES, State
from notifier.store.console import subscriptions

NAME: Final = "subscriber"
RATE: Final = 20  # events a second, each with three deliveries
CAUGHT_UP: Final = 300  # seconds for an endpoint that is back to be told all that it missed
REACHABLE: Final = {"webhook_nets": f"{HOST}/32"}
"""The settings by which an endpoint of this machine may be called."""
LARGEST: Final = 1024 * 1024  # bytes of a body that the endpoint takes: four times what it is sent at most


class Endpoint:
    """The service's endpoint: it keeps what it is told while it is there, and fails while it is away."""

    def __init__(self) -> None:
        self.url = ""
        self.is_away = False
        self.told: list[Any] = []
        self.failures = 0

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.is_away:
            self.failures += 1
            return web.Response(status=503)
        self.told += msgspec.json.decode(body)["data"]["changes"]
        return web.Response(status=204)


async def subscriber_away(options: Options) -> ScenarioOutcome:
    """Let a subscribed service be away under load; then it is told all that it missed, in order."""
    seconds = 10 if options.short else 600
    async with serving() as endpoint, make_bed(options, settings=REACHABLE) as bed:
        await subscribe(bed.system, bed.session, endpoint.url)
        accepted = await load.report(bed.producer, load.numbered(load.payment, count=RATE * 5), RATE)
        endpoint.is_away = True
        away = load.numbered(load.payment, RATE * 5, RATE * seconds)
        accepted += await load.report(bed.producer, away, RATE)
        endpoint.is_away = False
        await _resume(bed)
        seen = await look(bed, accepted, each=3)
        began = asyncio.get_running_loop().time()
        await until(partial(_is_caught_up, bed, endpoint, seen), CAUGHT_UP)
        caught_up = asyncio.get_running_loop().time() - began
    told = _by_delivery(endpoint.told)
    last = {id_: row.state for id_, row in seen.ledger.deliveries.items()}
    return ScenarioOutcome(
        seen.figures
        | {
            "changes": len(endpoint.told), "twice": len(endpoint.told) - len({each["id"] for each in endpoint.told}),
            "failures": endpoint.failures, "caught_up_s": round(caught_up, 1),
        },
        demands(seen.findings)
        | {
            "the endpoint was asked while it was away": endpoint.failures > 0,
            "every delivery's last state is told": {id_: states[-1] for id_, states in told.items()} == last,
            "of each delivery the changes come in order": all(map(_is_forward, told.values())),
        },
    )  # fmt: skip


@asynccontextmanager
async def serving() -> AsyncIterator[Endpoint]:
    """An endpoint of this process."""
    endpoint = Endpoint()
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/", endpoint.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        endpoint.url = f"http://{HOST}:{runner.addresses[0][1]}/"
        yield endpoint
    finally:
        await runner.cleanup()


async def subscribe(system: LocalSystem, session: ClientSession, url: str) -> None:
    """Have an endpoint told of all changes."""
    await _call(system, session, "PUT", "", {"url": url})


async def _resume(bed: Bed) -> None:
    """Have the endpoint asked at once: an hour may lie between two tries."""
    await _call(bed.system, bed.session, "POST", "/resume", None)


async def _call(system: LocalSystem, session: ClientSession, method: str, action: str, body: Any) -> None:
    url = f"{system.settings.public_url}/v1/subscriptions/{NAME}{action}"
    headers = {"Authorization": f"Bearer {system.key}"}
    async with session.request(method, url, json=body, headers=headers) as response:
        response.raise_for_status()


async def _is_caught_up(bed: Bed, endpoint: Endpoint, seen: Observation) -> bool:
    known = {each["delivery"] for each in endpoint.told}
    held = await subscriptions.get(bed.system.database, NAME)
    return held is not None and held.failures == 0 and known >= seen.ledger.deliveries.keys()


def _by_delivery(told: Sequence[Any]) -> dict[str, list[str]]:
    """The states of each delivery in the order in which they were told, what was told twice once."""
    once = {each["id"]: each for each in told}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in once.values():
        found[each["delivery"]].append(each["state"])
    return dict(found)


def _is_forward(states: Sequence[str]) -> bool:
    """Whether each state may follow the one before, directly or by way of a retry."""
    pairs = pairwise(states)
    return all(State(later) in MOVES[State(state)] or State.PENDING in MOVES[State(state)] for state, later in pairs)
