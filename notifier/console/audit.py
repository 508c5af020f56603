"""The audit log: manual actions and who took them."""

from starlette.requests import Request
from starlette.responses import Response

from notifier.console.forms import read_place
from notifier.console.pages import page
from notifier.console.screens import ConsoleContext, Screen
from notifier.store.core import audit

PAGE = 100  # entries


async def get_audit(request: Request, context: ConsoleContext) -> Response:
    """Show a page of the audit log, newest first, of one actor or of all."""
    actor = request.query_params.get("actor") or None
    place = read_place(request)
    found = await audit.find(context.engine.database, actor, place, PAGE)
    return page(request, context, "audit.html", actor=actor, place=place, found=found)


SCREENS = [
    Screen(path="/audit", handler=get_audit, permission="administer", title="Audit log", group="Administer", key="l"),
]
