"""Test contacts: the people to whom tests of texts are sent. Their addresses are entered here and shown nowhere."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.domain.messages import Device
from notifier.domain.preferences import Key
from notifier.domain.recipients import check_email, check_phone
from notifier.store.console import contacts
from notifier.store.console.contacts import Contact


async def get_contacts(request: Request, context: ConsoleContext) -> Response:
    """Show all test contacts and the form to add one."""
    return await _list(request, context, faults={})


async def post_contacts(request: Request, context: ConsoleContext) -> Response:
    """Add a contact, or change a contact's addresses. No address is shown, so an empty field removes none."""
    form = request.state.form
    name = text(form, "name").strip()
    given: dict[str, str] = {}
    faults: dict[str, str] = {}
    try:
        msgspec.convert(name, Key)
    except msgspec.ValidationError:
        faults["name"] = "One word of at most 100 characters."
    for field, check in (("phone", check_phone), ("email", check_email), ("token", _check_token)):
        try:
            if address := text(form, field).strip():
                given[field] = check(address)
        except ValueError as error:
            faults[field] = str(error)
    if not faults and not given:
        faults["phone"] = "Give at least one address."
    if faults:
        return await _list(request, context, status=422, faults=faults)
    new = Contact(name=name, **given)
    await contacts.put(context.engine.database, new, request.state.visit.actor, context.engine.clock.now())
    return RedirectResponse(f"{BASE}/contacts", 303)


async def post_remove(request: Request, context: ConsoleContext) -> Response:
    """Remove a test contact."""
    name, now = text(request.state.form, "name"), context.engine.clock.now()
    if not await contacts.remove(context.engine.database, name, request.state.visit.actor, now):
        raise HTTPException(404)
    return RedirectResponse(f"{BASE}/contacts", 303)


async def _list(request: Request, context: ConsoleContext, *, faults: dict[str, str], status: int = 200) -> Response:
    everybody = await contacts.every(context.engine.database)
    form = getattr(request.state, "form", {})
    given = {name: form.get(name, "") for name in ("name", "phone", "email", "token")}
    return page(request, context, "contacts.html", status=status, contacts=everybody, faults=faults, given=given)


def _check_token(token: str) -> str:
    try:
        return msgspec.convert({"value": token}, Device).value
    except msgspec.ValidationError:
        raise ValueError("token is not one; write the app's FCM registration token") from None


SCREENS = [
    Screen(path="/contacts", handler=get_contacts, permission="write", title="Test contacts", group="Write", key="c"),
    Screen(path="/contacts", handler=post_contacts, permission="publish", method="POST"),
    Screen(path="/contacts/remove", handler=post_remove, permission="publish", method="POST"),
]
