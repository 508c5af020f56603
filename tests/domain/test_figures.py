"""Figures: what is shown of what messages achieved, from sums alone."""

from typing import Any

from notifier.domain.catalog import AwaitedOutcome
from notifier.domain.clock import DAY, HOUR, MINUTE
from notifier.domain.effects import Effect, hour_of
from notifier.domain.figures import By, Figures, Span, cuts, figures, final_before, span_of
from tests.samples import NOW

HERE = hour_of(NOW)
LEFT = AwaitedOutcome("The car left", ("session.ended",), "30 min")
PAID = AwaitedOutcome("It was paid", ("payment.succeeded",), "72 h")
OUTCOMES = {"idle-warning": LEFT, "payment-failed": PAID, "session-started": None}


def of(what: str, number: int = 1, **given: Any) -> Effect:
    """So many warnings two hours ago that did something, by push and in German unless said otherwise."""
    usual = {"hour": HERE - 2, "type": "idle-warning", "channel": "push", "locale": "de", "variant": ""}
    return Effect(**{**usual, **given}, what=what, number=number)


def told(*effects: Effect, by: By | None = None, now: int = NOW) -> list[Figures]:
    return figures(effects, OUTCOMES, now, by)


def test_deliveries_and_what_people_do_are_summed_over_channels_and_locales() -> None:
    (found,) = told(of("sent", 3), of("sent", 2, channel="sms", locale="en"), of("opened"), of("delivered", 4))

    assert (found.type, found.sent, found.delivered, found.opened, found.failed) == ("idle-warning", 5, 4, 1, 0)
    assert found.share is None


def test_a_share_is_of_people_of_whom_each_counts_once() -> None:
    # Given four people, each told by push and text, of whom two left in the sixth and one in the tenth minute
    everywhere = [
        each
        for channel in ("", "push", "sms")
        for each in (
            of("exposed", 4, channel=channel),
            of("answered", 2, channel=channel, after=5),
            of("answered", 1, channel=channel, after=9),
        )
    ]

    # Then three of four did, and half of all within six minutes
    (found,) = told(*everywhere)
    assert (found.exposed, found.answered, found.share, found.median_minutes) == (4, 3, 0.75, 6.0)

    # And by channel each has them all
    assert [(each.group, each.exposed, each.share) for each in told(*everywhere, by="channel")] == [
        ("push", 4, 0.75),
        ("sms", 4, 0.75),
    ]


def test_who_was_enrolled_in_an_experiment_is_of_no_channel_of_its_own() -> None:
    # Given people who count once in an experiment, whatever they were told by
    everybody = [of("sent", 3), of("enrolled", 3, channel=""), of("won", 1, channel="")]

    assert [(each.group, each.sent) for each in told(*everybody, by="channel")] == [("push", 3)]


def test_only_hours_of_which_all_outcomes_are_over_have_a_share() -> None:
    # Given an hour whose last warnings may be answered for 30 minutes from its end, of which some have been
    effects = [
        of("exposed", 2, channel="", hour=HERE - 1),
        of("answered", 2, channel="", hour=HERE - 1),
        of("sent", 9, hour=HERE - 1),
        of("exposed", 10, channel=""),
        of("answered", 5, channel="", after=29),
    ]
    half_past = HERE * HOUR + 30 * MINUTE

    # When it is a moment to that, then they are told apart; and from then on they are counted with the others
    (before,) = told(*effects, now=half_past - 1)
    assert (before.exposed, before.answered, before.so_far, before.sent) == (10, 5, 2, 9)
    (after,) = told(*effects, now=half_past)
    assert (after.exposed, after.answered, after.so_far, after.median_minutes) == (12, 7, 0, 30.0)


def test_there_is_no_median_where_fewer_than_half_answered_and_no_share_of_nobody() -> None:
    (found,) = told(of("exposed", 5, channel=""), of("answered", 2, channel=""))
    assert (found.share, found.median_minutes) == (0.4, None)

    assert told(of("sent"))[0].share is None


def test_a_type_without_an_outcome_has_none_of_its_figures() -> None:
    (found,) = told(of("exposed", 5, type="session-started", channel=""), of("sent", type="session-started"))

    assert (found.sent, found.exposed, found.so_far) == (1, 0, 0)


def test_groups_are_days_and_hours_by_utc_locales_and_variants() -> None:
    effects = [of("sent", hour=HERE - 24), of("sent", 2, locale="en", variant="b")]

    assert [(each.group, each.sent) for each in told(*effects, by="day")] == [("2026-03-08", 1), ("2026-03-09", 2)]
    assert [each.group for each in told(*effects, by="hour")] == ["2026-03-08T17:00:00Z", "2026-03-09T15:00:00Z"]
    assert [each.group for each in told(*effects, by="locale")] == ["de", "en"]
    assert [each.group for each in told(*effects, by="variant")] == ["", "b"]


def test_what_is_told_by_whole_days_is_over_when_the_last_hour_of_one_is() -> None:
    # Given outcomes that are awaited for a week, so long that their days are told whole meanwhile
    week, midnight = 7 * DAY, NOW // DAY * DAY

    # Then a day is over a week after its end, and not after that of its first hour
    assert final_before(week, midnight) == hour_of(midnight - week)
    assert final_before(week, midnight + DAY - 1) == hour_of(midnight - week)
    assert final_before(30 * MINUTE, NOW) == HERE  # 17:40 less half an hour is 17:10


def test_sums_are_cut_where_the_outcomes_of_types_are_over() -> None:
    span, today = span_of(NOW - 5 * DAY, NOW, None), HERE // 24 * 24
    leaves, pays = final_before(30 * MINUTE, NOW), final_before(3 * DAY, NOW)

    assert cuts([LEFT, PAID, LEFT], span, NOW, None) == [span.since, pays, leaves]
    assert cuts([PAID], Span(HERE - 24, HERE), NOW, "channel") == [HERE - 24]
    assert cuts([LEFT], span, NOW, "hour") == []
    # And of days, each where it begins, as far back as there are hours
    days = [today - 24 * number for number in (3, 2, 1, 0)]
    assert cuts([LEFT, PAID], span, NOW, "day") == sorted({*days, pays, leaves})


def test_a_span_is_of_whole_days_unless_hours_are_told_apart() -> None:
    assert span_of(NOW - DAY, NOW, "channel") == Span((HERE // 24 - 1) * 24, (HERE // 24 + 1) * 24)
    assert span_of(NOW - DAY, NOW, "hour") == Span(HERE - 24, HERE + 1)
