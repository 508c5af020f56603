"""Accounts as URLs: every part and option read, nonsense refused by its position, and nothing of it ever quoted."""

import msgspec
import pytest

from notifier.channels.email import settings as email
from notifier.channels.email.settings import SmtpAccount
from notifier.channels.push import settings as push
from notifier.channels.push.settings import FcmAccount
from notifier.channels.sms import settings as sms
from notifier.channels.sms.settings import TwilioAccount
from notifier.domain.errors import ConfigurationError
from notifier.runtime.accounts import Account

READERS = {"PUSH": push.ACCOUNTS.read, "SMS": sms.ACCOUNTS.read, "EMAIL": email.ACCOUNTS.read}
CANARY = "c4n4ry"


def test_a_firebase_project_is_a_file_and_its_options() -> None:
    (account,) = push.ACCOUNTS.read("fcm:///etc/a%20b.json?rate=5000&connections=20&project=p&name=main&weight=2")

    assert account == FcmAccount(
        name="main", service_account="/etc/a b.json", project="p", rate=5000, connections=20, weight=2
    )


def test_a_host_within_docker_has_an_underscore_and_an_address_has_one_form() -> None:
    (fcm,) = push.ACCOUNTS.read("fcm:///a.json?url=HTTP://Fcm_mock:8025/")
    (twilio,) = sms.ACCOUNTS.read("twilio+http://AC1:t@twilio_mock:8025?from=1")
    (smtp,) = email.ACCOUNTS.read("smtp://smtp_mock")

    assert (fcm.url, twilio.url, smtp.host) == ("http://fcm_mock:8025", "http://twilio_mock:8025", "smtp_mock")


def test_what_is_not_said_is_as_providers_advise() -> None:
    (account,) = push.ACCOUNTS.read("fcm:///a.json")

    assert account == FcmAccount(name="fcm", service_account="/a.json", connections=200)
    assert (account.url, account.rate, account.weight) == ("https://fcm.googleapis.com", None, 1)


def test_a_twilio_account_has_its_sender_with_or_without_an_encoded_plus() -> None:
    one, other = sms.ACCOUNTS.read(
        "twilio://AC1:t%40ken@api.twilio.com?from=%2B15005550006&rate=0.5, twilio+http://AC2:t@[::1]:8025?from=+1500"
    )

    assert one == TwilioAccount(
        name="twilio:api.twilio.com", sid="AC1", token="t@ken", url="https://api.twilio.com", sender="+15005550006",
        rate=0.5,
    )  # fmt: skip
    assert (other.url, other.sender, other.name) == ("http://[::1]:8025", "+1500", "twilio:::1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp+starttls://u:p%2F@h", ("h", 587, "starttls", "u", "p/")),
        ("smtps://u:p@h", ("h", 465, "tls", "u", "p")),
        ("smtps://h:2465", ("h", 2465, "tls", None, None)),
        ("smtp://127.0.0.1", ("127.0.0.1", 25, "none", None, None)),
    ],
)
def test_a_mail_servers_scheme_says_how_it_is_encrypted(url: str, expected: tuple[object, ...]) -> None:
    (account,) = email.ACCOUNTS.read(url)

    assert isinstance(account, SmtpAccount)
    assert (account.host, account.port, account.security, account.username, account.password) == expected
    assert account.connections == 10


@pytest.mark.parametrize("separator", [" ", ",", "\n", " ,\t"])
def test_several_are_kept_in_order(separator: str) -> None:
    urls = separator.join(["smtps://a", "smtps://b", "smtps://b?name=c"])

    assert [account.name for account in email.ACCOUNTS.read(f" {urls}\n")] == ["smtp:a", "smtp:b", "c"]


def test_none_is_fine() -> None:
    assert [read("") for read in READERS.values()] == [[], [], []]


@pytest.mark.parametrize(
    ("channel", "text", "told"),
    [
        ("PUSH", f"/etc/{CANARY}.json", "URL 1: must begin with fcm://"),
        ("PUSH", f"fcm://etc/{CANARY}.json", "three slashes"),
        ("PUSH", "fcm:///", "three slashes"),
        (
            "PUSH",
            f"fcm:///a fcm:///b?{CANARY}=1",
            "URL 2: has an unknown option; the options are connections, name, project",
        ),
        ("PUSH", f"fcm:///a?service_account={CANARY}", "has an unknown option; the options are"),
        ("PUSH", f"fcm:///a?rate={CANARY}", "Expected `float | null`, got `str` - at `$.rate`"),
        ("PUSH", "fcm:///a?rate=0", "Expected `float` > 0.0 - at `$.rate`"),
        ("PUSH", "fcm:///a?rate=nan", "at `$.rate`"),
        ("PUSH", "fcm:///a?connections=0", "at `$.connections`"),
        ("PUSH", "fcm:///a?weight=-1", "at `$.weight`"),
        ("PUSH", "fcm:///a?rate=1&rate=2", "gives an option twice"),
        ("PUSH", f"fcm:///a?url=ftp://{CANARY}", "at `$.url`"),
        ("PUSH", f"fcm:///a?name={CANARY}%20b", "at `$.name`"),
        ("PUSH", "fcm:///a fcm:///b", "URL 2: has the same name as an earlier one"),
        ("PUSH", f"fcm:///a#{CANARY}", "%23"),
        ("SMS", f"twilio://sid:{CANARY}@h", "Object missing required field `from`"),
        ("SMS", f"twilio://{CANARY}@h?from=1", "must be twilio://SID:TOKEN@"),
        ("SMS", f"twilio://sid:{CANARY}/x@h?from=1", "must be twilio://SID:TOKEN@"),
        ("SMS", f"twilio://sid:{CANARY} x@h?from=1", "URL 1: must be twilio://SID:TOKEN@"),
        ("SMS", f"twilio://sid:{CANARY}@h:port?from=1", "is not a URL"),
        ("SMS", f"twilio://sid:{CANARY}@[h?from=1", "is not a URL"),
        ("SMS", f"twilio://sid:{CANARY}%ff@h?from=1", "is not a URL"),
        ("EMAIL", f"smtp://user:{CANARY}@h", "in the clear"),
        ("EMAIL", f"smtps://{CANARY}@h", "a user name and a password, or neither"),
        (
            "EMAIL",
            f"smtps://user:12?{CANARY}@h",
            "has an unknown option; the options are connections, name, rate, verp, weight",
        ),
        ("EMAIL", f"smtps://user:{CANARY}?x@h", "is not a URL"),
        ("EMAIL", f"smtps://user:{CANARY}@h/x", "must be smtps://user:password@host:port"),
        ("EMAIL", f"smtps://{CANARY};x", "names a host that is neither"),
        ("SMS", f"twilio://sid:tok@{CANARY};x?from=1", "names a host that is neither"),
        ("EMAIL", "smtps://", "must be smtps://user:password@host:port"),
    ],
)
def test_nonsense_is_refused_with_its_variable_and_position_and_without_its_words(
    channel: str, text: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        READERS[channel](text)

    assert str(refused.value).startswith(f"NOTIFIER_{channel}_PROVIDERS, URL ")
    assert told in str(refused.value)
    assert CANARY not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


def test_no_account_shows_what_it_holds() -> None:
    accounts: list[Account] = [
        *sms.ACCOUNTS.read(f"twilio://S:{CANARY}@h?from=1"),
        *email.ACCOUNTS.read(f"smtps://u:{CANARY}@h"),
    ]

    assert CANARY not in repr(accounts)
    assert CANARY in str([msgspec.structs.asdict(account) for account in accounts])
