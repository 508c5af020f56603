"""Experiments over HTTP: plan one, start it, read what it has come to, and end it."""

from datetime import datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_json
from notifier.domain.clock import to_datetime
from notifier.domain.experiments import ArmName, Experiment, ExperimentId, ExperimentState, Plan
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.experiments import managing, results
from notifier.experiments.results import Result
from notifier.store.console import experiments as store
from notifier.texts.publishing import Reason

MAX_BODY = 64 * 1024  # bytes of a plan: six arms with every member take a few thousand


class NewPlan(Plan, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan over the `revision` of the experiment that was read; 0 where it is new."""

    revision: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 2)] = 0


class ExperimentView(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment: its plan, how far it has come, the weights that it had, oldest first, and the arm that was decided
    for."""

    id: str
    plan: Plan
    state: ExperimentState
    revision: int
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    allocations: tuple[dict[str, int], ...]
    winner: str | None
    ended_because: str | None


class ExperimentList(msgspec.Struct, frozen=True):
    """All experiments, the one that was changed last first."""

    experiments: list[ExperimentView]


class ExperimentResult(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment and what it has come to."""

    experiment: ExperimentView
    result: Result


class Ending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an experiment ends, and for which arm it is decided. With `publish`, the texts of that arm go live by the
    gate."""

    why: Reason
    winner: ArmName | None = None
    publish: bool = False


async def get_experiments(_request: Request, context: ApiContext) -> Response:
    """List all experiments."""
    found = await store.every(context.engine.database)
    return answer(ExperimentList([_view(each) for each in found]))


async def get_experiment(request: Request, context: ApiContext) -> Response:
    """Return an experiment and what it has come to. Looking often does no harm: the intervals hold at every look."""
    found = await managing.get(context.engine, _id(request))
    return answer(ExperimentResult(experiment=_view(found), result=await results.read(context.engine, found)))


async def put_experiment(request: Request, context: ApiContext) -> Response:
    """Write an experiment's plan. Of one that runs only the weights and the duration may change; whoever needn't move
    for new weights stays in their arm."""
    given = await read_json(request, NewPlan, MAX_BODY)
    plan = Plan(**{name: getattr(given, name) for name in Plan.__struct_fields__})
    return answer(_view(await managing.put(context.engine, _id(request), plan, given.revision, _actor(request))))


async def post_start(request: Request, context: ApiContext) -> Response:
    """Start an experiment. Repeating the request changes nothing."""
    return answer(_view(await managing.start(context.engine, _id(request), _actor(request))))


async def post_end(request: Request, context: ApiContext) -> Response:
    """End an experiment: everybody is told by the live texts again. Repeating the request changes nothing."""
    given = await read_json(request, Ending, MAX_BODY)
    actor = _actor(request)
    if given.publish:
        if given.winner is None:
            raise problem(42208, "publish needs a winner, whose texts go live", "/winner")
        ended = await managing.decide(context.engine, context.confined, _id(request), actor, given.why, given.winner)
    else:
        ended = await managing.end(context.engine, _id(request), actor, given.why, given.winner)
    return answer(_view(ended))


def _id(request: Request) -> str:
    try:
        return msgspec.convert(request.path_params["id"], ExperimentId)
    except msgspec.ValidationError:
        raise problem(42205, "the path's id is 1 to 60 characters, without spaces and slashes", "/id") from None


def _actor(request: Request) -> str:
    key: ApiKey = request.state.key
    return key.name


def _view(found: Experiment) -> ExperimentView:
    return ExperimentView(
        id=found.id, plan=found.plan, state=found.state, revision=found.revision,
        updated_at=to_datetime(found.updated_at), started_at=_moment(found.started_at),
        ended_at=_moment(found.ended_at), allocations=found.allocations, winner=found.winner,
        ended_because=found.ended_because,
    )  # fmt: skip


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/experiments",
        scope="texts:read",
        handler=get_experiments,
        summary="List experiments",
        gives={200: ExperimentList},
    ),
    Endpoint(
        method="GET",
        path="/v1/experiments/{id}",
        scope="texts:read",
        handler=get_experiment,
        summary="What an experiment has come to",
        gives={200: ExperimentResult},
        problems=(40401, 42205),
    ),
    Endpoint(
        method="PUT",
        path="/v1/experiments/{id}",
        scope="texts:write",
        handler=put_experiment,
        summary="Write an experiment's plan",
        takes={"application/json": NewPlan},
        gives={200: ExperimentView},
        problems=(40902, 42205, 42208),
    ),
    Endpoint(
        method="POST",
        path="/v1/experiments/{id}/start",
        scope="texts:publish",
        handler=post_start,
        summary="Start an experiment",
        gives={200: ExperimentView},
        problems=(40401, 40902, 42205, 42208),
    ),
    Endpoint(
        method="POST",
        path="/v1/experiments/{id}/end",
        scope="texts:publish",
        handler=post_end,
        summary="End an experiment, and publish the winner's texts",
        takes={"application/json": Ending},
        gives={200: ExperimentView},
        problems=(40401, 40902, 42205, 42207, 42208),
    ),
]
