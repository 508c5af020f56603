"""Versions of the texts: drafts, publication, and how each process comes to use a published version."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
import structlog

from notifier.domain.clock import Clock
from notifier.domain.errors import ConfigurationError, Problem
from notifier.domain.problems import problem
from notifier.domain.text import TEXT
from notifier.domain.twins import plain
from notifier.rendering import Renderer, texts
from notifier.rendering.texts import Texts, Wording, encode
from notifier.runtime.background import keep_fresh
from notifier.store.console import versions
from notifier.store.console.versions import Draft, Version
from notifier.store.core.database import Database

REFRESH = 2.0  # seconds until every process sends with the published version: a query of one small table
SHIPPED = "shipped"
MAX_REASON = 500  # characters: a reason, not a report

Reason = Annotated[str, msgspec.Meta(max_length=MAX_REASON, pattern=TEXT)]
"""Why a version was published, for the history."""

log = structlog.get_logger(__name__)


def decode(document: msgspec.Raw) -> dict[str, Texts]:
    """Decode a stored wording; raises ConfigurationError where it is invalid."""
    try:
        return texts.decode(document)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"the texts don't have the expected shape: {error}") from None


def read(renderer: Renderer, type_: str, document: msgspec.Raw) -> dict[str, Texts]:
    """A stored wording of a type, with the texts that ship for channels that it was written without; raises as
    `decode` does."""
    kind = renderer.kind(type_)
    return texts.completed(decode(document), renderer.shipped[type_], kind.channels)


async def ship(database: Database, shipped: Mapping[str, Wording], clock: Clock) -> int:
    """Publish the texts from files for types that have none yet or still use an older shipped version; returns how
    many.

    Texts that people have changed since stay as they are.
    """
    live = await versions.live(database)
    new = []
    for type_, wording in shipped.items():
        number = live.get(type_, 0)
        document = encode(wording)
        if number:
            current = await versions.get(database, type_, number)
            if current is None or current.origin != SHIPPED or decode(current.wording) == decode(document):
                continue
        new.append(
            Version(
                type=type_, number=number + 1, wording=document, origin=SHIPPED, published_at=clock.now(),
                actor="release", why="these texts ship with the program",
            )
        )  # fmt: skip
    return await versions.ship(database, new)


async def refresh(database: Database, renderer: Renderer) -> int:
    """Load the newest versions for sending; returns how many types changed.

    A version that can't be compiled is logged, and the one before it stays live.
    """
    news = 0
    for type_, number in (await versions.live(database)).items():
        if type_ not in renderer.shipped or renderer.live(type_) == number:
            continue
        news += await _go_live(database, renderer, type_, number)
    return news


async def keep(database: Database, renderer: Renderer) -> None:
    """Refresh until cancelled; a database that is away is waited for."""
    await keep_fresh(REFRESH, lambda: refresh(database, renderer))


async def have(database: Database, renderer: Renderer, type_: str, number: int) -> bool:
    """Load a version that was live once, for explanations; whether one exists that compiles."""
    if renderer.has(type_, number):
        return True
    found = await versions.get(database, type_, number)
    return found is not None and _add(renderer, found)


async def have_all(database: Database, renderer: Renderer, wanted: Iterable[tuple[str, int | None]]) -> None:
    """Load versions that were live once, for explanations: pairs of type and version."""
    for type_, number in {(plain(type_), number) for type_, number in wanted}:
        if number is not None and type_ in renderer.shipped:
            await have(database, renderer, type_, number)


async def save(database: Database, before: Draft, wording: Wording, actor: str, now: int) -> Draft:
    """Save a draft over its revision `before`; raises Problem 40902 where somebody else has saved it since."""
    new = msgspec.structs.replace(
        before, wording=encode(wording), revision=before.revision + 1, updated_at=now, actor=actor
    )
    if not await versions.save_draft(database, new):
        raise problem(40902, f"the draft of {before.type} is at another revision than {before.revision}", "/revision")
    return new


async def publish(
    database: Database, type_: str, wording: Wording, *, based_on: int, origin: str, actor: str, why: str, now: int,
    drafted: int | None = None,
) -> Version:  # fmt: skip
    """Publish a checked wording as the next version; the draft that it came from, at revision `drafted`, is deleted.

    Raises Problem 40902 where another version has been published since the one it is based on.
    """
    new = Version(
        type=type_, number=based_on + 1, wording=encode(wording), origin=origin, published_at=now, actor=actor, why=why
    )
    live = (await versions.live(database)).get(type_, 0)
    if live != based_on or not await versions.publish(database, new, drafted):
        raise problem(40902, f"{type_} has moved on: version {live} is live, this is based on {based_on}", "/based_on")
    log.info("templates.published", type=type_, version=new.number, origin=origin)
    return new


async def _go_live(database: Database, renderer: Renderer, type_: str, number: int) -> bool:
    found = await versions.get(database, type_, number)
    if found is None or not _add(renderer, found):
        return False
    renderer.go_live(type_, number)
    return True


def _add(renderer: Renderer, version: Version) -> bool:
    try:
        renderer.add(version.type, version.number, read(renderer, version.type, version.wording))
    except (ConfigurationError, Problem) as error:
        log.error("templates.refused", type=version.type, version=version.number, detail=str(error))
        return False
    return True
