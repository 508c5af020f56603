"""`notifier templates`: read, check, compare, publish and roll back the texts, in the shell and in CI."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from notifier.cli.arguments import Text, actor
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import to_datetime
from notifier.domain.problems import problem
from notifier.pipeline.engine import Engine
from notifier.rendering import changes
from notifier.rendering.changes import Changes
from notifier.rendering.confined import Confined, RenderTrial
from notifier.rendering.files import write_wording
from notifier.rendering.findings import LintFinding
from notifier.rendering.lint import lint
from notifier.rendering.texts import Texts, read_wording
from notifier.rendering.writing import HTML, writing
from notifier.runtime.settings import load_settings
from notifier.startup import close, open_engine
from notifier.store.console import versions
from notifier.texts import gate, publishing

T = TypeVar("T")
COLOURS = {"error": "red", "warning": "yellow", "hint": None}
TYPE = click.argument("type_", metavar="TYPE")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
WHY = Text(publishing.Reason, f"at most {publishing.MAX_REASON} characters")
MAX_NUMBER = 2**31 - 1  # the highest version number that the column can store
FOLDER = click.option(
    "--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Use the texts of a folder like templates/ instead of the published ones.",
)  # fmt: skip


@click.group()
def templates() -> None:
    """Texts: check and publish them, compare what a change means for people, roll back.

    \b
    In CI, on files alone:   notifier templates lint --from templates
    What would change:       notifier templates diff charging-complete --from templates
    Publish it:              notifier templates publish charging-complete --from templates --why "shorter"
    """


@templates.command("list")
@JSON
def list_(as_json: bool) -> None:
    """List the types with their class, channels, locales and live version."""

    async def work(engine: Engine, _confined: Confined) -> list[dict[str, Any]]:
        live, drafts = await versions.live(engine.database), await versions.drafts(engine.database)
        return [
            {
                "type": kind.id, "name": kind.name, "class": kind.class_, "channels": list(kind.channels),
                "locales": sorted((await gate.live_wording(engine, kind.id))[0]), "version": live.get(kind.id, 0),
                "draft": kind.id in drafts,
            }
            for kind in engine.catalog.types.values()
        ]  # fmt: skip

    told = with_engine(work)
    if as_json:
        click.echo(json.dumps(told))
        return
    table = Table("type", "class", "channels", "locales", "version", "draft")
    for each in told:
        cells = (each["type"], each["class"], " ".join(each["channels"]), " ".join(each["locales"]), each["version"])
        table.add_row(*map(str, cells), "yes" if each["draft"] else "")
    Console().print(table)


@templates.command("lint")
@click.argument("types", metavar="[TYPE]…", nargs=-1)
@FOLDER
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@JSON
def lint_(types: tuple[str, ...], folder: Path | None, strict: bool, as_json: bool) -> None:
    """Check the texts of these types, or of all, for errors and warnings. Exits with 1 where there is an error.

    With --from no database is needed.
    """
    if folder:
        found = _lint_files(types, folder)
    else:
        found = with_engine(lambda engine, child: _lint_live(engine, child, types))
    bad = [each for each in chain(*found.values()) if each.level == "error" or (strict and each.level == "warning")]
    if as_json:
        click.echo(json.dumps({type_: msgspec.to_builtins(findings) for type_, findings in found.items()}))
    else:
        _print_findings(found)
    raise SystemExit(1 if bad else 0)


@templates.command()
@TYPE
@click.option("--locale", default="en", show_default=True)
@click.option("--sample", help="A sample's name from type.toml; by default the first.")
@FOLDER
@JSON
def render(type_: str, locale: str, sample: str | None, folder: Path | None, as_json: bool) -> None:
    """Render a sample's message on every channel."""

    async def work(engine: Engine, confined: Confined) -> dict[str, Any]:
        kind = _kind(engine.catalog, type_)
        chosen = next((each for each in kind.samples if sample in (None, each.name)), None)
        if chosen is None:
            raise problem(40401, f"{type_} has no sample {sample!r}; it has {', '.join(s.name for s in kind.samples)}")
        wording = _read(engine, type_, folder) if folder else (await gate.live_wording(engine, type_))[0]
        trials = [RenderTrial(channel, locale, gate.ZONE, chosen.data) for channel in kind.channels]
        answer = await gate.preview(confined, kind, wording, trials)
        _refuse_unusable(lint(kind, wording, answer, [], ()))
        pairs = zip(kind.channels, answer.tried, strict=True)
        return {
            str(channel): msgspec.to_builtins(tried.content) if tried.content else {"error": tried.error}
            for channel, tried in pairs
        }

    told = with_engine(work)
    if as_json:
        click.echo(json.dumps(told))
        return
    for channel, content in told.items():
        click.secho(channel, bold=True)
        for part, text in content.items():
            if part != HTML:
                click.echo(f"  {part}: {text}")


@templates.command()
@TYPE
@FOLDER
@JSON
def diff(type_: str, folder: Path | None, as_json: bool) -> None:
    """Show what the draft (or a folder's texts) would change for people, on the last real events."""

    async def work(engine: Engine, confined: Confined) -> Changes:
        wording = _read(engine, type_, folder) if folder else await _drafted(engine, type_)
        checked = await gate.check(engine, confined, type_, wording)
        _refuse_unusable(checked.findings)
        return checked.changes

    found = with_engine(work)
    if as_json:
        click.echo(msgspec.json.encode(changes.to_builtins(found)).decode())
        return
    _print_changes(found)


@templates.command()
@TYPE
@FOLDER
@click.option("--why", type=WHY, default="", help="The reason; required where there are warnings.")
@JSON
def publish(type_: str, folder: Path | None, why: str, as_json: bool) -> None:
    """Publish the draft (or a folder's texts) where it passes the checks. Exits with 1 where it doesn't."""

    async def work(engine: Engine, confined: Confined) -> tuple[int | None, list[LintFinding]]:
        draft = None if folder else await versions.draft(engine.database, type_)
        wording = _read(engine, type_, folder) if folder else await _drafted(engine, type_)
        based_on = draft.based_on if draft else (await gate.live_wording(engine, type_))[1]
        new, checked = await gate.publish(
            engine, confined, type_, wording, based_on=based_on, actor=actor(), why=why,
            origin="import" if folder else "console", drafted=draft.revision if draft else None,
        )  # fmt: skip
        return (new.number if new else None), checked.findings

    number, findings = with_engine(work)
    if as_json:
        click.echo(json.dumps({"type": type_, "version": number, "findings": msgspec.to_builtins(findings)}))
    else:
        _print_findings({type_: findings})
        click.echo(f"{type_} is at version {number}." if number else "Not published: fix the errors, or give --why.")
    raise SystemExit(0 if number else 1)


@templates.command()
@TYPE
@click.argument("number", type=click.IntRange(1, MAX_NUMBER))
@click.option("--why", type=WHY, required=True, help="The reason, kept in the history.")
def rollback(type_: str, number: int, why: str) -> None:
    """Publish version NUMBER of a type again, as a new version."""

    async def work(engine: Engine, confined: Confined) -> tuple[int | None, list[LintFinding]]:
        _, live = await gate.live_wording(engine, _kind(engine.catalog, type_).id)
        new, checked = await gate.roll_back(engine, confined, type_, number, based_on=live, actor=actor(), why=why)
        return (new.number if new else None), checked.findings

    new, findings = with_engine(work)
    if new is None:
        _print_findings({type_: findings})
        click.echo(f"Not published: version {number} does not fit the type as it is today.")
        raise SystemExit(1)
    click.echo(f"{type_} is at version {new}, with the texts of version {number}.")


@templates.command("versions")
@TYPE
@JSON
def versions_(type_: str, as_json: bool) -> None:
    """List the versions of a type: when, who, why."""

    async def work(engine: Engine, _confined: Confined) -> list[versions.Version]:
        return await versions.every(engine.database, _kind(engine.catalog, type_).id)

    found = with_engine(work)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("version", "published", "by", "from", "why")
    for each in found:
        at = to_datetime(each.published_at).isoformat(" ", "seconds")
        table.add_row(str(each.number), at, each.actor, each.origin, each.why)
    Console().print(table)


@templates.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("types", metavar="[TYPE]…", nargs=-1)
def export(folder: Path, types: tuple[str, ...]) -> None:
    """Export the published texts (of these types, or of all) as files for git: FOLDER/TYPE/LOCALE.toml."""

    async def work(engine: Engine, _confined: Confined) -> int:
        written = 0
        for type_ in types or engine.catalog.types:
            wording, _ = await gate.live_wording(engine, _kind(engine.catalog, type_).id)
            written += len(write_wording(folder / type_, wording))
        return written

    click.echo(f"{with_engine(work)} files are in {folder}.")


def with_engine(work: Callable[[Engine, Confined], Awaitable[T]]) -> T:
    """Run work with an open engine, and the handle of the process that tries texts."""

    async def run() -> T:
        settings = load_settings()
        engine = await open_engine(settings)
        confined = Confined(settings)
        try:
            return await work(engine, confined)
        finally:
            await confined.close()
            await close(engine)

    return asyncio.run(run())


def _kind(catalog: Catalog, type_: str) -> NotificationType:
    kind = catalog.types.get(type_)
    if kind is None:
        raise problem(40401, f"there is no notification type {type_!r}; there are {', '.join(catalog.types)}")
    return kind


def _read(engine: Engine, type_: str, folder: Path) -> dict[str, Texts]:
    return dict(read_wording(folder / type_, _kind(engine.catalog, type_)))


async def _drafted(engine: Engine, type_: str) -> dict[str, Texts]:
    draft = await versions.draft(engine.database, _kind(engine.catalog, type_).id)
    if draft is None:
        raise problem(40401, f"{type_} has no draft; edit it in the console, or name a folder by --from")
    return publishing.read(engine.renderer, type_, draft.wording)


def _refuse_unusable(findings: list[LintFinding]) -> None:
    """Raise Problem 42207 for texts of which no message can be made."""
    for each in findings:
        if each.unusable:
            raise problem(42207, ": ".join(filter(None, (each.place, each.words))))


def _lint_files(types: tuple[str, ...], folder: Path) -> dict[str, list[LintFinding]]:
    """Check texts from files alone, rendered with the types' samples."""
    settings = msgspec.structs.replace(load_settings(), templates=folder.resolve())

    async def run() -> dict[str, list[LintFinding]]:
        catalog = load_catalog(folder)
        confined = Confined(settings)
        wordings = {kind.id: read_wording(folder / kind.id, kind) for kind in catalog.types.values()}
        spoken = sorted({locale for wording in wordings.values() for locale in wording})
        found = {}
        try:
            for kind in [_kind(catalog, type_) for type_ in types or catalog.types]:
                samples = {sample.name: sample.data for sample in kind.samples}
                answer, seen = await gate.trial(confined, kind, wordings[kind.id], samples, unlike={})
                found[kind.id] = lint(kind, wordings[kind.id], answer, seen, spoken)
        finally:
            await confined.close()
        return found

    return asyncio.run(run())


async def _lint_live(engine: Engine, confined: Confined, types: tuple[str, ...]) -> dict[str, list[LintFinding]]:
    found = {}
    for type_ in types or engine.catalog.types:
        wording, _ = await gate.live_wording(engine, _kind(engine.catalog, type_).id)
        found[type_] = (await gate.check(engine, confined, type_, wording)).findings
    return found


def _print_findings(found: dict[str, list[LintFinding]]) -> None:
    for type_, findings in found.items():
        for each in findings:
            mark = click.style(f"{each.level:7}", fg=COLOURS[each.level])
            place = f"{type_}/{each.place}" if each.locale else f"{type_}: {each.place}".removesuffix(": ")
            click.echo(f"{mark} {place}: {each.words} [{each.code}]")
    if not any(found.values()):
        click.echo("No errors or warnings.")


def _print_changes(found: Changes) -> None:
    for locale in found.locales_gained:
        click.echo(f"+ {locale} is added")
    for locale in found.locales_lost:
        click.echo(f"- {locale} is removed")
    for change in found.changed:
        measure = writing(change.channel).measure
        told = [*(f"+{name}" for name in change.gained), *(f"-{name}" for name in change.lost)]
        if change.most and measure and measure.paid:
            told.append(f"{measure.unit} {change.most[0]} → {change.most[1]}")
        click.secho(f"{change.locale} {change.channel} {' '.join(told)}", bold=True)
        for example in change.examples:
            click.echo(f"  {example.sample}")
            click.secho(f"  - {example.before}", fg="red")
            click.secho(f"  + {example.after}", fg="green")
    if not found.changed and not found.locales_gained and not found.locales_lost:
        click.echo("No message changes.")
