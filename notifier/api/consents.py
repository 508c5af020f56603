"""Consent endpoints: what a person agrees to now, and the ledger of every grant and withdrawal."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body, read_query
from notifier.api.preferences import LatestQuery
from notifier.api.recipients import recipient_id
from notifier.domain.clock import to_datetime
from notifier.domain.consent import Consent
from notifier.domain.problems import UNDECODABLE, problem
from notifier.people.export import ConsentRecord
from notifier.people.importing import MAX_LINE, to_problem
from notifier.store.people import consents
from notifier.store.people.consents import ConsentEntry


class Consents(msgspec.Struct, frozen=True, kw_only=True):
    """A person's consent now, by category and channel, and the ledger's latest entries, newest first."""

    consents: dict[str, dict[str, bool]]
    ledger: list[ConsentRecord]


async def get_consents(request: Request, context: ApiContext) -> Response:
    """Return what a person agrees to now, and the latest entries of their consent ledger."""
    id_, wanted = recipient_id(request), read_query(request, LatestQuery)
    found = await consents.get(context.engine.database, id_, wanted.limit)
    if found is None:
        raise problem(40401, "there is no recipient with this id")
    agreed, ledger = found
    return answer({"consents": agreed, "ledger": [told(entry) for entry in ledger]})


async def post_consent(request: Request, context: ApiContext) -> Response:
    """Append a consent or its withdrawal to the ledger. Entries of the ledger never change."""
    id_ = recipient_id(request)
    try:
        word = msgspec.json.decode(await read_body(request, MAX_LINE), type=Consent).checked()
    except (*UNDECODABLE, ValueError) as error:
        raise to_problem(error) from None
    engine, actor = context.engine, request.state.key.name
    entry = await consents.add(engine.database, id_, word, actor, engine.clock.now())
    if entry is None:
        raise problem(40401, "there is no recipient with this id")
    return answer(told(entry), 201)


def told(entry: ConsentEntry) -> ConsentRecord:
    """Return the public view of an entry of the consent ledger."""
    return ConsentRecord(**msgspec.structs.asdict(entry) | {"at": to_datetime(entry.at)})


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/recipients/{id}/consents",
        scope="recipients:read",
        handler=get_consents,
        summary="Read what a person agrees to",
        query=LatestQuery,
        gives={200: Consents},
        problems=(40401, 42203, 42205),
    ),
    Endpoint(
        method="POST",
        path="/v1/recipients/{id}/consents",
        scope="recipients:write",
        handler=post_consent,
        summary="Append a consent, or that it is taken back",
        takes={"application/json": Consent},
        gives={201: ConsentRecord},
        problems=(40401, 42203),
    ),
]
