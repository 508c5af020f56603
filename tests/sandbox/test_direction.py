"""The way that a text of an unknown language is drawn."""

import pytest

from notifier.channels.email.sandbox.reading import way_of_mail
from notifier.sandbox.direction import Way, way


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("Voltline: fertig.", "ltr"),
        ("Voltline: اكتمل الشحن في محطة برلين.", "rtl"),
        ("Voltline: הטעינה הסתיימה. https://app.example.com/sessions/4711-very-long-name", "rtl"),
        ("تم: ada@example.com", "rtl"),
        ("Charged at محطة today, thank you", "ltr"),
        ("41,1 kWh", "ltr"),
        ("4711", "ltr"),
        ("", "ltr"),
    ],
)
def test_a_text_is_drawn_as_most_of_its_letters_are_written(text: str, direction: str) -> None:
    assert way(text) == Way(direction)


def test_a_mail_is_drawn_as_its_html_says_and_else_as_its_text() -> None:
    said = way_of_mail("Voltline", "<!doctype html>\n<html class=x lang=\"ar\" dir='rtl'><body dir='ltr'>")

    assert said == Way("rtl", "ar")
    assert said.__html__() == 'dir="rtl" lang="ar"'
    assert way_of_mail("הטעינה הסתיימה", '<html lang="he"><body>') == Way("rtl", "he")
    assert way_of_mail("Voltline", "") == Way("ltr")
    assert '"><' not in way_of_mail("x", "<html lang='\"><b' dir=up>").__html__()
