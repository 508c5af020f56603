"""The user's own account: what their role may do, and a change of password."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from notifier.console import visits
from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import ConsoleContext, ConsoleVisit, Screen
from notifier.console.sign_in import knows
from notifier.domain.users import TRIES, ConsoleSession, hash_password, hash_session_id, make_session_id, password_fault
from notifier.store.console import sign_ins, users


async def get_account(request: Request, context: ConsoleContext) -> Response:
    """Show the account and the form for a new password."""
    return page(request, context, "account.html", faults={}, done=False)


async def post_password(request: Request, context: ConsoleContext) -> Response:
    """Change the user's password, given the present one. They stay signed in here and nowhere else."""
    session: ConsoleSession = request.state.visit.session
    form, database, now = request.state.form, context.engine.database, context.engine.clock.now()
    old, new, again = (text(form, name) for name in ("old", "new", "again"))
    faults = {name: told for name, told in (("new", password_fault(new)), ("again", _differ(new, again))) if told}
    if not faults:
        # A stranger at an unattended desk has no more attempts than at the sign-in page.
        left = await sign_ins.take_try(database, {sign_ins.name_key(session.user): TRIES}, now)
        if not left:
            faults["old"] = "too many tries; wait a while"
        elif not await knows(await users.find(database, session.user), old):
            faults["old"] = "this is not your password"
    if faults:
        return page(request, context, "account.html", status=422, faults=faults, done=False)
    values = {"password_hash": await asyncio.to_thread(hash_password, new)}
    actor = request.state.visit.actor
    await users.change(database, session.user, values, action="user.password", actor=actor, now=now)
    id_ = make_session_id()
    fresh = ConsoleSession(
        id_hash=hash_session_id(id_), user=session.user, role=session.role, created_at=now, used_at=now
    )
    await sign_ins.begin(database, fresh, sign_ins.address_key(""))
    request.state.visit = ConsoleVisit(cookie=id_, session=fresh)
    answer = page(request, context, "account.html", faults={}, done=True)
    visits.keep(answer, context, id_)
    return answer


def _differ(new: str, again: str) -> str | None:
    return None if new == again else "the two passwords differ"


SCREENS = [
    Screen(path="/account", handler=get_account, permission="read"),
    Screen(path="/account/password", handler=post_password, permission="read", method="POST"),
]
