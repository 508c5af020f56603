"""Users: who may sign in, and with which role. A new password is generated, shown once, and changed by its user."""

import asyncio
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.domain.users import NAME, PERMISSIONS, Role, User, hash_password, make_password
from notifier.store.console import sign_ins, users


async def get_users(request: Request, context: ConsoleContext) -> Response:
    """Show all users and the form to add one."""
    return await _list(request, context)


async def post_users(request: Request, context: ConsoleContext) -> Response:
    """Create a user and show the password to hand over."""
    name, role = text(request.state.form, "name").strip().lower(), text(request.state.form, "role")
    if not NAME.fullmatch(name):
        fault = "Lower-case letters, digits and . _ - @, at most 64, beginning with a letter or digit."
        return await _list(request, context, status=422, name=name, role=role, fault=fault)
    password = make_password()
    user = User(
        name=name, role=_role(role), password_hash=await asyncio.to_thread(hash_password, password),
        created_at=context.engine.clock.now(),
    )  # fmt: skip
    if not await users.add(context.engine.database, user, request.state.visit.actor):
        fault = "A user with this name already exists."
        return await _list(request, context, status=422, name=name, role=role, fault=fault)
    return page(request, context, "password.html", name=name, password=password, new=True)


async def get_user(request: Request, context: ConsoleContext) -> Response:
    """Show a user and what can be changed."""
    return await _user(request, context)


async def post_role(request: Request, context: ConsoleContext) -> Response:
    """Change a user's role from their next click on, unless somebody else has changed it since the page was opened."""
    role, shown = (text(request.state.form, name) for name in ("role", "shown"))
    if role == shown:
        return RedirectResponse(f"{BASE}/users/{request.path_params['name']}", 303)
    seen = {"role": _role(shown)} if shown else {}
    return await _change(request, context, {"role": _role(role)}, "user.role", role, seen=seen)


async def post_disable(request: Request, context: ConsoleContext) -> Response:
    """Disable a user, who is signed out at once."""
    return await _change(request, context, {"disabled_at": context.engine.clock.now()}, "user.disable")


async def post_enable(request: Request, context: ConsoleContext) -> Response:
    """Enable a disabled user."""
    return await _change(request, context, {"disabled_at": None}, "user.enable")


async def post_reset(request: Request, context: ConsoleContext) -> Response:
    """Show a new password to hand over; the user is signed out at once."""
    name, password = request.path_params["name"], make_password()
    values = {"password_hash": await asyncio.to_thread(hash_password, password)}
    await _change(request, context, values, "user.reset")
    await sign_ins.forgive(context.engine.database, name)
    return page(request, context, "password.html", name=name, password=password, new=False)


async def _user(request: Request, context: ConsoleContext, *, status: int = 200) -> Response:
    user = await users.find(context.engine.database, request.path_params["name"])
    if user is None:
        raise HTTPException(404)
    return page(request, context, "user.html", status=status, user=user, roles=PERMISSIONS, moved=status == 409)


async def _list(request: Request, context: ConsoleContext, *, status: int = 200, **given: Any) -> Response:
    everybody = await users.every(context.engine.database)
    form = {"name": "", "role": Role.VIEWER, "fault": "", **given}
    return page(request, context, "users.html", status=status, users=everybody, roles=PERMISSIONS, form=form)


async def _change(
    request: Request, context: ConsoleContext, values: dict[str, Any], action: str, detail: str = "",
    seen: dict[str, Any] | None = None,
) -> Response:  # fmt: skip
    name = request.path_params["name"]
    if name == request.state.visit.session.user:
        # Nobody changes their own role, so an administrator is always left; their own password changes under their
        # account.
        raise HTTPException(400)
    changed = await users.change(
        context.engine.database, name, values, action=action, actor=request.state.visit.actor,
        now=context.engine.clock.now(), detail=detail, seen=seen,
    )  # fmt: skip
    if not changed:
        return await _user(request, context, status=409)
    return RedirectResponse(f"{BASE}/users/{name}", 303)


def _role(given: str) -> Role:
    try:
        return Role(given)
    except ValueError:
        raise HTTPException(400) from None


SCREENS = [
    Screen(path="/users", handler=get_users, permission="administer", title="Users", group="Administer", key="u"),
    Screen(path="/users", handler=post_users, permission="administer", method="POST"),
    Screen(path="/users/{name}", handler=get_user, permission="administer"),
    Screen(path="/users/{name}/role", handler=post_role, permission="administer", method="POST"),
    Screen(path="/users/{name}/disable", handler=post_disable, permission="administer", method="POST"),
    Screen(path="/users/{name}/enable", handler=post_enable, permission="administer", method="POST"),
    Screen(path="/users/{name}/reset", handler=post_reset, permission="administer", method="POST"),
]
