"""The table of endpoints: path, method, scope, what goes in and what comes out. Routes, authentication and the OpenAPI
document are all made from it, so that none can differ from the others."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from notifier.api.auth import Authenticator
from notifier.cloudevents import Reader
from notifier.keys import Scope
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Context:
    """What endpoints work with, in `request.app.state.context`. `body_timeout` in seconds."""

    engine: Engine
    reader: Reader
    intake: Intake
    authenticator: Authenticator
    body_timeout: float


Handler = Callable[[Request, Context], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path. `scope` is None only for what anybody may read.

    `takes` maps media types to the type of the body, `gives` statuses to the type of the answer (a tuple where it may
    be one of several, None for no JSON body); `problems` lists the numbers that it may answer beside those that every
    endpoint shares.
    """

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    summary: str
    takes: Mapping[str, Any] = field(default_factory=dict)
    gives: Mapping[int, Any] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
