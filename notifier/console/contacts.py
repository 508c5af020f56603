"""Test contacts: the people to whom tests of texts are sent. Their addresses are entered here and shown nowhere."""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console import contact_form
from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.store.console import contacts


async def get_contacts(request: Request, context: ConsoleContext) -> Response:
    """Show all test contacts and the form to add one."""
    return await _list(request, context, faults={})


async def post_contacts(request: Request, context: ConsoleContext) -> Response:
    """Add a contact, or change a contact's addresses. No address is shown, so an empty field removes none."""
    form, database = request.state.form, context.engine.database
    given = {name: text(form, name).strip() for name in contact_form.names()}
    held = await contacts.find(database, given["name"])
    new, faults = contact_form.read(given, held, context.settings)
    if new is None:
        return await _list(request, context, status=422, faults=faults)
    await contacts.put(database, new, request.state.visit.actor, context.engine.clock.now())
    return RedirectResponse(f"{BASE}/contacts", 303)


async def post_remove(request: Request, context: ConsoleContext) -> Response:
    """Remove a test contact."""
    name, now = text(request.state.form, "name"), context.engine.clock.now()
    if not await contacts.remove(context.engine.database, name, request.state.visit.actor, now):
        raise HTTPException(404)
    return RedirectResponse(f"{BASE}/contacts", 303)


async def _list(request: Request, context: ConsoleContext, *, faults: dict[str, str], status: int = 200) -> Response:
    everybody = await contacts.every(context.engine.database)
    form = getattr(request.state, "form", FormData())
    given = {name: text(form, name) for name in contact_form.names()}
    return page(
        request, context, "contacts.html", status=status, contacts=everybody, faults=faults,
        given=given, own=contact_form.own_fields(),
    )  # fmt: skip


SCREENS = [
    Screen(path="/contacts", handler=get_contacts, permission="write", title="Test contacts", group="Write", key="c"),
    Screen(path="/contacts", handler=post_contacts, permission="publish", method="POST"),
    Screen(path="/contacts/remove", handler=post_remove, permission="publish", method="POST"),
]
