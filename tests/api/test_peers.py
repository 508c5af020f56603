"""Peers: how many connections each may have, and what every one of them is told."""

import asyncio
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.api.peers import Peers
from notifier.api.serving import headers_of_all
from notifier.runtime.addresses import networks
from notifier.runtime.settings import Settings
from notifier.store.core.database import Database
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application

MOST = 3
hosts = st.ip_addresses().map(str)


@given(hosts)
def test_a_peer_has_as_many_as_it_may_and_another_when_one_has_closed(host: str) -> None:
    peers = Peers(MOST)
    entered = [peers.enter(host) for _ in range(MOST)]
    assert None not in entered
    assert peers.enter(host) is None

    assert entered[0] is not None
    peers.leave(entered[0])
    assert peers.enter(host) is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
    ],
)
def test_whose_an_address_is(one: str, other: str, same: bool) -> None:
    peers = Peers(1)
    assert peers.enter(one) is not None

    assert (peers.enter(other) is None) == same


@given(hosts)
@example("::ffff:0:0")
def test_a_proxy_that_is_trusted_and_a_limit_of_none_let_any_number_in(host: str) -> None:
    proxies = networks(str(ip_address(host)))
    for peers in (Peers(1, proxies), Peers(0)):
        assert all(peers.enter(host) is not None for _ in range(3))


@on_sqlite
async def test_who_has_its_most_connections_open_is_told_so_until_one_has_closed(
    database: Database, valkey: str
) -> None:
    # Given a peer that is no proxy, and holds as many connections as it may
    settings = Settings(connections_per_address=MOST, trusted_proxies="")
    async with application(database, valkey, settings=settings) as api:
        host, port = api.url.removeprefix("http://").split(":")
        held = [await asyncio.open_connection(host, port) for _ in range(MOST)]
        for reader, writer in held:  # each of them is there once it has answered
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")

        # When it opens one more, then that is refused with a reason
        reader, writer = await asyncio.open_connection(host, port)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"too many connections" in answer
        writer.close()

        # When it closes one, then there is room for another
        held[0][1].close()
        await held[0][1].wait_closed()
        async with asyncio.timeout(30):
            while not await _served(host, port):  # noqa: ASYNC110 (the server tells nobody of a close)
                await asyncio.sleep(0.01)
        for _, writer in held:
            writer.close()


async def _served(host: str, port: str) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/docs", "/openapi.json", "/v1/events", "/console/sign-in"])
@on_sqlite
async def test_every_answer_says_that_its_type_is_no_guess(api: Caller, path: str) -> None:
    async with api.session.get(api.url + path) as answer:
        assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
        assert "Strict-Transport-Security" not in answer.headers


@on_sqlite
async def test_where_the_public_address_is_https_every_answer_asks_browsers_to_stay_there(
    database: Database, valkey: str
) -> None:
    settings = Settings(public_url="https://notify.example.com")
    async with application(database, valkey, settings=settings) as api:
        for path in ("/healthz", "/nowhere", "/console/sign-in"):
            async with api.session.get(api.url + path) as answer:
                assert answer.headers.getall("Strict-Transport-Security") == ["max-age=31536000"]


def test_other_hosts_of_the_domain_are_left_alone() -> None:
    assert "Subdomains" not in str(headers_of_all("https://notify.example.com")).title()
