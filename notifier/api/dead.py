"""Dead letters: deliveries and events that failed for good, and paused campaigns, which wait for a person. List, read,
redrive or discard them. To a key there are those within its bounds alone.

No answer holds an address or a text; `recipient` is the id that the recipient's service chose.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body, read_query
from notifier.domain.clock import to_datetime
from notifier.domain.cloudevents import TypeName
from notifier.domain.deliveries import Channel, HeldChannel
from notifier.domain.identifiers import Id
from notifier.domain.ids import FORM, is_id
from notifier.domain.keys import UNBOUND, Bounds
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.domain.text import END, WORD
from notifier.domain.twins import is_test, plain
from notifier.pipeline import dead as pipeline
from notifier.pipeline.dead import Result
from notifier.store.core.database import Database
from notifier.store.reading import dead
from notifier.store.reading.dead import DeadLetter, DeadLetterDetails, DeadLetterFilter
from notifier.why.telling import AttemptView, EventView, attempts, meaning

MOST = 1000  # dead letters on a page, and ids in a request
MAX_IDS = 64 * 1024  # bytes of a request's JSON: a thousand ids and their punctuation

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=WORD)]


class DeadLetterQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filter and page of a listing of dead letters; `cursor` is the `next` of the page before."""

    type: TypeName | None = None
    channel: Channel | None = None
    reason: Reason | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100
    cursor: Annotated[str, msgspec.Meta(max_length=49, pattern=f"^[0-9]{{1,16}}-{FORM}{END}")] | None = None

    @property
    def filter(self) -> DeadLetterFilter:
        return DeadLetterFilter(type=self.type, channel=self.channel, reason=self.reason)

    @property
    def before(self) -> tuple[int, str] | None:
        at, _, id_ = (self.cursor or "").partition("-")
        return (int(at), id_) if id_ else None


class DeadLetterSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter in a listing; `why` is its reason in words, `at` when it failed, `event` the id of its event."""

    kind: Literal["delivery", "event"]
    id: str
    type: str
    channel: HeldChannel | None
    state: str
    reason: str | None
    why: str
    at: datetime
    attempts: int
    event: str


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of dead letters, newest first; `next` is the cursor of the next page, null on the last."""

    letters: list[DeadLetterSummary]
    next: str | None


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter in full. `code` is the provider's last error code and `meaning` its explanation, `crashes` counts
    the workers that crashed while they handled it, `redriven_as` is the delivery that its redrive made."""

    kind: Literal["delivery", "event"]
    id: str
    type: str
    channel: HeldChannel | None
    recipient: str | None
    state: str
    reason: str | None
    why: str
    code: str | None
    meaning: str | None
    at: datetime
    created_at: datetime
    expires_at: datetime | None
    crashes: int
    handled_at: datetime | None
    redrive_of: str | None
    redriven_as: str | None
    attempts: list[AttemptView]
    event: EventView


class DeadLetterIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ids of the dead letters to redrive or discard."""

    ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MOST)]


class Results(msgspec.Struct, frozen=True):
    """One result for each id, in the order of the request."""

    results: list[Result]


async def get_dead(request: Request, context: ApiContext) -> Response:
    """List dead letters, newest first: deliveries that failed or bounced, and quarantined events."""
    wanted = read_query(request, DeadLetterQuery)
    return answer(await find_page(context.engine.database, wanted, request.state.key.bounds))


async def get_dead_letter(request: Request, context: ApiContext) -> Response:
    """Return a dead letter with its attempts, the meaning of its provider's codes, and its event."""
    id_ = request.path_params["id"]
    letter = await dead.get(context.engine.database, id_, request.state.key.bounds) if is_id(id_) else None
    if letter is None:
        raise problem(40401, "no dead letter has this id")
    return answer(told(letter))


async def post_redrive(request: Request, context: ApiContext) -> Response:
    """Redrive dead letters: each delivery becomes a new delivery whose time to live begins now; each event is decided
    again.

    Repeating an id returns the same result and sends nothing more. A delivered message is never sent again.
    """
    ids = await _ids(request)
    key = request.state.key
    return answer(Results(await pipeline.redrive(context.engine, ids, key.name, key.bounds)))


async def post_discard(request: Request, context: ApiContext) -> Response:
    """Discard dead letters: they keep their state in the ledger and are no longer listed."""
    ids = await _ids(request)
    key = request.state.key
    return answer(Results(await pipeline.discard(context.engine, ids, key.name, key.bounds)))


async def _ids(request: Request) -> list[str]:
    try:
        return msgspec.json.decode(await read_body(request, MAX_IDS), type=DeadLetterIds).ids
    except UNDECODABLE as error:
        raise from_decoding(42205, error) from None


async def find_page(database: Database, wanted: DeadLetterQuery, bounds: Bounds = UNBOUND) -> DeadLetterPage:
    """Return the page of dead letters that a query asks for, of those within the bounds."""
    found = await dead.find(database, wanted.filter, wanted.before, wanted.limit + 1, bounds)
    letters = found[: wanted.limit]
    cursor = f"{letters[-1].at}-{letters[-1].id}" if len(found) > len(letters) else None
    return DeadLetterPage(letters=[_line(letter) for letter in letters], next=cursor)


def _line(letter: DeadLetter) -> DeadLetterSummary:
    return DeadLetterSummary(
        kind=letter.kind, id=letter.id, type=letter.type, channel=letter.channel, state=letter.state,
        reason=letter.reason, why=pipeline.explain(letter), at=to_datetime(letter.at), attempts=letter.attempts,
        event=letter.event_id,
    )  # fmt: skip


def told(letter: DeadLetterDetails) -> DeadLetterView:
    """Return the public view of a dead letter."""
    event = EventView(
        id=letter.event_id, type=plain(letter.event_type), test=is_test(letter.event_type), source=letter.source,
        source_id=letter.source_id, subject=letter.subject, occurred_at=to_datetime(letter.occurred_at),
        accepted_at=to_datetime(letter.accepted_at),
    )  # fmt: skip
    return DeadLetterView(
        kind=letter.kind, id=letter.id, type=letter.type, channel=letter.channel, recipient=letter.recipient_id,
        state=letter.state, reason=letter.reason, why=pipeline.explain(letter), code=letter.code,
        meaning=meaning(letter.channel, letter.code), at=to_datetime(letter.at),
        created_at=to_datetime(letter.created_at), expires_at=_moment(letter.expires_at), crashes=letter.crashes,
        handled_at=_moment(letter.handled_at), redrive_of=letter.redrive_of, redriven_as=letter.redriven_as,
        attempts=attempts(letter.channel, letter.tried), event=event,
    )  # fmt: skip


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/dead",
        scope="dead:read",
        handler=get_dead,
        summary="List dead letters, newest first",
        query=DeadLetterQuery,
        gives={200: DeadLetterPage},
        problems=(42205,),
    ),
    Endpoint(
        method="GET",
        path="/v1/dead/{id}",
        scope="dead:read",
        handler=get_dead_letter,
        summary="Look at a dead letter",
        gives={200: DeadLetterView},
        problems=(40401,),
    ),
    Endpoint(
        method="POST",
        path="/v1/dead/redrive",
        scope="dead:write",
        handler=post_redrive,
        summary="Redrive dead letters",
        takes={"application/json": DeadLetterIds},
        gives={200: Results},
        problems=(42205,),
    ),
    Endpoint(
        method="POST",
        path="/v1/dead/discard",
        scope="dead:write",
        handler=post_discard,
        summary="Discard dead letters",
        takes={"application/json": DeadLetterIds},
        gives={200: Results},
        problems=(42205,),
    ),
]
