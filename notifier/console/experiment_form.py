"""The form of an experiment's plan as it was filled in, and the plan that it makes: shares in percent, a gain in
percentage points, and what is wrong beside the field that has it."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from notifier.domain.assignment import POINTS
from notifier.domain.catalog import NotificationType
from notifier.domain.experiments import CONTROL, MOST_ARMS, Arm, ArmName, Plan, Why, faults

PERCENT: Final = POINTS // 100
"""Points of a weight in a percent."""
LIVE: Final = ""
"""The texts of an arm that has none of its own."""
NOTHING: Final = "nothing"
"""The texts of an arm that is told nothing."""
STEPS: Final = ("What changes", "For whom", "What is measured", "How long", "Check")

_WHERE: Final[Mapping[str, int]] = {
    "why": 1, "arms": 1, "weights": 2, "share": 2, "gain": 3, "longest": 4,
}  # fmt: skip
"""The step that has a field; the fields of arms are on the first."""


class ArmForm(NamedTuple):
    """An arm as it was filled in; `weight` is in percent."""

    name: str = ""
    texts: str = LIVE
    later: str = ""
    channels: str = ""
    weight: str = ""


class PlanForm(NamedTuple):
    """A plan as it was filled in, with the control first among its arms; `experiment` is the id, and `revision` what it
    is written over."""

    type: str
    experiment: str = ""
    revision: str = "0"
    why: str = ""
    arms: tuple[ArmForm, ...] = (ArmForm(CONTROL), ArmForm("variant"))
    share: str = "100"
    gain: str = "5"
    longest: str = "28 d"

    def fields(self) -> dict[str, str]:
        """The form's fields, by which the next page has them again."""
        own = {name: value for name, value in self._asdict().items() if name != "arms"}
        of = {f"{name}_{at}": each for at, arm in enumerate(self.arms) for name, each in arm._asdict().items()}
        return own | of


def read(fields: Mapping[str, Any]) -> PlanForm:
    """The form that was sent; an arm without a name is left out."""
    arms = [
        ArmForm(*(str(fields.get(f"{name}_{at}", "")).strip() for name in ArmForm._fields)) for at in range(MOST_ARMS)
    ]
    given: dict[str, Any] = {
        name: str(fields[name]).strip() for name in PlanForm._fields if name in fields and name != "arms"
    }
    form = PlanForm(type="")._replace(**given)
    if "name_0" not in fields:
        return form
    return form._replace(arms=(arms[0]._replace(name=CONTROL), *(arm for arm in arms[1:] if arm.name)))


def form_of(id_: str, plan: Plan, revision: int) -> PlanForm:
    """The form of a plan that is kept."""
    names = sorted(plan.arms, key=lambda name: name != CONTROL)
    return PlanForm(
        type=plan.type, experiment=id_, revision=str(revision), why=plan.why,
        arms=tuple(_arm_form(name, plan.arms[name], plan.weights[name]) for name in names), share=str(plan.share),
        gain=f"{plan.gain * 100:g}", longest=plan.longest,
    )  # fmt: skip


def with_arm(form: PlanForm) -> PlanForm:
    """The form with one arm more, and everybody divided anew."""
    if len(form.arms) == MOST_ARMS:
        return form
    taken = {arm.name for arm in form.arms}
    name = next(
        name for at in range(1, 2 * MOST_ARMS) if (name := f"variant-{at}" if at > 1 else "variant") not in taken
    )
    return evenly(form._replace(arms=(*form.arms, ArmForm(name))))


def evenly(form: PlanForm) -> PlanForm:
    """The form with the same percentage for each arm, to a hundredth; the control has what is left."""
    each = POINTS // len(form.arms)
    points = [POINTS - each * (len(form.arms) - 1), *[each] * (len(form.arms) - 1)]
    arms = zip(form.arms, points, strict=True)
    return form._replace(arms=tuple(arm._replace(weight=f"{of / PERCENT:g}") for arm, of in arms))


def weighed(form: PlanForm) -> PlanForm:
    """The form with weights: those that it has, if they are a hundred together."""
    try:
        whole = sum(read_percent(arm.weight) for arm in form.arms) == POINTS
    except ValueError:
        whole = False
    return form if whole else evenly(form)


def read_percent(given: str) -> int:
    """The points of a percentage such as "50" or "33.34", whose decimals may follow a comma; ValueError otherwise."""
    found = re.fullmatch(r"(\d{1,3})(?:[.,](\d{1,2}))?", given.removesuffix("%").strip(), re.ASCII)
    if found is None or int(found[1]) > 100:
        raise ValueError("a percentage from 0 to 100, such as 50 or 33.34")
    return int(found[1]) * PERCENT + int((found[2] or "0").ljust(2, "0"))


def read_weights(given: Mapping[str, str]) -> dict[str, int]:
    """The weights of arms by their percentages; ValueError where they aren't a hundred together."""
    weights = {name: read_percent(percent) for name, percent in given.items()}
    if (whole := sum(weights.values())) != POINTS:
        raise ValueError(f"the percentages are 100 together, not {whole / PERCENT:g}")
    return weights


def read_plan(form: PlanForm, types: Mapping[str, NotificationType]) -> tuple[Plan | None, dict[str, str]]:
    """The plan that a form makes, None where it makes none; and what is wrong, by field."""
    wrong: dict[str, str] = {}
    arms: dict[str, Arm] = {}
    for at, each in enumerate(form.arms):
        own = dict(_arm_faults(each, taken=arms))
        wrong |= {f"{field}_{at}": fault for field, fault in own.items()}
        if not own:
            arms[each.name] = _arm(each)
    found: dict[str, Any] = {}
    for field, read in _READ.items():
        try:
            found[field] = read(form)
        except ValueError as error:
            wrong[field] = str(error)
    if wrong:
        return None, wrong
    plan = Plan(type=form.type, arms=arms, longest=form.longest, **found)
    for pointer, fault in faults(plan, types):
        wrong.setdefault(_field(pointer, list(arms)), fault)
    return None if wrong else plan, wrong


def step_of(field: str) -> int:
    """The step that has a field, from 1."""
    return _WHERE.get(field, 1)


def _arm(form: ArmForm) -> Arm:
    version = int(form.texts) if form.texts.isdigit() else None
    channels = tuple(each for each in re.split(r"[\s,]+", form.channels) if each)
    return Arm(version=version, later=form.later or None, channels=channels, silent=form.texts == NOTHING)


def _arm_faults(form: ArmForm, taken: Collection[str]) -> Iterable[tuple[str, str]]:
    """What is wrong with an arm by itself: the field and the reason."""
    try:
        msgspec.convert(form.name, ArmName)
    except msgspec.ValidationError:
        yield "name", "begin with a letter, and use a to z, 0 to 9 and - alone, 30 at most"
    if form.name in taken:
        yield "name", "another arm has this name"
    if form.texts not in (LIVE, NOTHING) and not re.fullmatch("[0-9]{1,9}", form.texts):
        yield "texts", "there is no such version of the texts"
    elif form.name != CONTROL and _arm(form) == Arm():
        yield "texts", "nothing differs from the control: choose other texts, a delay or channels"


def _field(pointer: str, arms: Sequence[str]) -> str:
    """The form's field that a JSON pointer into the plan means."""
    match pointer.strip("/").split("/"):
        case ["arms", name, member]:
            return f"{'texts' if member in ('silent', 'version') else member}_{arms.index(name)}"
        case parts:
            return parts[0]


def _arm_form(name: str, arm: Arm, weight: int) -> ArmForm:
    texts = NOTHING if arm.silent else LIVE if arm.version is None else str(arm.version)
    return ArmForm(name, texts, arm.later or "", ", ".join(arm.channels), f"{weight / PERCENT:g}")


def _weights(form: PlanForm) -> dict[str, int]:
    return read_weights({arm.name: arm.weight for arm in form.arms})


def _share(form: PlanForm) -> int:
    points = read_percent(form.share)
    if points % PERCENT or not points:
        raise ValueError("a whole percentage from 1 to 100")
    return points // PERCENT


def _gain(form: PlanForm) -> float:
    points = read_percent(form.gain)
    if not 0 < points < POINTS:
        raise ValueError("more than 0 and less than 100 percentage points")
    return points / POINTS


def _why(form: PlanForm) -> str:
    try:
        return msgspec.convert(form.why, Why)
    except msgspec.ValidationError:
        raise ValueError("say in one line of at most 500 characters what is to be found out") from None


_READ: Final[Mapping[str, Callable[[PlanForm], Any]]] = {
    "weights": _weights, "share": _share, "gain": _gain, "why": _why,
}  # fmt: skip


def reweighed(plan: Plan, weights: Mapping[str, int], longest: str) -> Plan:
    """A plan with other weights and another longest duration: all that may change of an experiment that runs."""
    return msgspec.structs.replace(plan, weights=dict(weights), longest=longest)


def said_of(arm: Arm) -> Iterable[str]:
    """What is different for an arm's people, in words."""
    if arm == Arm():
        yield "as it is live"
    if arm.silent:
        yield "told nothing"
    if arm.version is not None:
        yield f"texts of version {arm.version}"
    if arm.later:
        yield f"{arm.later} later"
    if arm.channels:
        yield f"by {', then '.join(arm.channels)} only"
