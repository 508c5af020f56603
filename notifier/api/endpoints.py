"""The table of endpoints: path, method, scope, what goes in and what comes out. Routes, authentication and the OpenAPI
document are all made from it, so that none can differ from the others."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.auth import Authenticator
from notifier.api.bounds import Rates
from notifier.api.feeds import Feeds
from notifier.api.ledger_counter import LedgerCounter
from notifier.api.page import Pages
from notifier.domain.catalog import Catalog
from notifier.domain.channels import channels, part
from notifier.domain.cloudevents import EventReader
from notifier.domain.keys import Scope
from notifier.domain.messages import Report
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine
from notifier.pipeline.receipts import Recorded
from notifier.runtime.coalesce import Coalescer
from notifier.runtime.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """What endpoints work with, in `request.app.state.context`; `body_timeout` is in seconds."""

    engine: Engine
    reader: EventReader
    intake: Intake
    reports: Coalescer[Report, Recorded]
    authenticator: Authenticator
    rates: Rates
    books: LedgerCounter
    settings: Settings
    pages: Pages
    feeds: Feeds
    body_timeout: float


Handler = Callable[[Request, ApiContext], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class SignatureScheme:
    """How a provider signs its requests: in a `header`, as the OpenAPI document tells it by `name` and `description`.

    `read` gives what a request says that an account of ours has signed; it raises Problem 40302 for any other.
    """

    name: str
    header: str
    description: str
    read: Callable[[Request, ApiContext], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class TokenScheme:
    """How an app shows that it speaks for a person: by a token of ours, sent as `Authorization: Bearer`.

    `name` and `description` tell it in the OpenAPI document. `read` gives what the token says; it raises Problem 40103
    for one that isn't good.
    """

    name: str
    description: str
    read: Callable[[Request, ApiContext], Awaitable[Any]]


Link = Literal["unsubscribe_link", "preference_link"]
"""The kinds of link that we sign."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path. `scope` is None for what anybody may read, and for what is signed.

    Where it isn't, the handler finds the `ApiKey` in `request.state.key`; where it is `signed_by` a provider's
    scheme or an app's token, what that has read is in `request.state.signed`; where by a kind of link, what the path's
    `token` says in `request.state.link`. `cross_origin` lets pages of other origins call it.

    `query` is the type of the parameters after the `?`, `headers` that of headers beside those that HTTP has; `takes`
    maps media types to the type of the body, `gives` statuses to the type of the answer (a tuple where it may be one of
    several, None for no JSON body); `examples` tells those of a body of a media type, by their names; `problems` lists
    the numbers that it may answer beside those that every endpoint shares.
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
    examples: Callable[[Catalog, str], Mapping[str, Any]] | None = None
    problems: tuple[int, ...] = ()
    signed_by: SignatureScheme | TokenScheme | Link | None = None
    cross_origin: bool = False


def of_channels() -> list[Endpoint]:
    """What the channels' folders add (`api.py`, ENDPOINTS)."""
    return [endpoint for channel in channels() for endpoint in part(channel, "api", "ENDPOINTS") or ()]
