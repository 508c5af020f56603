"""How long what is over is kept: what `[retention]` may say, and what it may not."""

from pathlib import Path
from typing import get_args

import pytest

from notifier.domain.catalog import Class
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import DAY
from notifier.domain.errors import ConfigurationError
from notifier.domain.regulation import Regulation, load_regulation
from notifier.domain.retention import CLASSES, FOREVER, Part, Retention

TEMPLATES = Path(__file__).parents[2] / "templates"
WINDOWS = '[windows.default]\nevery = "09:00-20:00"\n'


def load(folder: Path, text: str) -> Retention:
    """The periods of a `_policy.toml` with these lines."""
    (folder / "_policy.toml").write_text(f"{WINDOWS}\n{text}", "utf-8")
    return load_regulation(folder).retention


def test_every_class_of_notification_types_may_have_periods_of_its_own() -> None:
    assert set(CLASSES) == set(get_args(Class))


def test_without_a_word_personal_data_goes_first_and_the_books_stay(tmp_path: Path) -> None:
    kept = load(tmp_path, "")

    assert kept == Retention() == Regulation().retention
    assert kept.period(Part.DATA) == 30 * DAY
    assert [kept.period(part) for part in (Part.DELIVERIES, Part.EVENTS)] == [None, None]


def test_the_policy_that_ships_says_what_holds_without_it() -> None:
    assert load_catalog(TEMPLATES).regulation.retention == Retention()


def test_a_class_differs_in_what_it_says_and_in_nothing_else(tmp_path: Path) -> None:
    kept = load(
        tmp_path, '[retention]\ndata = "60 d"\n\n[retention.marketing]\nevents = "400 d"\ndeliveries = "400 d"\n'
    )

    assert kept.period(Part.EVENTS, "marketing") == 400 * DAY
    assert kept.period(Part.DATA, "marketing") == 60 * DAY
    assert kept.period(Part.EVENTS, "service") is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[retention]\ndata = "a month"', r"retention\.data: 'a month' is not a duration; .* or 'forever'"),
        ("[retention]\nevents = 400", r"Expected `str`, got `int` - at `\$\.retention\.events`"),
        ('[retention]\ndate = "30 d"', r"unknown field `date` - at `\$\.retention`"),
        ('[retention]\nconsents = "30 d"', r"unknown field `consents`"),
        ('[retention.offers]\ndata = "30 d"', r"unknown field `offers`"),
        ('[retention.marketing]\naudit = "30 d"', r"unknown field `audit` - at `\$\.retention\.marketing`"),
        ('[retention]\nsessions = "24 h"', r"retention\.sessions: 24 h is too short; .* at least 7 d"),
        ('[retention.security]\ndata = "6 d"', r"retention\.security\.data: 6 d is too short"),
        ('[retention]\ndeliveries = "20 d"', r"retention: data \(30 d\) can't be kept longer than deliveries \(20 d\)"),
        ('[retention]\ndata = "forever"', r"data \(forever\) can't be kept longer than decisions \(400 d\)"),
        ('[retention]\nevents = "90 d"', r"decisions \(400 d\) can't be kept longer than events \(90 d\)"),
        (
            '[retention.marketing]\ndeliveries = "20 d"',
            r"retention\.marketing: data \(30 d\) can't be kept longer than deliveries \(20 d\)",
        ),
        (
            '[retention]\ndata = "8 d"\ndeliveries = "30 d"\n\n[caps.offers]\nmost = 2\nwindow = "30 d"',
            r"retention\.deliveries: 30 d is too short; caps count deliveries of the last 31 d",
        ),
    ],
)
def test_what_is_no_period_or_does_not_fit_the_others_is_refused_by_name(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"_policy\.toml: .*{fault}"):
        load(tmp_path, text)


def test_data_stay_for_as_long_as_a_message_about_them_may_be_sent(tmp_path: Path) -> None:
    # Given a type whose messages may be sent for ten days
    lines = (TEMPLATES / "session-receipt" / "type.toml").read_text("utf-8")
    (tmp_path / "receipt").mkdir()
    (tmp_path / "receipt" / "type.toml").write_text(lines.replace('time_to_live = "7 d"', 'time_to_live = "10 d"'))

    # When the data of its class are to go sooner, then that is refused, and the type is named
    load(tmp_path, '[retention.transactional]\ndata = "9 d"')
    with pytest.raises(ConfigurationError, match=r"class transactional \(9 d\) .* time_to_live of receipt \(10 d\)"):
        load_catalog(tmp_path)

    # And for as long they may stay
    load(tmp_path, '[retention.transactional]\ndata = "10 d"')
    load_catalog(tmp_path)


def test_a_period_is_told_in_the_words_of_its_file() -> None:
    kept = Retention()

    assert (kept.told(Part.DATA), kept.told(Part.EVENTS, "marketing"), kept.told(Part.AUDIT)) == (
        "30 d",
        FOREVER,
        "1100 d",
    )
