"""Twins: every type has one for tests, which is kept apart wherever a name tells things apart."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier import policy
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.deliveries import Lane
from notifier.domain.errors import ConfigurationError
from notifier.domain.keys import Bounds
from notifier.domain.retention import BY_CLASS, Part
from notifier.domain.twins import is_test, like, plain, twin
from notifier.policy.retention import Removal, removals
from tests.domain.test_catalog import TYPE, load
from tests.samples import CATALOG, NOW

KINDS = list(CATALOG.types.values())


@given(st.text())
def test_a_name_comes_back_from_its_twin(name: str) -> None:
    assert is_test(twin(name))
    assert plain(twin(name)) == name
    assert (like("x", name), like("x", twin(name))) == ("test:x" if is_test(name) else "x", "test:x")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_a_twin_differs_from_its_type_in_its_names_its_lane_and_what_it_would_end(kind: NotificationType) -> None:
    named = {"id", "name", "event", "supersedes", "cancelled_by", "outcome", "closes", "one_shot"}
    own, other = msgspec.structs.asdict(kind), msgspec.structs.asdict(kind.twin)

    assert {name for name in own if own[name] != other[name]} <= named
    assert (kind.twin.lane, kind.twin.immediate, kind.twin.one_shot) == (Lane.BULK, False, False)
    assert CATALOG.with_twins[twin(kind.id)] is kind.twin
    assert kind.twin in CATALOG.listeners[twin(kind.event)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_no_key_of_a_twin_is_one_of_its_type(kind: NotificationType) -> None:
    data = kind.samples[0].data

    for make in (policy.subject_key, policy.collapse_key):
        assert make(kind, data) != make(kind.twin, data)
    if kind.digest:
        assert policy.digest_group(kind, data, "ada") != policy.digest_group(kind.twin, data, "ada")


def test_what_a_twin_makes_untrue_are_twins() -> None:
    named = [name for each in KINDS for name in (*each.twin.supersedes, *each.twin.closes, *each.twin.cancelled_by)]

    assert named
    assert all(map(is_test, named))
    assert {is_test(name) for name in CATALOG.cancels} == {True, False}
    for event, kinds in CATALOG.cancels.items():
        assert {is_test(kind.id) for kind in kinds} == {is_test(event)}


def test_nobody_who_looks_through_the_catalog_meets_a_twin() -> None:
    assert not any(is_test(name) for name in [*CATALOG.types, *CATALOG.event_types, *CATALOG.models, *CATALOG.urgent])
    assert len(CATALOG.with_twins) == 2 * len(CATALOG.types)


def test_a_test_is_kept_as_long_as_what_it_tests_under_the_same_names_of_places() -> None:
    longer = msgspec.structs.replace(
        CATALOG.regulation.retention,
        marketing=msgspec.structs.replace(CATALOG.regulation.retention.marketing, deliveries="30 d", data="20 d"),
    )
    regulation = msgspec.structs.replace(CATALOG.regulation, retention=longer)
    found = removals(Catalog(KINDS, regulation), NOW)

    for each in found:
        if each.part in BY_CLASS:
            names = [kind.id if each.part == Part.DELIVERIES else kind.event for kind in KINDS]
            assert [name for name in names if each.takes(name) != each.takes(twin(name))] == []
            bare = {
                name: frozenset(filter(lambda type_: not is_test(type_), own)) for name, own in _types(each).items()
            }
            assert each.name == msgspec.structs.replace(each, **bare).name


def _types(removal: Removal) -> dict[str, frozenset[str]]:
    return {"other": removal.other} if removal.only is None else {"only": removal.only}


@pytest.mark.parametrize("event", ["test:cable.stuck", "x" * 186])
def test_an_event_type_that_leaves_no_name_for_a_twin_is_refused(tmp_path: Path, event: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cable-stuck/type\.toml: the event"):
        load(tmp_path, cable_stuck=TYPE.replace('"cable.stuck"', f'"{event}"'))


@pytest.mark.parametrize(
    ("bounds", "covered"),
    [
        (Bounds(), {"a", "b", "test:a", "test:b"}),
        (Bounds(test=False), {"a", "b"}),
        (Bounds(test=True), {"test:a", "test:b"}),
        (Bounds(types=("a",)), {"a", "test:a"}),
        (Bounds(types=("a",), test=False), {"a"}),
        (Bounds(types=("a",), test=True), {"test:a"}),
        (Bounds(types=("a",), sources=("csms",), test=True), set()),
    ],
)
def test_bounds_are_of_tests_or_of_others_or_of_both(bounds: Bounds, covered: set[str]) -> None:
    assert {each for each in ("a", "b", "test:a", "test:b") if bounds.cover("billing", each)} == covered
