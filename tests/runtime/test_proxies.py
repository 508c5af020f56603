"""Which server is reached through a proxy, by HTTPS_PROXY and NO_PROXY as other programs read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.errors import ConfigurationError
from notifier.runtime.proxies import Proxies, proxy_address
from notifier.runtime.settings import load_settings

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("", "https://api.twilio.com", False),
        ("", "http://api.twilio.com", True),
        ("", "https://localhost:8443", True),
        ("", "https://127.9.9.9", True),
        ("", "https://[::1]:8443", True),
        ("", "https://10.0.0.1", False),
        ("*", "https://api.twilio.com", True),
        ("twilio.com", "https://api.twilio.com", True),
        (".twilio.com", "https://api.twilio.com", True),
        ("*.twilio.com", "https://api.twilio.com", True),
        ("TWILIO.com.", "https://API.twilio.com", True),
        ("notwilio.com,ilio.com", "https://api.twilio.com", False),
        ("a.example, twilio.com", "https://api.twilio.com", True),
        ("a.example twilio.com:443", "https://api.twilio.com", True),
        ("twilio.com:8443", "https://api.twilio.com", False),
        ("10.0.0.0/8", "https://10.2.3.4", True),
        ("10.0.0.0/8", "https://11.2.3.4", False),
        ("10.2.3.4", "https://10.2.3.4", True),
        ("fd00::/8,[::2]:443", "https://[fd00::1]", True),
        ("[::2]:443", "https://[::2]", True),
        (",, .", "https://api.twilio.com", False),
    ],
)
def test_whom_no_proxy_is_for(exempt: str, url: str, direct: bool) -> None:
    assert (Proxies(PROXY, exempt).of(url) is None) is direct


@given(st.text())
def test_no_list_of_exempt_ones_is_an_error(exempt: str) -> None:
    Proxies(PROXY, exempt).of("https://api.twilio.com")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("http://proxy.example:3128", PROXY),
        ("HTTP://Proxy.Example:3128/", PROXY),
        ("proxy.example:3128", PROXY),
        ("proxy.example", "http://proxy.example:80"),
        ("http://u:p%40@[::2]:3128", "http://u:p%40@[::2]:3128"),
    ],
)
def test_a_proxys_address_has_one_form(given: str, read: str) -> None:
    assert proxy_address(given) == read
    assert proxy_address(read) == read


@pytest.mark.parametrize(
    "value", ["socks5://proxy:1080", "https://proxy:443", "http://proxy/path", "http://:80", "a b"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "NOTIFIER_HTTPS_PROXY"])
def test_what_is_no_http_proxy_is_refused_by_the_variables_name_when_a_process_starts(
    variable: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}: ") as refused:
        load_settings({variable: value})
    assert value not in str(refused.value)


def test_our_own_variable_goes_before_the_usual_ones_and_small_letters_before_capitals() -> None:
    usual = {"HTTPS_PROXY": "http://c:1", "https_proxy": "http://b:1", "NO_PROXY": "c", "no_proxy": "b"}

    assert load_settings({"HTTPS_PROXY": "http://c:1"}).https_proxy == "http://c:1"
    assert (load_settings(usual).https_proxy, load_settings(usual).no_proxy) == ("http://b:1", "b")
    ours = load_settings(usual | {"NOTIFIER_HTTPS_PROXY": "http://a:1", "NOTIFIER_NO_PROXY": "a"})
    assert (ours.https_proxy, ours.no_proxy) == ("http://a:1", "a")
    assert load_settings({"https_proxy": ""}).https_proxy == ""


def test_proxies_before_us_are_named_as_uvicorn_has_them_unless_set() -> None:
    assert load_settings({"FORWARDED_ALLOW_IPS": "10.0.0.1"}).trusted_proxies == "10.0.0.1"

    both = {"FORWARDED_ALLOW_IPS": "10.0.0.1", "NOTIFIER_TRUSTED_PROXIES": "10.0.0.2"}
    assert load_settings(both).trusted_proxies == "10.0.0.2"
    with pytest.raises(ConfigurationError, match="FORWARDED_ALLOW_IPS: entry 1 is not a network"):
        load_settings({"FORWARDED_ALLOW_IPS": "*"})
