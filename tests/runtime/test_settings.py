"""Settings from the environment: every one by its variable and by its file, nonsense refused, secrets never shown."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.errors import ConfigurationError
from notifier.runtime.addresses import mailbox, web_address
from notifier.runtime.settings import Settings, every, load_settings, of_channels, to_environment

FIELDS = every()
DEFAULTS = Settings().values()
SECRETS = {name for name, setting in FIELDS.items() if setting.secret}
PATHS = {field.name for field in msgspec.structs.fields(Settings) if field.type in (Path, Path | None)}


def other_than_default(name: str) -> Any:
    """A value that fits a setting and isn't the one it has anyway."""
    default = DEFAULTS[name]
    if name in PATHS:
        return Path("/srv/elsewhere")
    match default:
        case bool():
            return not default
        case int():
            return default + 1
    fitting = {
        "log_level": "debug",
        "map": "off",
        "push_providers": "fcm:///another.json",
        "sms_providers": "twilio://sid:token@host?from=+15005550006",
        "email_providers": "smtps://another, smtp://one",
        "signing_keys": "5f" * 32,
        "sms_price": "0.075 USD",
        "ocpi_driver_prices": "DE*ABC any",
        "host": "another.host",
        "metrics_listen": "another.host:9464",
        "database_url": "sqlite:///another.db",
        "broker_url": "amqps://another",
        "public_url": "https://another.example/path",
        "trusted_proxies": "10.0.0.1, 10.0.3.0/24",
        "app_url": "http://another.example:8080",
        "email_from": "another@example.com",
        "namespace": "another",
        "map_tiles": "https://another.example/{z}/{x}/{y}.png",
        "map_frames": "https://another.example",
        "https_proxy": "http://another:3128",
    }
    usual = FIELDS[name].example if name in of_channels() else f"another {name}"
    return fitting.get(name, usual)


def variable(name: str) -> str:
    return f"NOTIFIER_{name.upper()}"


PROVIDERS = {
    "NOTIFIER_BROKER_URL": "redis://:canary@host",
    "NOTIFIER_DATABASE_URL": "postgresql://canary:canary@host/name",
    "NOTIFIER_PUSH_PROVIDERS": "fcm:///canary.json",
    "NOTIFIER_SMS_PROVIDERS": "twilio://canary:canary@host?from=1",
    "NOTIFIER_EMAIL_PROVIDERS": "smtps://canary:canary@host",
    "NOTIFIER_SIGNING_KEYS": "canary" * 6,
    "NOTIFIER_HTTPS_PROXY": "http://canary:canary@host",
}


def test_with_nothing_set_all_is_as_the_defaults_say() -> None:
    assert load_settings({}) == Settings()


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_set_by_its_variable(name: str) -> None:
    value = other_than_default(name)

    settings = load_settings({variable(name): str(value), "PATH": "/bin"})

    assert settings.values() == {**DEFAULTS, name: value}


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - PATHS))
def test_every_setting_is_set_by_a_file_with_its_value(name: str, tmp_path: Path) -> None:
    # Given a file with the value, and the line end that editors leave
    value = other_than_default(name)
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")

    # When its path is set, then the setting is the value
    assert load_settings({f"{variable(name)}_FILE": str(file)}).values()[name] == value


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_path_is_not_read_from_a_file_lest_the_key_in_it_be_shown_as_a_path(name: str, tmp_path: Path) -> None:
    # Given the file that somebody meant by it
    key = tmp_path / "key.json"
    key.write_text('{"private_key": "canary"}')

    # When its path is set by _FILE, then the way out is told, and nothing of the file
    with pytest.raises(ConfigurationError, match=r"set that$") as raised:
        load_settings({f"{variable(name)}_FILE": str(key)})
    assert variable(name) in str(raised.value)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("name", FIELDS)
def test_an_empty_variable_is_as_good_as_none(name: str) -> None:
    # That is how a compose file passes on what isn't set.
    assert load_settings({variable(name): "", f"{variable(name)}_FILE": ""}) == Settings()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"NOTIFIER_PROT": "8080"}, "NOTIFIER_PROT is not a setting"),
        ({"NOTIFIER_": "x"}, "NOTIFIER_ is not a setting"),
        ({"NOTIFIER_PROT_FILE": "/dev/null"}, "NOTIFIER_PROT_FILE is not a setting"),
        ({"NOTIFIER_PORT": "http"}, "NOTIFIER_PORT: Expected `int`"),
        ({"NOTIFIER_PORT": "65536"}, "NOTIFIER_PORT: Expected `int` <= 65535"),
        ({"NOTIFIER_WORKER_BATCHES": "0"}, "NOTIFIER_WORKER_BATCHES: Expected `int` >= 1"),
        ({"NOTIFIER_LOOPBACK_ONLY": "perhaps"}, "NOTIFIER_LOOPBACK_ONLY: "),
        ({"NOTIFIER_EMAIL_PROVIDERS": "smtps://one ssl://two"}, "NOTIFIER_EMAIL_PROVIDERS, URL 2: must begin with"),
        ({"NOTIFIER_PUBLIC_URL": "notify.example.com"}, "NOTIFIER_PUBLIC_URL: must begin with https:// or http://"),
        ({"NOTIFIER_PUBLIC_URL": "https://h/?a"}, "NOTIFIER_PUBLIC_URL: contains a ? or a #"),
        (
            {"NOTIFIER_PUBLIC_URL": "https://bücher.de"},
            "NOTIFIER_PUBLIC_URL: contains a space or a non-ASCII character",
        ),
        ({"NOTIFIER_PUBLIC_URL": "https://h:99999"}, "NOTIFIER_PUBLIC_URL: is not a URL"),
        ({"NOTIFIER_PUBLIC_URL": "https://-h"}, "NOTIFIER_PUBLIC_URL: is neither a host's name"),
        ({"NOTIFIER_PUBLIC_URL": "https://u:p@h"}, "NOTIFIER_PUBLIC_URL: contains a user name"),
        ({"NOTIFIER_PUBLIC_URL": f"https://{'h' * 100}"}, "NOTIFIER_PUBLIC_URL: has more than 100"),
        ({"NOTIFIER_APP_URL": "app.example.com"}, "NOTIFIER_APP_URL: must begin with"),
        ({"NOTIFIER_HOST": "http://0.0.0.0"}, "NOTIFIER_HOST: is neither a host's name nor an IP address"),
        ({"NOTIFIER_EMAIL_FROM": "Voltline"}, "NOTIFIER_EMAIL_FROM: must be one address: name@example.com or Name <"),
        ({"NOTIFIER_EMAIL_FROM": "a@b.example, c@d.example"}, "NOTIFIER_EMAIL_FROM: must be one address"),
        ({"NOTIFIER_EMAIL_FROM": f"{'a' * 32}@b.example"}, "NOTIFIER_EMAIL_FROM: has more than 31"),
        ({"NOTIFIER_BRAND_NAME": "Volt\nline"}, "NOTIFIER_BRAND_NAME: contains a line break"),
        ({"NOTIFIER_PORT": "tcp:8080"}, "NOTIFIER_PORT: Expected `int`"),
        ({"NOTIFIER_BROKER_URL": "localhost:6379"}, "NOTIFIER_BROKER_URL: must begin with redis://"),
        ({"NOTIFIER_BROKER_URL": "sentinel://h/main"}, "NOTIFIER_BROKER_URL: names Sentinels or a cluster"),
        ({"NOTIFIER_BROKER_URL": "redis+sentinel://h"}, "NOTIFIER_BROKER_URL: names no Sentinel or no master"),
        ({"NOTIFIER_BROKER_URL": "redis+sentinel://h/main/x"}, "NOTIFIER_BROKER_URL: names a database that is not"),
        ({"NOTIFIER_BROKER_URL": "redis+cluster://a,b/1"}, "NOTIFIER_BROKER_URL: names a database, of which a cluster"),
        ({"NOTIFIER_BROKER_URL": "redis+cluster://a,,b"}, "NOTIFIER_BROKER_URL: names a host or a port that can't be"),
        ({"NOTIFIER_BROKER_URL": "redis+cluster://a:70000"}, "NOTIFIER_BROKER_URL: has a port above 65535"),
        (
            {"NOTIFIER_BROKER_URL": "redis://a:1,b:2/0"},
            "NOTIFIER_BROKER_URL: names several hosts; write",
        ),
        ({"NOTIFIER_BROKER_URL": "amqp://a,b/?queue_type=lazy"}, "NOTIFIER_BROKER_URL: has a queue_type"),
        ({"NOTIFIER_BROKER_URL": "redis://h/zero"}, "NOTIFIER_BROKER_URL: names a database that is not a number"),
        ({"NOTIFIER_BROKER_URL": "redis://h/-1"}, "NOTIFIER_BROKER_URL: names a database that is not a number"),
        ({"NOTIFIER_BROKER_URL": "redis://h?db=x"}, "NOTIFIER_BROKER_URL: has an option"),
        ({"NOTIFIER_BROKER_URL": "redis://h/0?nonsense=1"}, "NOTIFIER_BROKER_URL: has an option"),
        ({"NOTIFIER_BROKER_URL": "redis://h/0?socket_timeout=soon"}, "NOTIFIER_BROKER_URL: has an option"),
        ({"NOTIFIER_BROKER_URL": "rediss://h/0?ssl_cert_reqs=some"}, "NOTIFIER_BROKER_URL: has an option"),
        ({"NOTIFIER_BROKER_URL": "redis://h:0/0"}, "NOTIFIER_BROKER_URL: has the port 0"),
        ({"NOTIFIER_BROKER_URL": "unix://"}, "NOTIFIER_BROKER_URL: names no socket; write unix:///path/of/the/socket"),
        ({"NOTIFIER_BROKER_URL": "amqp://h/?nonsense=1"}, "NOTIFIER_BROKER_URL: has an option"),
        ({"NOTIFIER_BROKER_URL": "amqp://h/?heartbeat=often"}, "NOTIFIER_BROKER_URL: has an option"),
        ({"NOTIFIER_BROKER_URL": "amqp://h/?client_properties={"}, "NOTIFIER_BROKER_URL: has an option"),
        ({"NOTIFIER_LOG_LEVEL": "loud"}, "NOTIFIER_LOG_LEVEL: "),
        ({"NOTIFIER_API_KEY_FILE": "/nowhere/at/all"}, "NOTIFIER_API_KEY_FILE: /nowhere/at/all can't be read"),
        ({"NOTIFIER_API_KEY_FILE": "/"}, "NOTIFIER_API_KEY_FILE: / can't be read"),
        ({"NOTIFIER_API_KEY_FILE": "/dev/null"}, "NOTIFIER_API_KEY_FILE: /dev/null is empty"),
        ({"NOTIFIER_API_KEY": "a", "NOTIFIER_API_KEY_FILE": "/dev/null"}, "NOTIFIER_API_KEY is set both"),
        ({"NOTIFIER_API_KEY_FILE": "/dev/null", "NOTIFIER_API_KEY": "a"}, "NOTIFIER_API_KEY"),
    ],
)
def test_nonsense_is_refused_with_the_variables_name(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(environ)

    assert str(raised.value).startswith(named)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("REDIS://Host:6379/0", "redis://Host:6379/0"),
        ("Redis://u:P%40ss@h/2", "redis://u:P%40ss@h/2"),
        ("AMQPS://u:P@h/%2F", "amqps://u:P@h/%2F"),
        ("redis://h", "redis://h"),
        ("redis://h?db=3", "redis://h?db=3"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("rediss://h/0?ssl_ca_certs=/not/here/yet.pem", "rediss://h/0?ssl_ca_certs=/not/here/yet.pem"),
        ("amqp://h/name?heartbeat=5", "amqp://h/name?heartbeat=5"),
        ("Redis+Sentinel://u:P@a,b:1/Main/2", "redis+sentinel://u:P@a,b:1/Main/2"),
        ("rediss+cluster://a:1,b:2?ssl_ca_certs=/x.pem", "rediss+cluster://a:1,b:2?ssl_ca_certs=/x.pem"),
        ("amqp://u:p@a,b:1,[::1]:2/v?queue_type=classic", "amqp://u:p@a,b:1,[::1]:2/v?queue_type=classic"),
    ],
)
def test_a_brokers_url_is_kept_as_its_client_takes_it(given: str, kept: str) -> None:
    assert load_settings({"NOTIFIER_BROKER_URL": given}).broker_url == kept


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_an_example_that_is_told_with_what_is_wrong(name: str) -> None:
    assert load_settings({variable(name): FIELDS[name].example}) is not None


@pytest.mark.parametrize("wrong", ["one two", "\x00"])
@pytest.mark.parametrize(
    "name", ["port", "public_url", "app_url", "host", "email_from", "loopback_only", "log_level", "map"]
)
def test_what_is_wrong_is_told_without_its_words_and_with_a_good_value(name: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings({variable(name): f"canary {wrong} canary"})

    assert str(raised.value).startswith(f"{variable(name)}: ")
    assert str(raised.value).endswith(f"write it as {FIELDS[name].example}")
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "written",
    ["https://h.example/", " https://h.example\t", '"https://h.example"', "'https://h.example/' ", "HTTPS://H.example"],
)
@pytest.mark.parametrize("name", ["public_url", "app_url"])
def test_an_address_has_one_form_however_it_is_written(name: str, written: str) -> None:
    assert getattr(load_settings({variable(name): written}), name) == "https://h.example"


@given(st.text(max_size=120))
def test_an_address_is_refused_or_is_one_that_links_can_begin_with(text: str) -> None:
    try:
        found = web_address(text)
    except ValueError:
        return
    assert re.fullmatch(r"https?://[a-z0-9._:\[\]-]+(/[!-~]*[^/])?", found)
    assert web_address(found) == found


@pytest.mark.parametrize(
    ("written", "address", "name"),
    [
        ("a@b.example ", "a@b.example", None),
        ("Voltline <a@b.example>", "a@b.example", "Voltline"),
        ('"Voltline, Inc." <a@b.example>', "a@b.example", "Voltline, Inc."),
        ("<a@b.example>", "a@b.example", None),
        ('"a@b.example"', "a@b.example", None),
        ("Bücher <a@bücher.de>", "a@xn--bcher-kva.de", "Bücher"),
    ],
)
def test_whom_mails_come_from_is_an_address_bare_or_with_its_name(written: str, address: str, name: str | None) -> None:
    settings = load_settings({"NOTIFIER_EMAIL_FROM": written})

    assert mailbox(settings.channels["email_from"]) == (address, name)
    assert load_settings({"NOTIFIER_EMAIL_FROM": settings.channels["email_from"]}) == settings


@pytest.mark.parametrize("written", ["::", "[::]", "0.0.0.0", "localhost", "Web_1"])  # noqa: S104
def test_the_web_process_listens_on_an_address_or_a_name(written: str) -> None:
    assert load_settings({"NOTIFIER_HOST": written}).host == written.strip("[]").lower()


def test_what_kubernetes_sets_for_services_of_our_name_is_passed_over() -> None:
    # Given the variables of the Services `notifier` and `notifier-redis` in a pod's namespace
    links = {
        "NOTIFIER_SERVICE_HOST": "10.0.0.1", "NOTIFIER_SERVICE_PORT": "8080", "NOTIFIER_SERVICE_PORT_HTTP": "8080",
        "NOTIFIER_PORT": "tcp://10.0.0.1:8080", "NOTIFIER_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "NOTIFIER_PORT_8080_TCP_PROTO": "tcp", "NOTIFIER_PORT_8080_TCP_PORT": "8080",
        "NOTIFIER_PORT_8080_TCP_ADDR": "10.0.0.1",
    }  # fmt: skip
    others = {name.replace("NOTIFIER_", "NOTIFIER_REDIS_"): value for name, value in links.items()}

    # Then nothing is set by them
    assert load_settings(links | others) == Settings()
    # And what nobody but a person sets still counts
    with pytest.raises(ConfigurationError, match="NOTIFIER_REDIS_PORT is not a setting"):
        load_settings({"NOTIFIER_REDIS_PORT": "6379"})


def test_a_byte_order_mark_in_a_file_is_no_part_of_the_value(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xef\xbb\xbfhttps://h.example/\r\n")

    assert load_settings({"NOTIFIER_PUBLIC_URL_FILE": str(file)}).public_url == "https://h.example"


@pytest.mark.parametrize("text", ["0.075", "USD 0.075", "0,075 EUR", "0.075 usd", "1 2 3", "nan EUR"])
def test_a_price_is_an_amount_and_a_currency(text: str) -> None:
    with pytest.raises(ConfigurationError, match="NOTIFIER_SMS_PRICE: write an amount and a currency"):
        load_settings({"NOTIFIER_SMS_PRICE": text})


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigurationError, match="NOTIFIER_SMS_PROVIDERS_FILE"):
        load_settings({"NOTIFIER_SMS_PROVIDERS_FILE": str(file)})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_flag_is_true_or_false_or_a_digit(text: str, value: bool) -> None:
    assert load_settings({"NOTIFIER_LOOPBACK_ONLY": text}).loopback_only is value


def test_what_tests_and_other_programs_set_is_not_ours() -> None:
    assert load_settings({"NOTIFIER_TEST_REDIS_URL": "redis://", "PORT": "x", "XNOTIFIER_PORT": "x"}) == Settings()


@pytest.mark.parametrize(
    ("servers", "good"),
    [("smtp://a?verp=false", True), ("smtp://a?verp=false smtp://b", False), ("smtp://a", False)],
)
def test_a_long_sender_is_good_where_no_server_takes_return_paths(servers: str, good: bool) -> None:
    environ = {"NOTIFIER_EMAIL_FROM": f"{'a' * 64}@b.example", "NOTIFIER_EMAIL_PROVIDERS": servers}

    if good:
        assert load_settings(environ).channels["email_from"] == f"{'a' * 64}@b.example"
    else:
        with pytest.raises(ConfigurationError, match="more than 31"):
            load_settings(environ)


def test_every_secret_is_a_setting_and_none_is_shown() -> None:
    own = {variable(name): f"canary of {name}" for name in SECRETS - of_channels().keys()}

    settings = load_settings(own | PROVIDERS)

    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "canary" not in shown
        assert "sms_providers='…'" in shown
        assert "port=8080" in shown


def test_whatever_is_named_like_a_secret_is_one() -> None:
    secret = {name for name in FIELDS if any(word in name for word in ("password", "token", "secret", "key"))}

    assert secret <= SECRETS


def test_settings_go_to_another_process_and_come_back_the_same() -> None:
    chosen = {name: other_than_default(name) for name in FIELDS}

    settings = load_settings(to_environment(chosen))

    assert settings.values() == chosen
    assert load_settings(to_environment(settings.values())) == settings


def test_every_setting_is_told_in_the_page_of_settings_as_by_the_doctor() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `NOTIFIER_")]

    assert [row[0].strip("`") for row in rows] == [variable(name) for name in FIELDS]
    assert [row[-1] for row in rows] == [setting.about for setting in FIELDS.values()]
    for row, default in zip(rows, DEFAULTS.values(), strict=True):
        if isinstance(default, str | int) and not isinstance(default, bool):
            assert row[1].strip(" `") == str(default)
