"""What messages achieved: `GET /v1/outcomes`, for services and for whoever makes reports of it. It names nobody."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.bounds import check_type
from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, prefers, read_query
from notifier.domain.catalog import AwaitedOutcome, Catalog, TypeId
from notifier.domain.clock import DAY, HOUR, to_datetime, to_instant
from notifier.domain.effects import first_by_hour
from notifier.domain.figures import MOST_DAYS, USUAL_DAYS, By, Figures, Span, span_of
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.why import outcomes

CSV: Final = "text/csv"


class OutcomeQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which notification `type`, of all where it is left out; decided from `since` to before `until` (RFC 3339),
    which are the last 30 days where they are left out, and told apart `by` day, hour, channel, locale or variant.

    Days count whole, by UTC. Hours are kept for three days.
    """

    type: TypeId | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    by: By | None = None

    def span(self, now: int) -> Span:
        """The hours that are asked for; Problem 42205 where there are none, too many, or no hours any more."""
        first = first_by_hour(now) * HOUR
        until = now if self.until is None else to_instant(self.until)
        usual = first if self.by == "hour" else until - USUAL_DAYS * DAY
        since = usual if self.since is None else to_instant(self.since)
        if since >= until:
            raise problem(42205, "since is not before until", "/since")
        if until - since > MOST_DAYS * DAY:
            raise problem(42205, f"at most {MOST_DAYS} days are told of at once", "/since")
        if self.by == "hour" and since < first:
            kept = f"{to_datetime(first):%Y-%m-%dT%H:%M:%SZ}"
            raise problem(42205, f"hours are kept from {kept} on; ask by day for what is older", "/since")
        return span_of(since, until, self.by)


class OutcomeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of each type and group, in order, of the hours `since` to before `until`. A type of which nothing was
    counted has none. People's choices, such as a STOP, that no message is known to have led to are of the type "", and
    their variant is a category."""

    since: datetime
    until: datetime
    by: By | None
    outcomes: list[Figures]


async def get_outcomes(request: Request, context: ApiContext) -> Response:
    """Return what messages achieved: how many were sent, delivered and opened, and of how many people the outcome came.

    It is JSON, or with `Accept: text/csv` a table of the same figures. A key that is bound to event types is told of
    what these set off. Figures are not kept by source, so one that is bound to sources is told of none.
    """
    wanted, key, engine = read_query(request, OutcomeQuery), request.state.key, context.engine
    now = engine.clock.now()
    types, span = _types(engine.catalog, key, wanted.type), wanted.span(now)
    found = await outcomes.look(engine.database, types, span, now, wanted.by, test=key.test)
    if prefers(request, CSV):
        return Response(outcomes.as_csv(found), media_type=CSV)
    since, until = (to_datetime(hour * HOUR) for hour in span)
    return answer(OutcomeFigures(since=since, until=until, by=wanted.by, outcomes=found))


def _types(catalog: Catalog, key: ApiKey, asked: str | None) -> dict[str, AwaitedOutcome | None]:
    """Return the outcomes of the types that a key asks for, and may."""
    if key.sources:
        raise problem(40303, f"the key {key.id} is bound to sources, and figures are not kept by source")
    if asked is not None:
        kind = catalog.types.get(asked)
        if kind is None:
            raise problem(42205, f"there is no notification type {asked}", "/type")
        check_type(key, kind.event)
        return {kind.id: kind.outcome}
    if not key.types:
        return outcomes.of_catalog(catalog)
    return {kind.id: kind.outcome for kind in catalog.types.values() if key.bounds.has_type(kind.event)}


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/outcomes",
        scope="deliveries:read",
        handler=get_outcomes,
        summary="Say what messages achieved",
        query=OutcomeQuery,
        gives={200: OutcomeFigures},
        tables=(CSV,),
        problems=(40303, 42205),
    ),
]
