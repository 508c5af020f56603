"""The way that a text of an unknown language is drawn."""

import pytest

from notifier.sandbox.direction import TextDirection, way


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
    assert way(text) == TextDirection(direction)
