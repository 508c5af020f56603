"""How decisions were written down before they were in short, made into how they are since. Migrations use it, so it
stays as it is, whatever becomes of the form: it knows nothing of the rest of the package.

A row that is in short already stays, so that a run which was interrupted can be gone on with.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

PLAIN: Final[tuple[Any, ...]] = ("pending", "type_default", None, 0, None)
UNSAID: Final[tuple[Any, ...]] = ("en", "UTC", [], {})
CHOSEN: Final[dict[str, Any]] = {
    "channels": {}, "categories": {}, "switches": {}, "quiet_hours": None, "digests": {}, "everything": True,
    "locale": None, "time_zone": None,
}  # fmt: skip
PRESET: Final[dict[str, Any]] = {
    "channels": {}, "categories": {}, "switches": {}, "quiet_hours": None, "digests": {}, "locked": {},
}  # fmt: skip


def deliveries_of(document: str) -> list[str]:
    """The ids of the deliveries that a decision's answers name."""
    answers = msgspec.json.decode(document)
    named = (each[1] if isinstance(each, list) else each.get("delivery") for each in answers)
    return [id_ for id_ in named if id_ is not None]


def short_answers(document: str, decided_at: int, rename: Callable[[str], str] = str) -> str:
    """The answers of a decision in short, from objects with a name for each member; `rename` makes a delivery's new id
    of its old one."""
    answers = msgspec.json.decode(document)
    if all(isinstance(each, list) for each in answers):
        return document
    return _document([_answer(each, decided_at, rename) for each in answers])


def short_standing(document: str | None, type_id: str, decided_at: int) -> str | None:
    """The person's facts in short, from an object with a name for each; None where there are none."""
    facts = None if document is None else msgspec.json.decode(document)
    if facts is None:
        return None
    return document if isinstance(facts, list) else _document(_facts(facts, type_id, decided_at))


def _answer(told: Mapping[str, Any], decided_at: int, rename: Callable[[str], str]) -> list[Any]:
    due_in = told["due_at"] - decided_at
    rest = [told["answer"], told.get("rule"), told.get("reason"), due_in, told.get("by")]
    id_ = told.get("delivery")
    return [told["channel"], None if id_ is None else rename(id_), *_shortened(rest, PLAIN)]


def _facts(told: Mapping[str, Any], type_id: str, decided_at: int) -> list[Any]:
    named = {name: told[name] for name in ("consents", "suppressed", "region") if told.get(name)}
    if chosen := _said(told.get("preferences", {}), CHOSEN):
        named["preferences"] = chosen
    if told.get("defaults"):
        named["defaults"] = [[tenant, _said(preset, PRESET)] for tenant, preset in told["defaults"]]
    if told.get("spent"):
        named["spent"] = {
            "type:" if name == f"type:{type_id}" else name: [moment - decided_at for moment in moments]
            for name, moments in told["spent"].items()
        }
    first = [told.get("locale", "en"), told.get("time_zone", "UTC"), told.get("reachable", [])]
    return _shortened([*first, named], UNSAID)


def _said(choices: Mapping[str, Any], silent: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in choices.items() if name not in silent or value != silent[name]}


def _shortened(values: list[Any], silent: Sequence[Any]) -> list[Any]:
    while values and values[-1] == silent[len(values) - 1]:
        values.pop()
    return values


def _document(value: Any) -> str:
    return msgspec.json.encode(value).decode()
