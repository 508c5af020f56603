"""Invented people: every one passes the checks of a real one, and none can be reached."""

import re
from collections import Counter

import msgspec

from notifier.demo.people import FLEETS, SITE_ID, people
from notifier.domain.recipients import RecipientDetails

FICTION = re.compile(r"\+1\d{3}55501\d\d|\+493023125\d{3}|\+3319900\d{4}")


def test_every_one_passes_the_checks_of_a_real_one_unchanged() -> None:
    for id_, details in people(3000, 1):
        checked = msgspec.convert(details, RecipientDetails).checked()
        assert (checked.email, checked.phone) == (details.get("email"), details.get("phone")), id_


def test_no_address_can_reach_a_person() -> None:
    crowd = [details for _, details in people(3000, 1)]
    assert all(FICTION.fullmatch(details["phone"]) for details in crowd if "phone" in details)
    assert all(details["email"].endswith(("@example.com", "@example.org")) for details in crowd if "email" in details)
    assert all(device["value"].startswith("demo-") for details in crowd for device in details.get("devices", []))


def test_people_follow_from_their_seed_and_nobody_shares_an_address() -> None:
    crowd = people(1000, 7)
    assert crowd == people(1000, 7)
    assert crowd != people(1000, 8)
    for name in ("email", "phone"):
        addresses = [details[name] for _, details in crowd if name in details]
        assert len(addresses) == len(set(addresses))
    assert len({id_ for id_, _ in crowd}) == 1000


def test_a_small_crowd_has_every_kind_every_language_and_every_reason_not_to_be_reached() -> None:
    crowd = [details for _, details in people(100, 7)]
    assert Counter(details["kind"] for details in crowd) == {"driver": 94, "fleet_manager": 3, "site_operator": 3}
    assert {fleet for details in crowd for fleet in details.get("fleets", [])} == set(FLEETS)
    assert {site for details in crowd for site in details.get("sites", [])} == {SITE_ID}
    languages = Counter(details["locale"] for details in crowd)
    assert languages.keys() == {"en", "es", "de", "fr"}
    assert languages.most_common(1)[0][0] == "en"
    assert len({details["time_zone"] for details in crowd}) > 3
    for name in ("email", "phone", "devices"):
        assert 0 < sum(name not in details for details in crowd) < 30
    assert 0 < sum("preferences" in details for details in crowd) < 40


def test_even_two_people_include_a_driver() -> None:
    assert [details["kind"] for _, details in people(2, 1)] == ["driver", "fleet_manager"]
    assert [details["kind"] for _, details in people(1, 1)] == ["driver"]
    assert people(0, 1) == []
