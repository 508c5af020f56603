"""Setting up, starting and ending experiments, by whoever may: each step is checked and stands in the audit."""

from typing import Final

import msgspec

from notifier.domain.experiments import (
    Experiment,
    ExperimentState,
    Plan,
    faults,
    free_points,
)
from notifier.domain.problems import problem
from notifier.pipeline.engine import Engine
from notifier.rendering.confined import Confined
from notifier.store.console import experiments as store
from notifier.store.console import versions
from notifier.store.core.audit import AuditEntry
from notifier.texts import gate, publishing

NEW: Final = 0
"""The revision of an experiment that isn't there yet."""


async def get(engine: Engine, id_: str) -> Experiment:
    """An experiment; raises Problem 40401 where there is none with this id."""
    found = await store.get(engine.database, id_)
    if found is None:
        raise problem(40401, "there is no experiment with this id")
    return found


async def put(engine: Engine, id_: str, plan: Plan, revision: int, actor: str) -> Experiment:
    """Write an experiment's plan over a revision of it, 0 where it is new; what is written already changes nothing.

    Of one that runs only the weights and the duration may change; the people who must move for new weights do, and
    nobody else. Raises Problem 42208 for a plan that can't be, and 40902 where the experiment is at another revision.
    """
    for pointer, fault in faults(plan, engine.catalog.types):
        raise problem(42208, fault, pointer)
    for name, arm in plan.arms.items():
        if arm.version is not None and await versions.get(engine.database, plan.type, arm.version) is None:
            raise problem(42208, f"{plan.type} has no version {arm.version}", f"/arms/{name}/version")
    now, before = engine.clock.now(), await store.get(engine.database, id_)
    if before is None:
        new = Experiment(id=id_, plan=plan, created_at=now, updated_at=now)
        return await _save(engine, new, revision + 1, actor, "experiment.plan", plan.type)
    if before.plan == plan:
        return before
    if before.state == ExperimentState.ENDED:
        raise problem(40902, f"{id_} has ended; try it again under another id")
    if before.state == ExperimentState.DRAFT:
        return await _save(engine, _with(before, plan=plan), revision + 1, actor, "experiment.plan", plan.type)
    if msgspec.structs.replace(before.plan, weights=plan.weights, longest=plan.longest) != plan:
        raise problem(42208, "of an experiment that runs only weights and longest may change", "/arms")
    allocations = before.allocations
    if plan.weights != before.plan.weights:
        allocations += (dict(plan.weights),)
    changed = _with(before, plan=plan, allocations=allocations)
    return await _save(engine, changed, revision + 1, actor, "experiment.weights", _told(plan))


async def start(engine: Engine, id_: str, actor: str) -> Experiment:
    """Start an experiment; one that runs goes on. Raises Problem 42208 where others leave too few people, 40902 where
    it has ended."""
    before = await get(engine, id_)
    if before.state == ExperimentState.RUNNING:
        return before
    if before.state == ExperimentState.ENDED:
        raise problem(40902, f"{id_} has ended; try it again under another id")
    running = await store.every(engine.database, ExperimentState.RUNNING)
    try:
        points = free_points(before.plan.share, (each for each in running if each.plan.type == before.plan.type))
    except ValueError as error:
        raise problem(42208, str(error), "/share") from None
    new = _with(
        before, state=ExperimentState.RUNNING, started_at=engine.clock.now(), points=points,
        allocations=(dict(before.plan.weights),),
    )  # fmt: skip
    return await _save(engine, new, before.revision + 1, actor, "experiment.start", _told(before.plan))


async def end(engine: Engine, id_: str, actor: str, why: str, winner: str | None = None) -> Experiment:
    """End an experiment, for a reason and with the arm that is decided for, if any; one that has ended stays as it is.

    Everybody is told by the live texts from then on. Raises Problem 42208 for an arm that there isn't.
    """
    before = await get(engine, id_)
    if before.state == ExperimentState.ENDED:
        return before
    if winner is not None and winner not in before.plan.arms:
        raise problem(42208, f"{id_} has no arm {winner!r}; it has {', '.join(before.plan.arms)}", "/winner")
    new = _with(before, state=ExperimentState.ENDED, ended_at=engine.clock.now(), winner=winner, ended_because=why)
    return await _save(engine, new, before.revision + 1, actor, "experiment.end", winner or "")


async def decide(
    engine: Engine, confined: Confined, id_: str, actor: str, why: str, winner: str, based_on: int | None = None
) -> Experiment:
    """End an experiment for an arm, and publish the arm's texts by the gate, with the experiment as its reason.

    Texts that are live already aren't published again: what was cut short goes on. Raises Problem 42207 for texts that
    don't pass, 42208 for an arm that there isn't or that has no texts of its own, and 40902 where the experiment
    doesn't run, or another version is live than `based_on`.
    """
    found = await get(engine, id_)
    arm = found.plan.arms.get(winner)
    if arm is None or arm.version is None:
        raise problem(42208, f"the arm {winner!r} has no texts of its own to publish", "/winner")
    if found.state != ExperimentState.RUNNING:
        raise problem(40902, f"{id_} doesn't run; publish version {arm.version} as any other", "/state")
    wording, live = await gate.live_wording(engine, found.plan.type)
    wanted = await versions.get(engine.database, found.plan.type, arm.version)
    if wanted is None or publishing.read(engine.renderer, found.plan.type, wanted.wording) != wording:
        new, checked = await gate.roll_back(
            engine, confined, found.plan.type, arm.version, based_on=live if based_on is None else based_on,
            actor=actor, why=f"Experiment {id_}: {why}",
        )  # fmt: skip
        if new is None:
            told = "; ".join(f"{each.place}: {each.words}" for each in checked.findings if each.level == "error")
            raise problem(42207, f"errors keep the texts from being published: {told}", "/winner")
    return await end(engine, id_, actor, why, winner)


def _with(before: Experiment, **changes: object) -> Experiment:
    return msgspec.structs.replace(before, **changes)


def _told(plan: Plan) -> str:
    return ", ".join(f"{arm} {weight / 100:g} %" for arm, weight in plan.weights.items())


async def _save(engine: Engine, new: Experiment, revision: int, actor: str, action: str, detail: str) -> Experiment:
    now = engine.clock.now()
    saved = msgspec.structs.replace(new, revision=revision, updated_at=now)
    entry = AuditEntry(at=now, actor=actor, action=action, subject=new.id, detail=detail)
    if not await store.save(engine.database, saved, entry):
        raise problem(40902, f"the experiment {new.id} is at another revision than {revision - 1}", "/revision")
    return saved
