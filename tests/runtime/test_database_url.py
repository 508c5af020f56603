"""A database's URL: what libpq and MariaDB's connectors say is taken, and what can't be is refused by name, unseen."""

from pathlib import Path

import pytest

from notifier.domain.errors import ConfigurationError
from notifier.runtime.database_url import MysqlOptions, PostgresqlOptions, read_database_url
from notifier.runtime.settings import load_settings

CANARY = "c4n4ry"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "mysql", "mariadb"])
def test_a_url_has_who_where_and_what(scheme: str) -> None:
    url = read_database_url(f"{scheme}://us%40er:p%2F%3Fw@h.example:99/na%20me")

    assert (url.user, url.password, url.hosts, url.database) == ("us@er", "p/?w", (("h.example", 99),), "na me")
    assert "p/?w" not in repr(url)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://h/d", (("h", None),)),
        ("postgresql:///d", ()),
        ("postgresql://[::1]:5/d", (("::1", 5),)),
        ("postgresql://a:1,b:2/d", (("a", 1), ("b", 2))),
        ("mariadb://a:1,b,c/d", (("a", 1), ("b", None), ("c", None))),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/d", (("/var/run/postgresql", None),)),
    ],
)
def test_hosts_are_one_several_or_a_socket(text: str, hosts: tuple[tuple[str, int | None], ...]) -> None:
    assert read_database_url(text).hosts == hosts


def test_a_password_that_should_have_been_encoded_is_taken_as_it_was_meant() -> None:
    assert read_database_url("postgresql://u:p/w?x@h/d").password == "p/w?x"


def test_what_libpq_takes_is_taken(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()

    url = read_database_url(
        f"postgresql://h/d?sslmode=verify-full&sslrootcert={ca}&application_name=a%20b&connect_timeout=3"
    )

    assert url.options == PostgresqlOptions(
        sslmode="verify-full", sslrootcert=str(ca), application_name="a b", connect_timeout=3
    )


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("ssl=true", MysqlOptions(ssl=True)),
        ("useSSL=false", MysqlOptions(ssl=False)),
        ("sslMode=trust", MysqlOptions(ssl_mode="trust")),
        ("ssl-mode=VERIFY_IDENTITY", MysqlOptions(ssl_mode="verify-full")),
        ("ssl_mode=REQUIRED&connect_timeout=9", MysqlOptions(ssl_mode="trust", connect_timeout=9)),
        ("charset=utf8mb4", MysqlOptions(charset="utf8mb4")),
    ],
)
def test_what_the_connectors_of_mariadb_and_mysql_take_is_taken(query: str, options: MysqlOptions) -> None:
    assert read_database_url(f"mariadb://h/d?{query}").options == options


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"oracle://u:{CANARY}@h/d", "names 'oracle', which is none of sqlite"),
        (CANARY, "is not a URL"),
        (f"postgresql://u:{CANARY}@h:port/d", "is not a URL"),
        (f"postgresql://u:{CANARY}@h:99999/d", "has an invalid port"),
        (
            f"postgresql://u:{CANARY}@h/d?channel_binding=require",
            "has the option channel_binding, which can't be taken",
        ),
        (f"postgresql://h/d?{CANARY}=1", "has an option, which can't be taken here; there is: sslmode"),
        (f"postgresql://h/d?sslmode={CANARY}", "has an invalid value of sslmode"),
        ("postgresql://h/d?connect_timeout=0", "has an invalid value of connect_timeout"),
        ("postgresql://h/d?sslmode=require&sslrootcert=/c4n4ry", "names a file in sslrootcert that does not exist"),
        ("mariadb://h/d?local_infile=1", "has the option local_infile"),
        ("mariadb://h/d?charset=latin1", "has an invalid value of charset"),
        ("sqlite:///a.db?mode=ro", "has the option mode"),
        ("sqlite://", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
    ],
)
def test_what_cannot_be_taken_is_refused_at_the_start_by_name_and_unseen(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings({"NOTIFIER_DATABASE_URL": text})

    assert str(refused.value).startswith("NOTIFIER_DATABASE_URL ")
    assert told in str(refused.value)
    assert CANARY not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


def test_verify_full_needs_to_know_whom_to_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(ConfigurationError, match="sslrootcert=system"):
        read_database_url("postgresql://h/d?sslmode=verify-full")
    assert read_database_url("postgresql://h/d?sslmode=verify-full&sslrootcert=system").options is not None
