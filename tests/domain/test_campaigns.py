"""When a campaign is paused, and for how long what it had waiting is good afterwards."""

import pytest

from notifier.domain.campaigns import CampaignState, Counts, Pause, fault
from notifier.domain.clock import to_datetime
from notifier.domain.deliveries import Reason
from tests.samples import NOW


@pytest.mark.parametrize(
    ("sent", "undelivered", "complained", "expected"),
    [
        (0, 0, 0, None),
        (999, 0, 50, None),  # too few to tell
        (1_000, 0, 2, None),  # two people are no judgement
        (1_000, 0, 3, Reason.COMPLAINTS),
        (5_000, 0, 5, None),  # one in a thousand
        (5_000, 0, 6, Reason.COMPLAINTS),
        (99, 50, 0, None),
        (100, 9, 0, None),
        (100, 10, 0, Reason.BOUNCES),
        (1_000, 50, 0, None),  # five in a hundred
        (1_000, 51, 0, Reason.BOUNCES),
        (1_000, 500, 3, Reason.COMPLAINTS),
    ],
)
def test_a_campaign_is_paused_above_the_rates_and_from_the_least_numbers_on(
    sent: int, undelivered: int, complained: int, expected: Reason | None
) -> None:
    assert fault(Counts(sent=sent, undelivered=undelivered, complained=complained)) == expected


def test_what_waited_is_good_for_as_much_longer_as_it_waited() -> None:
    # Given a pause that took a thousand milliseconds
    pause = Pause(state=CampaignState.LIFTED, paused_at=NOW, handled_at=NOW + 1_000)

    # Then what was there before waited for all of it, what came meanwhile for less, and what came later for none
    assert [pause.lasted(NOW + since) for since in (-5_000, 400, 2_000)] == [1_000, 600, 0]
    assert Pause(state=CampaignState.PAUSED, paused_at=NOW).lasted(NOW) == 0


def test_the_instant_that_never_comes_can_be_shown() -> None:
    assert to_datetime(Pause(state=CampaignState.PAUSED, paused_at=NOW).until).year > 9_000
