"""The gate: the checks that every new version of the texts must pass.

Texts are compiled and rendered in the confined child, on the last real payloads and in every locale. Errors block a
version; warnings require a reason.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.problems import problem
from notifier.pipeline.engine import Engine
from notifier.rendering import Renderer
from notifier.rendering.changes import Changes, compare
from notifier.rendering.confined import Confined, RenderTrial, TrialAnswer, TrialRequest
from notifier.rendering.findings import LintFinding
from notifier.rendering.lint import RenderedSample, lint
from notifier.rendering.texts import Texts, Wording, alike, encode
from notifier.store.console import versions
from notifier.store.console.versions import Draft, Version
from notifier.store.reading import payloads
from notifier.texts import publishing

PAYLOADS = 10  # real events that texts are rendered with: enough to reach their conditions, quick in four locales
TOGETHER = 6  # locales in one request: with the largest mails the response stays within the child's limit
ZONE = "Europe/Berlin"  # the recipient of trial messages: any will do, if both versions get the same


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's report on a wording: its findings, its changes, and the messages it was tried with."""

    findings: list[LintFinding]
    changes: Changes
    seen: list[RenderedSample]
    based_on: int

    @property
    def blocked(self) -> bool:
        """Whether there is an error, which blocks publication."""
        return any(each.level == "error" for each in self.findings)

    @property
    def doubtful(self) -> bool:
        """Whether there is a warning, which requires a reason."""
        return any(each.level == "warning" for each in self.findings)


async def check(
    engine: Engine, confined: Confined, type_: str, wording: Wording,
    samples: Mapping[str, Mapping[str, Any]] | None = None,
) -> GateReport:  # fmt: skip
    """Try a wording beside the live one, in the messages that people would get: made of these samples, by name, or of
    the last real events. Raises Problem 40401 for an unknown type."""
    kind = engine.catalog.types.get(type_)
    if kind is None:
        raise problem(40401, f"there is no notification type {type_!r}")
    samples = await payloads_of(engine, kind) if samples is None else samples
    live, based_on = await live_wording(engine, type_)
    answer, will = await trial(confined, kind, wording, samples, unlike={})
    _, was = await trial(confined, kind, live, samples, unlike=wording)
    return GateReport(
        findings=lint(kind, wording, answer, will, locales(engine.renderer, engine.catalog)),
        changes=compare(kind, live, wording, was, will),
        seen=will,
        based_on=based_on,
    )


async def publish(
    engine: Engine,
    confined: Confined,
    type_: str,
    wording: Wording,
    *,
    based_on: int,
    actor: str,
    why: str,
    origin: str,
    drafted: int | None = None,
) -> tuple[Version | None, GateReport]:
    """Publish a wording that passes; the version is None where it doesn't, for an error or for lack of a reason.

    `drafted` is the revision of the draft that it was. Raises Problem 40902 where another version has been published
    since the one it is based on.
    """
    checked = await check(engine, confined, type_, wording)
    if checked.blocked or (checked.doubtful and not why.strip()):
        return None, checked
    new = await publishing.publish(
        engine.database, type_, wording, based_on=based_on, origin=origin, actor=actor, why=why.strip(),
        now=engine.clock.now(), drafted=drafted,
    )  # fmt: skip
    await publishing.refresh(engine.database, engine.renderer)
    return new, checked


async def roll_back(
    engine: Engine, confined: Confined, type_: str, to: int, *, based_on: int, actor: str, why: str
) -> tuple[Version | None, GateReport]:
    """Publish an earlier version again, as a new one and with the same checks: names that its texts use may be gone
    since. A draft stays. Raises Problem 40401 where there is no such version, 40902 as `publish` does."""
    found = await versions.get(engine.database, type_, to)
    if found is None:
        raise problem(40401, f"{type_} has no version {to}")
    wording = publishing.read(engine.renderer, type_, found.wording)
    return await publish(
        engine, confined, type_, wording, based_on=based_on, actor=actor, why=why, origin=f"rollback:{to}"
    )


async def draft(engine: Engine, type_: str) -> Draft:
    """The draft of a type; where there is none, the one that a save would begin: the live version, at revision 0."""
    found = await versions.draft(engine.database, type_)
    if found is not None:
        return found
    wording, number = await live_wording(engine, type_)
    return Draft(type=type_, wording=encode(wording), based_on=number, revision=0, updated_at=0, actor="")


async def preview(
    confined: Confined, kind: NotificationType, wording: Wording, trials: Sequence[RenderTrial]
) -> TrialAnswer:
    """A wording's messages for an editor, faults and all: the same renderer as for sending."""
    return await confined.ask(TrialRequest(kind.id, encode(wording), list(trials)))


async def live_wording(engine: Engine, type_: str) -> tuple[dict[str, Texts], int]:
    """The wording used for sending, and its version; version 0 stands for the files."""
    number = (await versions.live(engine.database)).get(type_, 0)
    found = await versions.get(engine.database, type_, number) if number else None
    if found is None:
        return dict(engine.renderer.shipped[type_]), 0
    return publishing.read(engine.renderer, type_, found.wording), number


async def payloads_of(engine: Engine, kind: NotificationType) -> dict[str, dict[str, Any]]:
    """Payloads to try texts with, by name: the last real ones, then the type's samples."""
    real = await payloads.last(engine.database, kind.id, PAYLOADS)
    named: dict[str, dict[str, Any]] = {f"event {id_[:8]}": data for id_, data in real.items()}
    return named | {sample.name: sample.data for sample in kind.samples}


def locales(renderer: Renderer, catalog: Catalog) -> list[str]:
    """The network's locales: those of any type's texts."""
    return sorted({locale for type_ in catalog.types for locale in renderer.shipped[type_]})


async def trial(
    confined: Confined, kind: NotificationType, wording: Wording, samples: Mapping[str, Mapping[str, Any]],
    unlike: Wording,
) -> tuple[TrialAnswer, list[RenderedSample]]:  # fmt: skip
    """Compile a wording and render its messages, except those identical to another wording's (`unlike`)."""
    seen: list[RenderedSample] = []
    answer = TrialAnswer()
    for first in range(0, len(wording), TOGETHER):
        named = [
            (locale, name, channel)
            for locale in list(wording)[first : first + TOGETHER]
            for name in samples
            for channel in kind.channels
            if not alike(wording, unlike, locale, channel)
        ]
        trials = [RenderTrial(channel, locale, ZONE, dict(samples[name])) for locale, name, channel in named]
        answer = await confined.ask(TrialRequest(kind.id, encode(wording), trials))
        if answer.faults or answer.end != "done":
            break
        pairs = zip(named, answer.tried, strict=True)
        seen += [RenderedSample(channel, locale, name, tried) for (locale, name, channel), tried in pairs]
    return answer, seen
