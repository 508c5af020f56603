"""Clicks of people and of programs: who follows several links at once, or before anybody can read, is a program."""

import pytest

from notifier.domain.clicks import AT_ONCE, TOO_SOON, Click, by_people, link_of
from notifier.domain.clock import MINUTE
from notifier.domain.ids import make_id
from tests.samples import NOW

OFFER, HOME = link_of("https://app.example.com/offers/7"), link_of("https://app.example.com")
LATER = NOW + MINUTE


def click(at: int, link: int = OFFER, of: str = "one", sent_at: int | None = NOW) -> Click:
    return Click(delivery_id=make_id(of), recipient_id="ada", link=link, at=at, sent_at=sent_at)


@pytest.mark.parametrize(
    ("clicks", "of_people"),
    [
        ([click(LATER)], [LATER]),
        ([click(LATER + 1), click(LATER)], [LATER]),
        ([click(NOW + TOO_SOON - 1)], []),
        ([click(NOW + TOO_SOON)], [NOW + TOO_SOON]),
        ([click(LATER, sent_at=None)], []),
        ([click(LATER), click(LATER + AT_ONCE - 1, HOME)], []),
        ([click(LATER), click(LATER + AT_ONCE, HOME)], [LATER]),
        ([click(LATER), click(LATER + 1, HOME), click(LATER + MINUTE)], [LATER + MINUTE]),
        ([click(LATER), click(LATER, HOME, of="other")], [LATER, LATER]),
        ([], []),
    ],
)
def test_the_first_click_of_a_person_in_each_delivery_counts(clicks: list[Click], of_people: list[int]) -> None:
    assert [each.at for each in by_people(clicks)] == of_people
