"""What messages say of clocks: those of the place that they are about, and those that are wrong."""

import pytest

from notifier.channels.email.messages import EmailContent
from notifier.channels.sms.messages import SmsContent
from notifier.domain.catalog import Catalog
from notifier.rendering import Renderer
from tests.named import EMAIL, SMS
from tests.samples import CATALOG


def test_times_of_a_place_are_told_by_its_clocks(renderer: Renderer, catalog: Catalog) -> None:
    # Given a driver from Berlin whose car stands in Lisbon
    sample = catalog.types["charging-complete"].samples[0].data
    data = {**sample, "idle_fee_from": "2026-07-09T05:19:00Z", "time_zone": "Europe/Lisbon"}

    # When they are told until when to move it
    said = renderer.render("charging-complete", SMS, locale="de", time_zone="Europe/Berlin", data=data).content

    # Then it is the time on the clocks there, and says so
    assert isinstance(said, SmsContent)
    assert "bis 06:19 Uhr WESZ um" in said.text


def test_each_row_of_a_digest_has_the_clocks_of_its_own_place(renderer: Renderer, catalog: Catalog) -> None:
    one = catalog.types["station-offline"].samples[0].data
    rows = [{**one, "time_zone": zone} for zone in ("Europe/Lisbon", "Europe/Helsinki")]

    mail = renderer.render_digest("station-offline", rows, locale="de", time_zone="Europe/Berlin").content

    assert isinstance(mail, EmailContent)
    assert "23:30\u00a0Uhr\u00a0WEZ" in mail.text
    assert "01:30\u00a0Uhr\u00a0OEZ" in mail.text


@pytest.mark.parametrize("type_id", CATALOG.types)
def test_what_a_clock_that_steps_back_says_is_left_out(renderer: Renderer, catalog: Catalog, type_id: str) -> None:
    # Given a message whose durations, energies and the like are below zero
    kind = catalog.types[type_id]
    least = [name for name, field in kind.data.items() if field.min is not None]
    for sample in kind.samples:
        wrong = {**sample.data, **{name: -2 for name in least if name in sample.data}}
        right = {**sample.data, **{name: 0 for name in least if name in sample.data}}
        for channel in kind.channels:
            for locale in ("en", "de", "fr", "es"):
                # Then it reads as if they were nothing
                told = [
                    renderer.render(kind.id, channel, locale=locale, time_zone="Europe/Berlin", data=data).content
                    for data in (wrong, right)
                ]
                assert told[0] == told[1]


def test_a_receipt_without_a_duration_tells_none(renderer: Renderer, catalog: Catalog) -> None:
    data = {**catalog.types["session-receipt"].samples[0].data, "duration_min": -1}

    mail = renderer.render("session-receipt", EMAIL, locale="en", time_zone="Europe/Berlin", data=data).content

    assert isinstance(mail, EmailContent)
    assert "Duration" not in mail.text
    assert "41.12 kWh on March 9, 2026." in mail.html.replace("\u00a0", " ")
