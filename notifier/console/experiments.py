"""Experiments: those that run, are planned and have ended; what each has come to, and what can be done about it."""

from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console import experiment_form as forms
from notifier.console.forms import text
from notifier.console.gains import Gain, gains, signed
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.domain.catalog import NotificationType
from notifier.domain.effects import hour_of
from notifier.domain.errors import Problem
from notifier.domain.experiments import CONTROL, Experiment, ExperimentState
from notifier.domain.statistics import Finding
from notifier.experiments import managing, results
from notifier.experiments.results import GUARDED, Result
from notifier.store.console import experiments as store
from notifier.store.core import audit
from notifier.texts import gate

TONES = {
    Finding.MISMATCH: "bad", Finding.HARM: "bad", Finding.WINNER: "good", Finding.NO_WINNER: "quiet",
    Finding.KEEP_GOING: "wait",
}  # fmt: skip
"""The look of a finding."""
RAILS = {
    "failed": "Failed", "unsubscribed": "Unsubscribed", "complained": "Complained", "stopped": "Replied STOP",
    "switched_off": "Switched off", "segments": "SMS",
}  # fmt: skip
"""What no arm may make worse, in words."""
DONE = {
    "saved": "Saved.", "started": "It runs. Every process knows of it within two seconds.",
    "ended": "It has ended. Everybody is told by the live texts.",
    "published": "It has ended, and the arm’s texts are published. All new messages use them.",
}  # fmt: skip
"""What was done, in words."""
HISTORY = 100
"""Entries of the audit on an experiment's page."""
MOST_REASON = 500
"""Characters of a reason."""


class Line(NamedTuple):
    """An experiment in the list, with its type's name and, where it has started, how many people it has and what it
    has come to."""

    held: Experiment
    name: str
    people: int | None
    words: str
    tone: str


async def get_experiments(request: Request, context: ConsoleContext) -> Response:
    """Show all experiments."""
    every = await store.every(context.engine.database)
    types = context.engine.catalog.types
    running = [each for each in every if each.state == ExperimentState.RUNNING and each.plan.type in types]
    found = await results.read_all(context.engine, running)
    read = {each.id: result for each, result in zip(running, found, strict=True)}
    lines = {
        state: [_line(each, context, read.get(each.id)) for each in every if each.state == state]
        for state in (ExperimentState.RUNNING, ExperimentState.DRAFT, ExperimentState.ENDED)
    }
    return page(request, context, "experiments.html", lines=lines)


async def get_experiment(request: Request, context: ConsoleContext) -> Response:
    """Show an experiment and what it has come to."""
    return await _page(request, context)


async def post_start(request: Request, context: ConsoleContext) -> Response:
    """Start the experiment that the page showed."""
    held = await _as_shown(request, context)
    if held is None:
        return await _moved(request, context)
    try:
        await managing.start(context.engine, held.id, request.state.visit.actor)
    except Problem as error:
        return await _page(request, context, status=error.status, fault=f"Not started: {error.detail}.")
    return _done(held, "started")


async def post_weights(request: Request, context: ConsoleContext) -> Response:
    """Change the weights and the longest duration of an experiment that runs."""
    held, form = await _as_shown(request, context), request.state.form
    if held is None:
        return await _moved(request, context)
    percents = {name: text(form, f"weight_{at}") for at, name in enumerate(held.plan.arms)}
    longest = text(form, "longest").strip()
    sent = {"percents": percents, "longest": longest}
    try:
        weights = forms.read_weights(percents)
    except ValueError as error:
        return await _page(request, context, status=422, wrong={"weights": str(error)}, sent=sent)
    plan = forms.reweighed(held.plan, weights, longest)
    try:
        await managing.put(context.engine, held.id, plan, held.revision, request.state.visit.actor)
    except Problem as error:
        if error.status == 409:
            return await _moved(request, context)
        wrong = {(error.pointer or "").strip("/"): error.detail}
        return await _page(request, context, status=422, wrong=wrong, sent=sent)
    return _done(held, "saved")


async def post_end(request: Request, context: ConsoleContext) -> Response:
    """End an experiment without a winner, for a reason."""
    held, why = await _as_shown(request, context), text(request.state.form, "why").strip()
    if held is None:
        return await _moved(request, context)
    if not why or len(why) > MOST_REASON:
        fault = f"At most {MOST_REASON} characters." if why else "Give a reason."
        return await _page(request, context, status=422, wrong={"why": fault}, sent={"why": why})
    await managing.end(context.engine, held.id, request.state.visit.actor, why)
    return _done(held, "ended")


async def post_decide(request: Request, context: ConsoleContext) -> Response:
    """Publish the texts of the arm that has won, and end the experiment for it."""
    held, form = await _as_shown(request, context), request.state.form
    arm, live = text(form, "arm"), text(form, "live")
    if held is None or arm not in held.plan.arms or not (live.isascii() and live.isdigit() and len(live) < 10):
        return await _moved(request, context)
    read, actor = await results.read(context.engine, held), request.state.visit.actor
    if (read.finding, read.arm) != (Finding.WINNER, arm):
        return await _moved(request, context)
    has_texts = held.plan.arms[arm].version is not None
    try:
        if has_texts:
            await managing.decide(context.engine, context.confined, held.id, actor, read.words, arm, based_on=int(live))
        else:
            await managing.end(context.engine, held.id, actor, read.words, winner=arm)
    except Problem as error:
        if error.status == 409:
            return await _moved(request, context)
        return await _page(request, context, status=error.status, fault=f"Nothing was done: {error.detail}.")
    return _done(held, "published" if has_texts else "ended")


async def _page(
    request: Request, context: ConsoleContext, *, status: int = 200, fault: str = "",
    wrong: dict[str, str] | None = None, sent: dict[str, Any] | None = None,
) -> Response:  # fmt: skip
    held, engine = await _found(request, context), context.engine
    kind = engine.catalog.types.get(held.plan.type)
    read = await results.read(engine, held) if kind and held.started_at is not None else None
    told = await audit.of(engine.database, held.id, held.created_at, held.updated_at, HISTORY)
    live = (await gate.live_wording(engine, kind.id))[1] if kind else 0
    percents = {name: f"{weight / forms.PERCENT:g}" for name, weight in held.plan.weights.items()}
    values: dict[str, Any] = {"percents": percents, "longest": held.plan.longest, "why": "", **(sent or {})}
    return page(
        request, context, "experiment.html", status=status, held=held, plan=held.plan, kind=kind, read=read,
        name=kind.name if kind else held.plan.type, told=told.rows, live=live, fault=fault, wrong=wrong or {},
        values=values, control=CONTROL, rails=RAILS, guarded=GUARDED,
        headings=[f">{each}" for each in RAILS.values()], said_of=forms.said_of,
        tone=TONES[read.finding] if read else "quiet", gains=_gains(read, held, kind), signed=signed,
        counts=_counts(read),
        change=forms.form_of(held.id, held.plan, held.revision).fields(), most=MOST_REASON,
        done=DONE.get(request.query_params.get("done", ""), ""), per_point=forms.PERCENT,
    )  # fmt: skip


def _gains(read: Result | None, held: Experiment, kind: NotificationType | None) -> list[Gain]:
    """The gains over time of the variants of which any is known."""
    if read is None or held.started_at is None or kind is None or kind.outcome is None:
        return []
    arms, first = {each.arm: each for each in read.arms}, hour_of(held.started_at)
    control = arms.pop(CONTROL)
    drawn = [gains(control, each, read.looks, first, held.plan.gain, kind.outcome) for each in arms.values()]
    return [each for each in drawn if each is not None]


def _counts(read: Result | None) -> dict[str, int]:
    return {} if read is None else {each.arm: each.people for each in read.arms}


def _line(held: Experiment, context: ConsoleContext, read: Result | None) -> Line:
    kind = context.engine.catalog.types.get(held.plan.type)
    name = kind.name if kind else held.plan.type
    if held.state == ExperimentState.ENDED:
        words = f"{held.winner} was decided for." if held.winner else held.ended_because or ""
        return Line(held, name, None, words, "good" if held.winner else "quiet")
    if read is None:
        words = "The type is no longer there." if kind is None else ""
        return Line(held, name, None, words, "warn" if kind is None else "quiet")
    return Line(held, name, sum(each.people for each in read.arms), read.words, TONES[read.finding])


async def _found(request: Request, context: ConsoleContext) -> Experiment:
    held = await store.get(context.engine.database, request.path_params["experiment"])
    if held is None:
        raise HTTPException(404)
    return held


async def _as_shown(request: Request, context: ConsoleContext) -> Experiment | None:
    """The experiment, None where it isn't any more at the revision that the page showed."""
    held = await _found(request, context)
    return held if text(request.state.form, "revision") == str(held.revision) else None


async def _moved(request: Request, context: ConsoleContext) -> Response:
    fault = "Nothing was done: something has changed since the page was opened. Look at it again."
    return await _page(request, context, status=409, fault=fault)


def _done(held: Experiment, what: str) -> Response:
    return RedirectResponse(f"{BASE}/experiments/{held.id}?done={what}", 303)


SCREENS = [
    Screen(
        path="/experiments", handler=get_experiments, permission="read", title="Experiments", group="Write", key="e"
    ),
    Screen(path="/experiments/{experiment}", handler=get_experiment, permission="read"),
    Screen(path="/experiments/{experiment}/start", handler=post_start, permission="publish", method="POST"),
    Screen(path="/experiments/{experiment}/weights", handler=post_weights, permission="publish", method="POST"),
    Screen(path="/experiments/{experiment}/end", handler=post_end, permission="publish", method="POST"),
    Screen(path="/experiments/{experiment}/decide", handler=post_decide, permission="publish", method="POST"),
]
