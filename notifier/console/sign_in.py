"""Sign in and out."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console import carried, visits
from notifier.console.carried import Carried
from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, ConsoleVisit, Screen
from notifier.domain.users import (
    ADDRESS_TRIES,
    LOCK,
    MAX_PASSWORD,
    NAME,
    TRIES,
    ConsoleSession,
    User,
    admits,
    hash_session_id,
    make_session_id,
)
from notifier.store.console import sign_ins, users

THREADS = ThreadPoolExecutor(2, "passwords")  # passwords checked at once: each takes 64 MiB and a whole core
_INSIDE = re.compile(rf"{BASE}/(?!/)[\w./~%?=&+:@*-]*", re.ASCII)


async def get_sign_in(request: Request, context: ConsoleContext) -> Response:
    """Show the sign-in form."""
    visit: ConsoleVisit = request.state.visit
    wanted = _inside(request.query_params.get("next", ""))
    if visit.session is not None:
        return RedirectResponse(wanted, 303)
    answer = await _form(request, context, wanted=wanted)
    visits.keep(answer, context, visit.cookie)
    return answer


async def again(request: Request, context: ConsoleContext, late: Carried) -> Response:
    """Show the sign-in form to a user who submitted another form after their session ended; it carries that form."""
    answer = await _form(request, context, wanted=_inside(""), name=late.writer, status=401, kept=carried.pack(late))
    visits.keep(answer, context, request.state.visit.cookie)
    return answer


async def post_sign_in(request: Request, context: ConsoleContext) -> Response:
    """Start a session for a user with the right password; a wrong password and an unknown name get the same answer."""
    name = text(request.state.form, "name").strip().lower()
    wanted, kept = _inside(text(request.state.form, "next")), text(request.state.form, carried.KEPT)
    database, now = context.engine.database, context.engine.clock.now()
    address = sign_ins.address_key(request.client.host if request.client else "")
    limits = {sign_ins.name_key(name): TRIES, address: ADDRESS_TRIES}
    if not await sign_ins.take_try(database, limits, now):
        return await _form(request, context, wanted=wanted, name=name, status=429, fault=_LOCKED, kept=kept)
    user = await users.find(database, name) if NAME.fullmatch(name) else None
    if not await knows(user, text(request.state.form, "password")) or user is None:
        await sign_ins.record_failure(database, user.name if user else None, now)
        return await _form(request, context, wanted=wanted, name=name, status=401, fault=_WRONG, kept=kept)
    id_ = make_session_id()
    session = ConsoleSession(id_hash=hash_session_id(id_), user=user.name, role=user.role, created_at=now, used_at=now)
    await sign_ins.begin(database, session, address)
    answer: Response = RedirectResponse(wanted, 303)
    if late := carried.unpack(kept):
        request.state.visit = ConsoleVisit(cookie=id_, session=session)
        answer = carried.ask(request, context, late)
    visits.keep(answer, context, id_)
    return answer


async def post_sign_out(request: Request, context: ConsoleContext) -> Response:
    """Sign the user out."""
    session = request.state.visit.session
    await sign_ins.end(context.engine.database, session, context.engine.clock.now())
    answer = RedirectResponse(f"{BASE}/sign-in", 303)
    visits.forget(answer, context)
    return answer


async def knows(user: User | None, password: str) -> bool:
    """Whether a password is the user's, checked off the event loop with limited concurrency."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(THREADS, admits, user, password[: MAX_PASSWORD + 1])


async def _form(
    request: Request, context: ConsoleContext, *, wanted: str, name: str = "", status: int = 200, fault: str = "",
    kept: str = "",
) -> Response:  # fmt: skip
    first = not await users.there_are_any(context.engine.database)
    return page(
        request, context, "sign_in.html", status=status, wanted=wanted, name=name[:64], fault=fault, first=first,
        kept=kept,
    )  # fmt: skip


def _inside(wanted: str) -> str:
    """Return the page to open next, always one of the console's."""
    return wanted if _INSIDE.fullmatch(wanted) else f"{BASE}/health"


_WRONG = "Wrong name or password."
_LOCKED = f"Too many attempts. Wait {LOCK // 60_000} minutes, or ask an administrator for a new password."

SCREENS = [
    Screen(path="/sign-in", handler=get_sign_in, permission=None),
    Screen(path="/sign-in", handler=post_sign_in, permission=None, method="POST"),
    Screen(path="/sign-out", handler=post_sign_out, permission="read", method="POST"),
]
