"""Brokers' URLs: what is written is read as it was meant, and what is wrong is told without its words."""

import string
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import connection

from notifier.runtime.broker_url import NAMESPACE, RabbitmqUrl, broker_url, read_broker_url, redis_url

parse_url: Any = connection.parse_url
names = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
hosts = st.one_of(names, st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda address: f"[{address}]"))
ports = st.integers(1, 65535)
several = st.lists(st.tuples(hosts, ports), min_size=1, max_size=5)


def written(named: list[tuple[str, int]]) -> str:
    return ",".join(f"{host}:{port}" for host, port in named)


@given(several, words, words, words, st.integers(0, 15))
def test_sentinels_the_masters_name_and_its_login_are_read_as_they_were_written(
    named: list[tuple[str, int]], user: str, password: str, service: str, database: int
) -> None:
    # Given a URL that names Sentinels, with a login that is percent-encoded
    login = f"{quote(user, '')}:{quote(password, '')}"
    url = redis_url(f"redis+sentinel://{login}@{written(named)}/{quote(service, '')}/{database}")

    # Then each Sentinel is asked without it, and the master is told it
    assert [(parse_url(each)["host"], parse_url(each)["port"]) for each in url.servers] == [
        (host.strip("[]").lower(), port) for host, port in named
    ]
    assert not any("password" in parse_url(each) for each in url.servers)
    node = parse_url(url.node)
    assert (node["username"], node["password"], node["db"]) == (user, password, database)
    assert url.service == service


@given(several, words)
def test_each_named_node_of_a_cluster_is_told_the_login(named: list[tuple[str, int]], password: str) -> None:
    url = redis_url(f"rediss+cluster://:{quote(password, '')}@{written(named)}")

    assert [parse_url(each)["port"] for each in url.servers] == [port for _, port in named]
    assert {parse_url(each)["password"] for each in url.servers} == {password}
    assert all(each.startswith("rediss://") for each in url.servers)


@given(several, words)
def test_every_host_of_a_rabbitmq_has_a_url_of_its_own(named: list[tuple[str, int]], vhost: str) -> None:
    url = read_broker_url(f"amqp://u:p@{written(named)}/{quote(vhost, '')}?heartbeat=5")

    assert isinstance(url, RabbitmqUrl)
    assert list(url.servers) == [f"amqp://u:p@{host}:{port}/{quote(vhost, '')}?heartbeat=5" for host, port in named]


@pytest.mark.parametrize(
    ("text", "queue_type"),
    [
        ("amqp://h/", "classic"),
        ("amqp://a,b,c/", "quorum"),
        ("amqp://h/?queue_type=quorum", "quorum"),
        ("amqp://a,b,c/?queue_type=classic", "classic"),
    ],
)
def test_queues_are_quorum_queues_where_several_hosts_are_named_or_they_are_asked_for(
    text: str, queue_type: str
) -> None:
    url = read_broker_url(text)

    assert isinstance(url, RabbitmqUrl)
    assert url.queue_type == queue_type
    assert not any("queue_type" in each for each in url.servers)


def test_sentinels_have_a_login_of_their_own_and_a_port_unless_it_is_given() -> None:
    url = redis_url(
        "redis+sentinel://:of-the-master@a,b:1/main?sentinel_username=u&sentinel_password=p%40&client_name=n"
    )

    assert url.servers == ("redis://u:p%40@a:26379", "redis://u:p%40@b:1")
    assert url.node == "redis://:of-the-master@a:26379/?client_name=n"


@pytest.mark.parametrize("text", ["redis://h/0", "unix:///s", "redis+sentinel://h/main", "redis+cluster://h"])
def test_keys_have_a_hash_tag_in_a_cluster_and_only_there(text: str) -> None:
    assert redis_url(text).prefix == ("{notifier}" if "cluster" in text else NAMESPACE)


@pytest.mark.parametrize("text", ["redis://u:canary@h/0", "redis+sentinel://u:canary@h/main", "amqp://u:canary@a,b/"])
def test_a_url_that_was_read_is_not_shown(text: str) -> None:
    assert "canary" not in repr(read_broker_url(text))


@given(
    st.sampled_from(["redis", "rediss", "redis+sentinel", "redis+cluster", "unix", "amqp", "amqps", "http", ""]),
    st.text(max_size=40),
)
def test_any_text_is_read_or_refused_without_its_words(scheme: str, rest: str) -> None:
    told = ""
    try:
        read_broker_url(broker_url(f"{scheme}://canary{rest}"))
    except ValueError as error:
        told = str(error)

    assert "canary" not in told
