"""When messages come together: by the type's window, or as often as a person or their tenants say."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.catalog import Digest
from notifier.domain.clock import DAY, HOUR, MINUTE, SECOND
from notifier.domain.deliveries import Reason, State
from notifier.domain.preferences import Defaults, Preferences
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.regulation import Regulation
from notifier.policy import decide
from notifier.policy.digesting import digest_due
from notifier.policy.hours import local
from tests.named import EMAIL, PUSH
from tests.policy.samples import event_of, kind_of, person_of
from tests.samples import NOW

DIGEST = Digest(key=("session_id",), window="10 min", link="{{ app_url }}")
KIND = kind_of(digest=DIGEST, channels=(EMAIL, PUSH), time_to_live="24 h")
ZONES = st.sampled_from(["Europe/Brussels", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
MOMENTS = st.integers(NOW - 400 * DAY, NOW + 400 * DAY)


@pytest.mark.parametrize(
    ("own", "tenant", "due"),
    [
        (None, None, NOW + 10 * MINUTE),
        ("at_once", "daily", None),
        ("hourly", None, NOW + 20 * MINUTE),
        (None, "hourly", NOW + 20 * MINUTE),
        (None, "at_once", None),
    ],
)
def test_the_person_goes_before_the_tenant_and_the_tenant_before_the_type(
    own: str | None, tenant: str | None, due: int | None
) -> None:
    preferences = Preferences(digests={"charging": own} if own else {})  # type: ignore[dict-item]
    defaults = Defaults(digests={"charging": tenant} if tenant else {})  # type: ignore[dict-item]
    facts = RecipientFacts(preferences=preferences, defaults=(("network", defaults),))

    assert digest_due(KIND, EMAIL, facts, NOW) == due


@given(MOMENTS, ZONES)
def test_a_daily_digest_comes_at_eight_on_the_persons_clock_and_within_a_day_and_an_hour(at: int, zone: str) -> None:
    facts = RecipientFacts(preferences=Preferences(digests={"charging": "daily"}), time_zone=zone)

    due = digest_due(KIND, EMAIL, facts, at)

    assert due is not None
    assert at < due <= at + DAY + HOUR
    assert (local(due, zone).hour, local(due, zone).minute) == (8, 0)


@given(MOMENTS, ZONES.filter(lambda zone: zone != "Australia/Lord_Howe"))  # whose clocks change by half an hour
def test_an_hourly_digest_comes_at_the_next_full_hour_on_the_persons_clock(at: int, zone: str) -> None:
    facts = RecipientFacts(preferences=Preferences(digests={"charging": "hourly"}), time_zone=zone)

    due = digest_due(KIND, EMAIL, facts, at)

    assert due is not None
    assert at < due <= at + HOUR
    assert due % SECOND == 0
    assert local(due, zone).astimezone(ZoneInfo(zone)).minute == 0


def test_only_mails_come_together_and_only_where_they_come_in_time() -> None:
    person = person_of(preferences=Preferences(digests={"charging": "daily"}))

    in_time = decide(KIND, event_of(), person, NOW, Regulation())
    too_late = decide(kind_of(digest=DIGEST, time_to_live="1 h"), event_of(), person, NOW, Regulation())

    assert [(each.channel, each.state, each.reason) for each in in_time] == [
        (EMAIL, State.COLLECTED, Reason.DIGEST), (PUSH, State.PENDING, None),
    ]  # fmt: skip
    assert {each.state for each in too_late} == {State.PENDING}
