"""The table of endpoints: path, method, scope, request and response. Routes, authentication and the OpenAPI document
are all made from this table, so that none can differ from the others."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.auth import Authenticator
from notifier.api.feeds import Feeds
from notifier.api.key_limits import KeyLimits
from notifier.api.ledger_counter import LedgerCounter
from notifier.api.map.document import MapPage
from notifier.api.page import Pages
from notifier.api.scrapes import Scrapes
from notifier.api.stations.following import Following
from notifier.api.stations.live import Live
from notifier.changes.waiting import Waiting
from notifier.domain.catalog import Catalog
from notifier.domain.channels import channels, part
from notifier.domain.cloudevents import EventReader
from notifier.domain.keys import Scope
from notifier.domain.messages import Report
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine
from notifier.pipeline.receipts import Recorded
from notifier.rendering.confined import Confined
from notifier.runtime.coalesce import Coalescer
from notifier.runtime.recent import Recent
from notifier.runtime.rotation import Rotation
from notifier.runtime.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """What handlers work with, kept in `request.app.state.context`; `body_timeout` is in seconds, and
    `readiness` raises where the process can't accept events, `confined` tries texts."""

    engine: Engine
    reader: EventReader
    intake: Intake
    reports: Coalescer[Report, Recorded]
    authenticator: Authenticator
    limits: KeyLimits
    books: LedgerCounter
    scrapes: Scrapes
    readiness: Recent[None]
    rotation: Rotation
    pages: Pages
    map: MapPage
    feeds: Feeds
    stations: Following
    live: Live
    waiting: Waiting
    confined: Confined
    body_timeout: float

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self.rotation.settings


Handler = Callable[[Request, ApiContext], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class SignatureScheme:
    """How a provider signs its requests: in a `header`. `name` and `description` are for the OpenAPI document.

    `read` returns the content of a request that one of our provider accounts signed; raises Problem 40302 for any
    other.
    """

    name: str
    header: str
    description: str
    read: Callable[[Request, ApiContext], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class TokenScheme:
    """How an app proves that it acts for a person: by a token that we issued, sent as `Authorization: Bearer`.

    `name` and `description` are for the OpenAPI document. `read` returns the token's claims; raises Problem 40103 for
    an invalid token.
    """

    name: str
    description: str
    read: Callable[[Request, ApiContext], Awaitable[Any]]


Link = Literal["unsubscribe_link", "preference_link", "click_link", "map_link"]
"""The kinds of signed links."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path. `scope` is None for public endpoints and for signed requests.

    With a `scope`, the handler finds the `ApiKey` in `request.state.key`. Where the request is `signed_by` a provider's
    scheme or an app's token, the scheme's result is in `request.state.signed`; where by a kind of link, the claims of
    the path's `token` are in `request.state.link`. `cross_origin` lets pages of other origins call the endpoint. What a
    `limited` endpoint takes counts towards the key's limits, and its answers tell them. One `of_map` answers 404 where
    the setting NOTIFIER_MAP is off.

    `query` is the type of the query parameters, `headers` the type of headers beyond HTTP's own; `takes` maps media
    types to the type of the request body, `gives` maps statuses to the type of the response (a tuple for one of
    several, None for no JSON body), and `tables` are media types that a caller may prefer for it; `examples` returns
    the examples of a body of a media type, by name; `problems` lists the problem numbers of this endpoint beside those
    that every endpoint shares.
    """

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    summary: str
    query: type[msgspec.Struct] | None = None
    headers: type[msgspec.Struct] | None = None
    takes: Mapping[str, Any] = field(default_factory=dict)
    gives: Mapping[int, Any] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    examples: Callable[[Catalog, str], Mapping[str, Any]] | None = None
    problems: tuple[int, ...] = ()
    signed_by: SignatureScheme | TokenScheme | Link | None = None
    cross_origin: bool = False
    limited: bool = False
    of_map: bool = False


def of_channels() -> list[Endpoint]:
    """Return the endpoints that the channels' folders add (`api.py`, ENDPOINTS)."""
    return [endpoint for channel in channels() for endpoint in part(channel, "api", "ENDPOINTS") or ()]
