"""Set-up of an experiment in four steps and a summary. Steps are GETs that carry all that was filled in, so that going
back and signing in again lose nothing; only the summary's button writes."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.console import experiment_form as forms
from notifier.console.experiment_form import STEPS, PlanForm
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.domain.catalog import NotificationType
from notifier.domain.errors import Problem
from notifier.domain.experiments import MOST_ARMS, may_be_silent
from notifier.experiments import managing, planning
from notifier.store.console import experiments as store
from notifier.store.console import versions

CHECK = len(STEPS)
"""The step that shows all of a plan before it is saved."""


async def get_setup(request: Request, context: ConsoleContext) -> Response:
    """Show the step that is asked for, or the first one with something wrong."""
    if not request.query_params.get("type"):
        return page(request, context, "experiment_type.html", kinds=_kinds(context))
    form, do = forms.read(request.query_params), request.query_params.get("do", "")
    _kind(form, context)
    at = _step(request.query_params)
    if do == "add":
        return await _show(request, context, forms.with_arm(form), 1)
    if do == "back":
        return await _show(request, context, forms.weighed(form), max(at - 1, 1))
    form = forms.weighed(form) if at == 1 or not do else form
    _, wrong = forms.read_plan(form, context.engine.catalog.types)
    wanted = at + 1 if do == "next" else at
    for earlier in range(1, min(wanted, CHECK)):
        if any(forms.step_of(field) == earlier for field in wrong):
            return await _show(request, context, form, earlier, wrong, status=422)
    return await _show(request, context, form, min(wanted, CHECK))


async def post_setup(request: Request, context: ConsoleContext) -> Response:
    """Save a plan as a draft, over the revision that its page showed."""
    form = forms.read(request.state.form)
    _kind(form, context)
    plan, wrong = forms.read_plan(form, context.engine.catalog.types)
    if plan is None or not form.experiment or not form.revision.isdigit():
        step = min(map(forms.step_of, wrong), default=CHECK)
        return await _show(request, context, form, step, wrong, status=422)
    try:
        saved = await managing.put(
            context.engine, form.experiment, plan, int(form.revision[:9]), request.state.visit.actor
        )
    except Problem as error:
        moved = error.code == 40902
        fault = "Somebody else has changed it meanwhile: nothing was saved." if moved else f"{error.detail}."
        return await _show(request, context, form, CHECK, status=error.status, fault=fault, moved=moved)
    return RedirectResponse(f"{BASE}/experiments/{saved.id}", 303)


async def _show(
    request: Request, context: ConsoleContext, form: PlanForm, step: int, wrong: Mapping[str, str] | None = None, *,
    status: int = 200, fault: str = "", moved: bool = False,
) -> Response:  # fmt: skip
    engine, kind = context.engine, _kind(form, context)
    if not form.experiment:
        form = form._replace(experiment=await _free_id(context, kind))
    shown: dict[str, Any] = {"live": engine.renderer.live(kind.id)}
    if step == 1:
        shown["versions"] = await versions.every(engine.database, kind.id)
    if step >= CHECK - 1:
        seen = await planning.traffic(engine, kind)
        plan, _ = forms.read_plan(form, engine.catalog.types)
        shown |= {"seen": seen, "plan": plan, "forecast": planning.forecast(plan, seen) if plan else None}
    return page(
        request, context, "experiment_setup.html", status=status, form=form, kind=kind, step=step, steps=STEPS,
        wrong=wrong or {}, fault=fault, moved=moved, silent=may_be_silent(kind), more=len(form.arms) < MOST_ARMS,
        said_of=forms.said_of, **shown,
    )  # fmt: skip


def _kind(form: PlanForm, context: ConsoleContext) -> NotificationType:
    kind = context.engine.catalog.types.get(form.type)
    if kind is None:
        raise HTTPException(404)
    return kind


def _kinds(context: ConsoleContext) -> list[NotificationType]:
    """The types that may be experimented with."""
    return [
        kind for kind in context.engine.catalog.types.values() if kind.outcome is not None and kind.class_ != "security"
    ]


async def _free_id(context: ConsoleContext, kind: NotificationType) -> str:
    taken = {each.id for each in await store.every(context.engine.database)}
    return next(id_ for number in count(1) if (id_ := f"{kind.id[:50]}-{number}") not in taken)


def _step(fields: Mapping[str, str]) -> int:
    given = fields.get("step", "1")
    if given not in map(str, range(1, CHECK + 1)):
        raise HTTPException(400)
    return int(given)


SCREENS = [
    Screen(path="/experiments-new", handler=get_setup, permission="publish"),
    Screen(path="/experiments-new", handler=post_setup, permission="publish", method="POST"),
]
