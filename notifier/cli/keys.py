"""API keys: create, list, rotate and revoke them."""

import json

import click
from rich.console import Console
from rich.table import Table

from notifier.cli.arguments import Text, actor
from notifier.cli.manage import on_database
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import SystemClock, parse_duration, to_datetime
from notifier.domain.keys import (
    ANY_PARTY,
    SCOPES,
    ApiKey,
    KeyName,
    find_faults,
    make_key,
    make_party,
    make_successor,
)
from notifier.runtime.settings import load_settings
from notifier.store.console import keys as key_store
from notifier.store.core.database import Database

OPTIONS = {
    "scopes": "--scope",
    "sources": "--source",
    "types": "--type",
    "parties": "--ocpi-party",
    "rate": "--rate",
    "daily": "--daily",
}
"""The option of each field whose fault `find_faults` tells."""


def _lifetime(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _parties(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(each if each == ANY_PARTY else make_party(each) for each in given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group()
def keys() -> None:
    """API keys."""


@keys.command()
@click.argument("name", type=Text(KeyName, "1 to 100 characters on one line"))
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What the key may do. Repeatable.",
)
@click.option(
    "--source", "sources", multiple=True, help="Only for this source, such as csms/berlin or csms/*. Repeatable."
)
@click.option("--type", "types", multiple=True, help="Only for this event type. Repeatable.")
@click.option("--rate", type=float, help="Events (OCPI: objects) a second; 429 above that.")
@click.option("--daily", type=int, help="Events (OCPI: objects) a day, by UTC; 429 above that.")
@click.option("--test", is_flag=True, help="For tests: what it reports reaches nobody, and it is told of tests alone.")
@click.option("--expires-in", "lifetime", callback=_lifetime, help='How long the key is valid, such as "90 d".')
@click.option(
    "--ocpi-party",
    "parties",
    multiple=True,
    callback=_parties,
    help="Only for this party, such as DE*ABC; `any` for a hub. Required for the scope ocpi. Repeatable.",
)
def create(
    name: str,
    scopes: tuple[str, ...],
    parties: tuple[str, ...],
    sources: tuple[str, ...],
    types: tuple[str, ...],
    rate: float | None,
    daily: int | None,
    lifetime: int | None,
    *,
    test: bool,
) -> None:
    """Create a key called NAME and print it. It can't be shown again."""
    now, known = SystemClock().now(), load_catalog(load_settings().templates).event_types
    for field, fault in find_faults(
        scopes, sources, types, parties, rate, daily, test=test, known=known
    ).items():  # fmt: skip
        raise click.BadParameter(fault, param_hint=OPTIONS[field])
    text, key = make_key(
        name, frozenset(scopes), now, test=test, sources=sources, types=types, rate=rate, daily=daily,
        expires_at=None if lifetime is None else now + lifetime,
        parties=tuple(each for each in parties if each != ANY_PARTY),
    )  # fmt: skip
    on_database(lambda database: key_store.add(database, key, actor()))
    click.echo(text)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_keys(as_json: bool) -> None:
    """List the keys, without their secrets."""
    found = on_database(key_store.every)
    if as_json:
        click.echo(json.dumps([_told(key) for key in found]))
        return
    table = Table(
        "id", "name", "scopes", "created", "revoked", "expires", "last used", "sources", "types", "rate", "daily",
        "parties", "test", "replaced by",
    )  # fmt: skip
    for key in found:
        table.add_row(*(str(value or "") for value in _told(key).values()))
    Console().print(table)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap", default="7 d", show_default=True, callback=_lifetime, help="How long the present key stays valid."
)
def rotate(key_id: str, overlap: int) -> None:
    """Create a key in the place of the key ID, with the same name and bounds, and print it. It can't be shown again.

    Both are valid for the overlap, so that whoever uses the key can change over; then the present one expires. A key
    that expires has a successor that is valid for as long.
    """
    now = SystemClock().now()

    async def work(database: Database) -> str:
        key = await key_store.find(database, key_id)
        if key is None:
            raise click.ClickException(f"there is no key {key_id}; `notifier keys list` shows them")
        text, successor = make_successor(key, now)
        if not await key_store.replace(database, key, successor, now + overlap, actor()):
            raise click.ClickException(
                f"{key_id} is replaced, revoked or expired; `notifier keys list` shows by which key it is replaced, "
                "and that one can be rotated"
            )
        return text

    click.echo(on_database(work))


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Revoke the key with this ID; it is refused within a minute."""
    now = SystemClock().now()
    if not on_database(lambda database: key_store.revoke(database, key_id, now, actor())):
        raise click.ClickException(f"no key with the id {key_id} is in use; `notifier keys list` shows them")
    click.echo(f"{key_id} is revoked.")


def _told(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": " ".join(sorted(key.scopes)),
        "created": _instant(key.created_at),
        "revoked": _instant(key.revoked_at),
        "expires": _instant(key.expires_at),
        "used": _instant(key.used_at),
        "sources": " ".join(key.sources),
        "types": " ".join(key.types),
        "rate": key.rate,
        "daily": key.daily,
        "parties": " ".join(key.parties),
        "test": key.test,
        "replaced_by": key.replaced_by,
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else to_datetime(at).isoformat(timespec="seconds")
