"""The sandbox's control API, for tests, demo and benchmarks in other processes.

GET    /sandbox/ledger                 entries after a given number: ?after=0&limit=1000&channel=push&reference=…
GET    /sandbox/summary                counts by channel: accepted, references, duplicates, refused
GET    /sandbox/references             how often each was accepted, by channel and reference
GET    /sandbox/faults                 the rules in force, with the remaining `times`
POST   /sandbox/faults                 one rule or a list of rules, added after those in force
DELETE /sandbox/faults                 remove all faults
POST   /sandbox/reset                  empty the ledger and remove all faults; tokens stay valid

Stand-ins add files that their clients need: FCM's /sandbox/service-account.json, SMTP's /sandbox/certificate.pem.
"""

from itertools import islice
from typing import Any, Final

import msgspec
from aiohttp import web

from notifier.domain.deliveries import Channel
from notifier.sandbox.answers import json_answer
from notifier.sandbox.faults import FaultRule, Faults
from notifier.sandbox.ledger import SandboxLedger

PAGE: Final = 1_000
"""Entries in an answer where the caller gives no `limit`."""
MAX_PAGE: Final = 10_000

_decode_rules: Final = msgspec.json.Decoder(FaultRule | list[FaultRule]).decode


class Api:
    """The API's handlers: they read the ledger and set the faults."""

    def __init__(self, ledger: SandboxLedger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/ledger", self._entries),
            web.get("/sandbox/summary", self._summary),
            web.get("/sandbox/references", self._references),
            web.get("/sandbox/faults", self._rules),
            web.post("/sandbox/faults", self._add_rules),
            web.delete("/sandbox/faults", self._clear_rules),
            web.post("/sandbox/reset", self._reset),
        ]

    async def _entries(self, request: web.Request) -> web.Response:
        """Answer with a page of entries; `next` is the `after` of the next page, None on the last."""
        query = request.query
        try:
            channel = Channel(query["channel"]) if "channel" in query else None
            after, limit = int(query.get("after", 0)), max(1, min(int(query.get("limit", PAGE)), MAX_PAGE))
        except ValueError as error:
            return _wrong(str(error))
        entries = self._ledger.after(after, channel)
        if "reference" in query:
            entries = (entry for entry in entries if entry.reference == query["reference"])
        page = list(islice(entries, limit))
        return json_answer({"entries": page, "next": page[-1].number if len(page) == limit else None})

    async def _summary(self, _: web.Request) -> web.Response:
        return json_answer(self._ledger.summary())

    async def _references(self, _: web.Request) -> web.Response:
        return json_answer({channel: tally.times for channel, tally in self._ledger.tallies.items()})

    async def _rules(self, _: web.Request) -> web.Response:
        return json_answer(self._faults.rules)

    async def _add_rules(self, request: web.Request) -> web.Response:
        try:
            given: Any = _decode_rules(await request.read())
        except msgspec.DecodeError as error:
            return _wrong(str(error))
        self._faults.add(*(given if isinstance(given, list) else [given]))
        return json_answer(self._faults.rules, 201)

    async def _clear_rules(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)

    async def _reset(self, _: web.Request) -> web.Response:
        self._faults.clear()
        self._ledger.clear()
        return web.Response(status=204)


def _wrong(what: str) -> web.Response:
    return json_answer({"error": what}, 400)
