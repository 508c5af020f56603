"""What every provider's HTTP API has in common."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.clock import SECOND
from notifier.domain.errors import ConfigurationError
from notifier.providers.http import base_address, retry_after

NOW = 1_790_000_000_000


@pytest.mark.parametrize("url", ["https://host", "http://127.0.0.1:80/", "https://host.example/base/"])
def test_an_address_is_taken_without_its_last_slash(url: str) -> None:
    assert base_address(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "ftp://host",
        "https://",
        "https:///path",
        "http://user:word@host/",
        "http://host/a b",
        "http://host/\r\nA: b",
    ],
)
def test_what_is_no_providers_address_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        base_address(url)
    assert "word" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        (formatdate(NOW / SECOND + 90, usegmt=True), 90.0),
        (formatdate(NOW / SECOND - 90, usegmt=True), 0.0),
        (formatdate(NOW / SECOND + 30), 30.0),  # ends in -0000: a time of no zone is UTC
        ("", None),
        ("-3", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({b"retry-after": value.encode()}, NOW) == seconds


@given(st.binary())
def test_no_retry_after_raises(value: bytes) -> None:
    told = retry_after({b"retry-after": value}, NOW)
    assert told is None or told >= 0


def test_without_retry_after_nothing_is_asked() -> None:
    assert retry_after({}, NOW) is None
