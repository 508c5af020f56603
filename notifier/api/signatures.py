"""Requests without an API key that carry our signature: in a link sent to a person, or in an app's token."""

from starlette.requests import Request

from notifier.api.endpoints import ApiContext, Link, TokenScheme
from notifier.domain.deliveries import Channel
from notifier.domain.links import AppVisit, Followed, MapAccess, PreferenceAccess, Unsubscribe
from notifier.domain.problems import problem


def read_link(
    kind: Link, request: Request, context: ApiContext
) -> Unsubscribe | PreferenceAccess | Followed | MapAccess | None:
    """Return the claims of the path's token; None where the token isn't ours, is of another kind, or has expired."""
    links, token = context.engine.links, request.path_params["token"]
    match kind:
        case "unsubscribe_link":
            return links.read_unsubscribe(token)
        case "click_link":
            return links.read_click(token)
        case "preference_link":
            return links.read_visit(token, context.engine.clock.now())
        case "map_link":
            return links.read_map(token, context.engine.clock.now())


def by_app_token(channel: Channel) -> TokenScheme:
    """Return the scheme of a channel's endpoints that apps call with a person's token (`Links.app_token`); it reads an
    `AppVisit`."""

    async def read(request: Request, context: ApiContext) -> AppVisit:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        visit = None
        if kind.lower() == "bearer":
            visit = context.engine.links.read_app_token(channel, token.strip(), context.engine.clock.now())
        if visit is None:
            raise problem(40103, f"the request has no valid token for {channel}")
        return visit

    return TokenScheme(
        name=f"{channel}_token", description=f"A person's token for {channel}, as POST …/{channel}-token gives it",
        read=read,
    )  # fmt: skip
