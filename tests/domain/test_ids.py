"""Ids as people copy them."""

import pytest

from notifier.domain.identifiers import read_id
from notifier.domain.ids import NOTHING, dated, instant_of, is_id, make_id

ID = dated(make_id("a"), 1_773_078_000_000)


@pytest.mark.parametrize("copied", [ID, ID.upper(), f"{ID[:8]}-{ID[8:12]}-{ID[12:16]}-{ID[16:20]}-{ID[20:]}"])
def test_an_id_is_read_as_a_database_shows_it(copied: str) -> None:
    assert read_id(copied) == ID


@pytest.mark.parametrize("odd", ["", "x", "-", ID[1:], f"{ID}0", f"{ID}\n", f"{ID}\0", "g" * 32, "\u0661" * 32])
def test_what_is_no_id_is_none(odd: str) -> None:
    assert not is_id(odd)
    assert read_id(odd) is None


def test_a_dated_id_begins_with_its_instant_and_ids_follow_each_other_by_it() -> None:
    assert instant_of(ID) == 1_773_078_000_000
    assert dated(NOTHING, 1_773_078_000_001) > ID
    assert is_id(NOTHING)
