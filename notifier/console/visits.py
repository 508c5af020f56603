"""Visits: the cookie, the session that it stands for, and the CSRF token of every form.

A visitor who has not signed in has a cookie too, without a session: the sign-in form's token depends on it. The cookie
is replaced at sign-in, so that nobody can plant a cookie and share the session (session fixation).
"""

import hmac

from starlette.requests import Request
from starlette.responses import Response

from notifier.console.screens import BASE, ConsoleContext, ConsoleVisit
from notifier.domain.clock import SECOND
from notifier.domain.users import ABSOLUTE, TOUCH, csrf_token, hash_session_id, is_session_id, make_session_id
from notifier.store.console import sign_ins

FIELD = "csrf"


def cookie_name(context: ConsoleContext) -> str:
    """Return the cookie's name, whose prefix makes browsers accept it only from this host by https (RFC 6265bis
    §4.1.3.2)."""
    return "__Host-notifier" if context.secure else "notifier"


async def recognise(request: Request, context: ConsoleContext, *, touch: bool) -> ConsoleVisit:
    """Return the visit that a request belongs to; `touch` keeps the session alive."""
    cookie = request.cookies.get(cookie_name(context), "")
    if not is_session_id(cookie):
        return ConsoleVisit(cookie=make_session_id(), session=None)
    now = context.engine.clock.now()
    session = await sign_ins.find(context.engine.database, hash_session_id(cookie), now)
    if session is not None and touch and session.used_at <= now - TOUCH:
        await sign_ins.touch(context.engine.database, session.id_hash, now)
    return ConsoleVisit(cookie=cookie, session=session)


def keep(response: Response, context: ConsoleContext, cookie: str) -> None:
    """Set the visitor's cookie."""
    response.set_cookie(
        cookie_name(context), cookie, max_age=ABSOLUTE // SECOND, path="/" if context.secure else BASE,
        secure=context.secure, httponly=True, samesite="lax",
    )  # fmt: skip


def forget(response: Response, context: ConsoleContext) -> None:
    """Delete the visitor's cookie."""
    response.delete_cookie(
        cookie_name(context), path="/" if context.secure else BASE, secure=context.secure, httponly=True, samesite="lax"
    )


def is_ours(visit: ConsoleVisit, token: str) -> bool:
    """Whether a form's CSRF token is the one in this visit's pages."""
    return hmac.compare_digest(csrf_token(visit.cookie).encode(), token.encode())
