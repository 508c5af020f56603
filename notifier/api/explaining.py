"""Why, why not, and what if: `GET /v1/explain`, `POST /v1/simulate` and `GET /v1/replay`.

The first two answer with personal data: facts about recipients and the text of their messages. None of that is logged.
"""

from datetime import date, datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.bounds import check_type
from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body, read_query
from notifier.api.naming import EventNames
from notifier.domain.clock import DAY, to_instant
from notifier.domain.identifiers import Id
from notifier.domain.ids import first_id
from notifier.domain.keys import Bounds
from notifier.domain.preferences import Key
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.store.core.database import Database
from notifier.store.reading import explaining
from notifier.store.reading.explaining import ExplanationQuery
from notifier.texts import publishing
from notifier.why import replaying
from notifier.why.explain import Explanation, explain
from notifier.why.replaying import Differences
from notifier.why.simulate import Simulation, Trial, simulate

MOST = 200  # decisions on a page, each with its rules and its messages
YEARS = range(2000, 2100)  # of days that can be decided again: nothing was decided before
EARLIEST = 7 * DAY  # milliseconds before a day in which events may have been accepted that were decided on it
MAX_TRIAL = 128 * 1024  # bytes: an event of the largest size, and a recipient


DecisionCursor = Annotated[str, msgspec.Meta(min_length=2, max_length=400, pattern="^[^/]+/")]
"""The type and the recipient of the last decision of a page."""


class Asked(EventNames, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to explain: an event, by our id or by its `source` and the `id` given there, or a delivery; for one
    `recipient` or for all. `cursor` is the `next` of the page before."""

    delivery: Id | None = None
    recipient: Key | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 50
    cursor: DecisionCursor | None = None

    async def wanted(self, database: Database, bounds: Bounds) -> ExplanationQuery:
        """Return what to read from the store; raises Problem 42205 unless the event is named in exactly one way."""
        if self.names + (self.delivery is not None) != 1:
            raise problem(42205, "give id, source and id, or delivery to name an event", "/event")
        if self.delivery is not None and self.recipient is not None:
            raise problem(42205, "recipient can't be combined with delivery, which has one", "/recipient")
        return ExplanationQuery(
            event=await self.find(database, bounds), delivery=self.delivery, recipient=self.recipient,
            limit=self.limit, after=last_of(self.cursor), bounds=bounds,
        )  # fmt: skip


class ReplayQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which day to decide again, by the clocks of a `time_zone`; `cursor` is the `next` of the page before."""

    day: date
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "UTC"
    cursor: Id | None = None

    def begins(self) -> int:
        """Return the instant at which the day begins; raises Problem 42205 where there is no such day or zone."""
        if self.day.year not in YEARS:
            raise problem(42205, f"the year is from {YEARS[0]} to {YEARS[-1]}", "/day")
        try:
            return to_instant(datetime.combine(self.day, time(), ZoneInfo(self.time_zone)))
        except (ValueError, LookupError, OSError):
            raise problem(42205, "write an IANA zone such as Europe/Berlin", "/time_zone") from None


class ReplayPage(Differences, frozen=True, kw_only=True):
    """What would differ of the events on this page; `next` is the cursor of the next page, null on the last."""

    next: str | None


def last_of(cursor: str | None) -> tuple[str, str]:
    """The type and the recipient after which a page of decisions begins."""
    type_, _, last = (cursor or "").partition("/")
    return type_, last


async def get_explain(request: Request, context: ApiContext) -> Response:
    """Explain what became of an event and why: every decision with each rule's answer in words, every delivery with its
    attempts, its content as sent, and how it ended.

    For somebody who was not notified it says why, even where the event never named them.
    """
    engine = context.engine
    wanted = await read_query(request, Asked).wanted(engine.database, request.state.key.bounds)
    found = await explaining.read(engine.database, wanted)
    if found is None:
        raise problem(40401, "there is no such event or delivery")
    sent = found.sent.values()
    await publishing.have_all(engine.database, engine.renderer, ((each.type, each.version) for each in sent))
    return answer(explain(engine.catalog, engine.renderer, engine.links, found))


async def post_simulate(request: Request, context: ApiContext) -> Response:
    """Simulate an event: who would be notified, how, and with what text. The code that decides real events decides, at
    any moment, for a real or a hypothetical recipient. Nothing is written and nothing is sent.
    """
    try:
        trial = msgspec.json.decode(await read_body(request, MAX_TRIAL), type=Trial)
    except UNDECODABLE as error:
        raise from_decoding(42205, error) from None
    check_type(request.state.key, trial.event.type, "/event/type")
    engine = context.engine
    told = await simulate(
        engine.database, engine.catalog, context.reader, engine.renderer, trial, engine.clock.now(),
        engine.experiments.running,
    )  # fmt: skip
    return answer(told)


async def get_replay(request: Request, context: ApiContext) -> Response:
    """Decide the events of a past day again, by the types and rules that are in force now, and say how many answers
    would differ. Nothing is written and nothing is sent.

    A page looks at a thousand events; the counts of all pages are to be added up. Events that were accepted more than a
    week before they were decided are left out.
    """
    asked = read_query(request, ReplayQuery)
    if request.state.key.bounds.narrow:
        raise problem(40303, "a day is everybody's: a key that is bound to sources or event types can't replay it")
    engine = context.engine
    begins = asked.begins()
    after = asked.cursor or first_id(begins - EARLIEST)
    told, last = await replaying.replay_page(engine.database, engine.catalog, begins, after)
    return answer(ReplayPage(**msgspec.structs.asdict(told), next=last))


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/replay",
        scope="explain:read",
        handler=get_replay,
        summary="Decide a past day's events again, without doing it",
        query=ReplayQuery,
        gives={200: ReplayPage},
        problems=(40303, 42205),
    ),
    Endpoint(
        method="GET",
        path="/v1/explain",
        scope="explain:read",
        handler=get_explain,
        summary="Explain what happened to an event, and why",
        query=Asked,
        gives={200: Explanation},
        problems=(40401, 42205),
    ),
    Endpoint(
        method="POST",
        path="/v1/simulate",
        scope="explain:read",
        handler=post_simulate,
        summary="Say what an event would do, without doing it",
        takes={"application/json": Trial},
        gives={200: Simulation},
        problems=(40303, 42201, 42202, 42205),
    ),
]
