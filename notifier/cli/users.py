"""The console's users from the shell: `notifier users create`, `list`, `disable`, `enable` and `reset`."""

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from notifier.cli.arguments import actor
from notifier.cli.manage import on_database
from notifier.domain.clock import SystemClock, to_datetime
from notifier.domain.users import NAME, Role, User, hash_password, make_password, password_fault
from notifier.store.console import sign_ins
from notifier.store.console import users as store
from notifier.store.core.database import Database

GENERATE = click.option("--generate", is_flag=True, help="Generate a password and print it once, instead of asking.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object; the password is generated.")


@click.group()
def users() -> None:
    """Who may sign in to the console (/console), and with which role."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="The user's role.")
@GENERATE
@JSON
def create(name: str, role: str, generate: bool, as_json: bool) -> None:
    """Create a user called NAME with a password that is typed here or generated."""
    if not NAME.fullmatch(name):
        told = "lower-case letters, digits and . _ - @, at most 64, beginning with a letter or digit"
        raise click.BadParameter(told, param_hint="NAME")
    password = _password(generate or as_json)
    now = SystemClock().now()
    user = User(name=name, role=Role(role), password_hash=hash_password(password), created_at=now)
    if not on_database(lambda database: store.add(database, user, actor())):
        raise click.ClickException(f"the user {name} already exists; `notifier users reset {name}` sets a new password")
    _tell({"name": name, "role": role}, password if generate or as_json else None, as_json)


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_users(as_json: bool) -> None:
    """List the users, without their passwords."""
    found = [_told(user) for user in on_database(store.every)]
    if as_json:
        click.echo(json.dumps(found))
        return
    table = Table("name", "role", "created", "signed in", "disabled")
    for each in found:
        table.add_row(*(str(value or "") for value in each.values()))
    Console().print(table)


@users.command()
@click.argument("name")
def disable(name: str) -> None:
    """Disable the user NAME, who is signed out at once."""
    _change(name, {"disabled_at": SystemClock().now()}, "user.disable")
    click.echo(f"{name} is disabled.")


@users.command()
@click.argument("name")
def enable(name: str) -> None:
    """Enable the user NAME again."""
    _change(name, {"disabled_at": None}, "user.enable")
    click.echo(f"{name} may sign in.")


@users.command()
@click.argument("name")
@GENERATE
@JSON
def reset(name: str, generate: bool, as_json: bool) -> None:
    """Set a new password for NAME, who is signed out at once; failed attempts are reset."""
    password = _password(generate or as_json)
    _change(name, {"password_hash": hash_password(password)}, "user.reset")
    on_database(lambda database: sign_ins.forgive(database, name))
    _tell({"name": name}, password if generate or as_json else None, as_json)


def _password(generate: bool) -> str:
    if generate:
        return make_password()
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    fault = password_fault(password)
    if fault:
        raise click.ClickException(f"the password is not acceptable: {fault}")
    return password


def _change(name: str, values: Mapping[str, Any], action: str) -> None:
    async def change(database: Database) -> bool:
        now = SystemClock().now()
        return await store.change(database, name, values, action=action, actor=actor(), now=now)

    if not on_database(change):
        raise click.ClickException(f"there is no user {name}; `notifier users list` shows them")


def _tell(user: dict[str, str], password: str | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**user, "password": password}))
    elif password is not None:
        click.echo(password)
    else:
        click.echo(f"{user['name']} may sign in at /console.")


def _told(user: User) -> dict[str, str | None]:
    return {
        "name": user.name,
        "role": user.role,
        "created": _moment(user.created_at),
        "signed_in": _moment(user.signed_in_at),
        "disabled": _moment(user.disabled_at),
    }


def _moment(instant: int | None) -> str | None:
    return None if instant is None else to_datetime(instant).isoformat(timespec="seconds")
