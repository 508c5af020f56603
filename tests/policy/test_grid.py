"""The grid that a person sees and switches, and what can't be switched."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier import policy
from notifier.domain.catalog import Catalog, Digest
from notifier.domain.clock import HOUR
from notifier.domain.deliveries import Channel, Reason
from notifier.domain.preferences import NO_PREFERENCES, Defaults, Preferences, QuietHours
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.regulation import Regulation
from notifier.policy import Case, CategoryRow, Cell, Rule, judge
from tests.policy.samples import CHANNELS, kind_of, person_of
from tests.samples import NOW

PUSH, SMS, EMAIL = CHANNELS
EVERYTHING_OFF = Preferences(everything=False, categories={"receipts": False}, channels={"email": False})
NIGHT = QuietHours("17:00", "19:00")  # NOW is 17:40 in UTC


def receipt(**lines: Any) -> Any:
    return kind_of(id="receipt", category="receipts", class_="transactional", mandatory=(EMAIL,), **lines)


def verdict(kind: Any, channel: Channel, **standing: Any) -> tuple[str, Rule]:
    case = Case(
        kind=kind, channel=channel, facts=person_of(**standing).facts, expires_at=NOW + 24 * HOUR, at=NOW,
        regulation=Regulation(),
    )  # fmt: skip
    found = judge(case)
    return found.action, found.rule


def grid(*kinds: Any, groups: tuple[str, ...] = ("driver",), **standing: Any) -> dict[str, dict[str, Cell]]:
    rows = policy.make_grid(Catalog(kinds), groups, RecipientFacts(**standing))
    return {row.category: {cell.channel.value: cell for cell in row.cells} for row in rows}


# What can't be switched off


def test_no_switch_stands_before_what_is_mandatory_on_a_channel() -> None:
    assert verdict(receipt(), EMAIL, preferences=EVERYTHING_OFF) == ("send", Rule.MANDATORY)
    assert verdict(receipt(), PUSH, preferences=EVERYTHING_OFF) == ("suppress", Rule.EVERYTHING)


def test_quiet_hours_hold_a_receipt_but_not_what_is_about_security() -> None:
    security = kind_of(class_="security")
    quiet = Preferences(quiet_hours=NIGHT)

    assert verdict(receipt(), EMAIL, preferences=quiet) == ("hold", Rule.QUIET_HOURS)
    assert verdict(receipt(through_quiet_hours=True), EMAIL, preferences=quiet) == ("send", Rule.MANDATORY)
    for channel in CHANNELS:
        assert verdict(security, channel, preferences=msgspec.structs.replace(quiet, everything=False)) == (
            "send", Rule.MANDATORY,
        )  # fmt: skip


def test_a_suppressed_address_stands_over_what_is_mandatory() -> None:
    assert verdict(receipt(), EMAIL, suppressed={"email": Reason.BOUNCED}) == ("suppress", Rule.SUPPRESSION)


# What the grid shows


def test_only_cells_that_exist_are_shown_to_those_who_can_hear_of_them() -> None:
    kinds = kind_of(id="a", channels=(PUSH, SMS)), kind_of(id="b", category="fleet", audience="fleet_managers")

    assert grid(*kinds).keys() == {"charging"}
    assert grid(*kinds)["charging"].keys() == {"push", "sms"}
    assert grid(*kinds, groups=("token",)).keys() == {"charging"}
    assert grid(*kinds, groups=("driver", "fleet")).keys() == {"charging", "fleet"}


def test_anybody_may_subscribe_or_come_into_a_segment() -> None:
    kinds = kind_of(id="a", category="free", audience="subscribers"), kind_of(id="b", audience="segment")

    assert grid(*kinds, groups=()).keys() == {"free", "charging"}


def test_a_cell_is_locked_where_every_type_of_it_is_mandatory() -> None:
    locked = grid(receipt())["receipts"]
    mixed = grid(receipt(), kind_of(id="b", category="receipts"))["receipts"]

    assert (locked["email"].mandatory, locked["email"].on, locked["push"].is_open) == (True, True, True)
    assert mixed["email"].is_open


def test_a_tenant_locks_a_cell_and_its_name_is_told() -> None:
    defaults = ("fleet:acme", Defaults(switches={"charging": {"email": False}}, locked={"charging": ["email"]}))
    found = grid(kind_of(), defaults=(defaults,), preferences=Preferences(switches={"charging": {"email": True}}))

    assert found["charging"]["email"] == Cell(channel=EMAIL, on=False, locked_by="fleet:acme")
    assert found["charging"]["push"].is_open


def test_marketing_is_on_with_consent_alone_and_nobody_locks_it() -> None:
    offer = kind_of(id="offer", category="offers", class_="marketing", audience="segment")
    locked = ("network", Defaults(locked={"offers": []}))

    assert not grid(offer, defaults=(locked,))["offers"]["email"].on
    agreed = grid(offer, defaults=(locked,), consents={"offers": {"email": True}})["offers"]
    assert (agreed["email"].on, agreed["email"].is_open, agreed["sms"].on) == (True, True, False)


@pytest.mark.parametrize(
    ("own", "tenants", "pace"),
    [
        ({}, {}, "at_once"),
        ({}, {"charging": "daily"}, "daily"),
        ({"charging": "hourly"}, {"charging": "daily"}, "hourly"),
    ],
)
def test_a_row_whose_messages_come_together_says_how_often(own: Any, tenants: Any, pace: str) -> None:
    facts = RecipientFacts(preferences=Preferences(digests=own), defaults=(("network", Defaults(digests=tenants)),))
    together = kind_of(digest=Digest(key=("session_id",), window="1 h", link="{{ app_url }}"))

    (row,) = policy.make_grid(Catalog([together]), ("driver",), facts)
    assert row.pace == pace
    (row,) = policy.make_grid(Catalog([kind_of()]), ("driver",), facts)
    assert row.pace is None


# What a form changes

CELLS = [Cell(channel=PUSH, on=True), Cell(channel=SMS, on=False), Cell(channel=EMAIL, on=True, mandatory=True)]
ROWS = [
    CategoryRow(category="charging", is_marketing=False, cells=tuple(CELLS)),
    CategoryRow(category="offers", is_marketing=True, cells=(Cell(channel=EMAIL, on=False),)),
]


def test_only_what_a_person_changed_is_written_so_the_rest_stays_open() -> None:
    as_shown = [("charging", PUSH)]

    assert policy.choose(ROWS, as_shown) == {}
    assert policy.choose(ROWS, [*as_shown, ("charging", SMS), ("offers", EMAIL), ("unheard-of", SMS)]) == {
        ("charging", SMS): True, ("offers", EMAIL): True,
    }  # fmt: skip
    assert policy.choose(ROWS, []) == {("charging", PUSH): False}


def test_a_switch_of_marketing_is_a_word_of_consent() -> None:
    changed = {("charging", SMS): True, ("offers", EMAIL): True}

    assert policy.consents(ROWS, changed) == {("offers", EMAIL): True}


@given(st.sets(st.tuples(st.sampled_from(["charging", "offers"]), st.sampled_from(CHANNELS))))
def test_the_grid_shows_what_was_chosen_in_it(wanted: set[tuple[str, Channel]]) -> None:
    # Given a grid in which everything may be switched, and any wish
    kinds = kind_of(id="a", channels=(PUSH, SMS)), kind_of(id="b", category="offers", off_by_default=(SMS,))
    catalog = Catalog(kinds)
    rows = policy.make_grid(catalog, ("driver",), RecipientFacts())

    # When it is chosen
    preferences = policy.switch(NO_PREFERENCES, policy.choose(rows, wanted))

    # Then that is what the grid shows, and what the rules do
    shown = policy.make_grid(catalog, ("driver",), RecipientFacts(preferences=preferences))
    on = {(row.category, cell.channel) for row in shown for cell in row.cells if cell.on}
    there = {(row.category, cell.channel) for row in shown for cell in row.cells}
    assert on == wanted & there
    for kind in kinds:
        for channel in kind.channels:
            sent = verdict(kind, channel, preferences=preferences)[0] == "send"
            assert sent == ((kind.category, channel) in wanted)


def test_switching_one_cell_leaves_all_others() -> None:
    before = Preferences(switches={"charging": {"sms": False}, "billing": {"push": True}}, locale="fr")

    after = policy.switch(before, {("charging", EMAIL): False})

    assert after.switches == {"charging": {"sms": False, "email": False}, "billing": {"push": True}}
    assert (after.locale, before.switches["charging"]) == ("fr", {"sms": False})
