"""Requests that carry no key but our signature, in a link that a person was sent."""

from typing import Literal

from starlette.requests import Request

from notifier.api.endpoints import Context
from notifier.domain.links import Unsubscribe, Visit


def read_link(
    kind: Literal["unsubscribe_link", "preference_link"], request: Request, context: Context
) -> Unsubscribe | Visit | None:
    """What the path's token says; None where it isn't one of ours for this, or isn't good any more."""
    links, token = context.engine.links, request.path_params["token"]
    if kind == "unsubscribe_link":
        return links.read_unsubscribe(token)
    return links.read_visit(token, context.engine.clock.now())
