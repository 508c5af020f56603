"""Webhooks need no account: by which way they leave is told, and what is permitted beside the internet."""

import pytest

from notifier.channels.webhook.provider import PROVIDER, check
from notifier.domain.errors import ConfigurationError
from notifier.providers.destinations import nets
from notifier.runtime.settings import load_settings


def test_there_is_one_account_whatever_is_set() -> None:
    (account,) = PROVIDER.accounts(load_settings({}))
    assert (account.name, account.rate, account.weight) == ("webhook", None, 1.0)


@pytest.mark.parametrize(
    ("environ", "verdict", "told"),
    [
        ({}, "good", "to the internet over https, directly"),
        (
            {"NOTIFIER_HTTPS_PROXY": "http://user:canary@proxy.example:3128"},
            "good",
            "to the internet over https, through proxy.example:3128, which must permit CONNECT to IP addresses",
        ),
        (
            {"NOTIFIER_WEBHOOK_NETS": "10.0.0.0/8 ::1/128"},
            "good",
            "to the internet over https, directly; 10.0.0.0/8, ::1/128 is permitted too, without a proxy",
        ),
        (
            {"NOTIFIER_LOOPBACK_ONLY": "true"},
            "missing",
            "no webhook leaves this machine: NOTIFIER_LOOPBACK_ONLY is set",
        ),
    ],
)
async def test_the_doctor_tells_by_which_way_they_leave(environ: dict[str, str], verdict: str, told: str) -> None:
    (finding,) = [each async for each in check(load_settings(environ))]
    assert (finding.part, finding.verdict, finding.told) == ("webhooks", verdict, told)
    assert bool(finding.way_out) == (verdict != "good")


@pytest.mark.parametrize("value", ["10.0.0.0/8", " 10.0.0.0/8 , ::1/128\n192.168.7.4", "fd00::/8"])
def test_networks_are_read(value: str) -> None:
    assert nets(load_settings({"NOTIFIER_WEBHOOK_NETS": value}).channels)


@pytest.mark.parametrize("value", ["localhost", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8 canary"])
def test_what_is_no_network_is_refused_with_a_good_value_and_not_told(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^NOTIFIER_WEBHOOK_NETS: entry \d is not a network") as refused:
        load_settings({"NOTIFIER_WEBHOOK_NETS": value})
    assert value not in str(refused.value)
    assert "10.20.0.0/16" in str(refused.value)
