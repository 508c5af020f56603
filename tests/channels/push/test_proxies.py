"""Providers through an HTTP proxy, on the wire: what it is asked for, and what it means where it opens no tunnel."""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from notifier.channels.push.transport import FcmTransport
from notifier.domain.clock import ManualClock, SystemClock
from notifier.domain.errors import SendError, Unavailable
from notifier.providers.http_client import HttpClient
from notifier.providers.opening import open_transports
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import redis_url
from notifier.runtime.proxies import Proxies
from notifier.runtime.settings import load_settings
from tests.channels.provider import PATIENT_HTTP, QUICK_HTTP, Provider, reply
from tests.channels.push.samples import SEND, push
from tests.channels.sms.samples import text
from tests.channels.tunnels import OK, TunnelProxy, answer_all, listening
from tests.named import SMS

NEEDS_PASSWORD = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def proxy() -> AsyncIterator[TunnelProxy]:
    opened = TunnelProxy()
    async with listening(opened.converse) as port:
        opened.url = f"http://ada:s%40cret@127.0.0.1:{port}"
        yield opened


def through(proxy: TunnelProxy, url: str = "https://provider.example", **options: object) -> HttpClient:
    known: dict[str, object] = {"connections": 1, "timeouts": PATIENT_HTTP, "proxies": Proxies(proxy.url)} | options
    return HttpClient("p", url, {}, **known)  # type: ignore[arg-type]


async def test_requests_go_through_one_tunnel_whose_end_must_be_the_one_that_is_meant(
    proxy: TunnelProxy, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with listening(answer_all, server_tls) as proxy.leads_to:
        # When two requests go to a server whose name nobody on this machine knows
        client = through(proxy, tls=trusting)
        for _ in range(2):
            assert (await client.get(b"/")).body == b"ok"
        await client.close()

        # Then the proxy was asked once, by name, and told who asks
        assert proxy.asked == ["CONNECT provider.example:443 HTTP/1.1"]
        assert f"Proxy-Authorization: Basic {b64encode(b'ada:s@cret').decode()}\r\n" in proxy.heads[0]

        # And a server with another's certificate is none
        client = through(proxy, "https://another.example:8443", tls=trusting)
        with pytest.raises(Unavailable) as failed:
            await client.get(b"/")
        await client.close()
        assert failed.value.code == "SSLCertVerificationError"
        assert proxy.asked[-1] == "CONNECT another.example:8443 HTTP/1.1"


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_403"),
        (NEEDS_PASSWORD, "proxy_407"),
        (b"HTTP/1.0 502 Bad gateway\r\n\r\n", "proxy_502"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "proxy_unreadable"),
        (OK + b"220 first words", "proxy_unreadable"),
        (b"x" * 20_000, "proxy_unreadable"),
        (b"HTTP/1.1 200 O", "proxy_closed"),
        (b"", "TimeoutError"),
    ],
)
async def test_without_a_tunnel_nothing_was_sent(proxy: TunnelProxy, says: bytes, code: str) -> None:
    proxy.says = says

    client = through(proxy, timeouts=QUICK_HTTP)
    with pytest.raises(Unavailable) as failed:
        await client.post(b"/", b"x")
    await client.close()

    assert failed.value.code == code


async def test_a_proxy_that_is_not_there_is_no_connection(unused_tcp_port: int) -> None:
    client = through(TunnelProxy(url=f"http://127.0.0.1:{unused_tcp_port}"))
    with pytest.raises(Unavailable) as failed:
        await client.post(b"/", b"x")
    await client.close()
    assert failed.value.code == "ConnectionRefusedError"


async def test_what_is_on_this_machine_is_reached_directly(provider: Provider, proxy: TunnelProxy) -> None:
    provider.answers("/", reply(200, {}))

    client = through(proxy, provider.url)
    assert (await client.get(b"/")).status == 200
    await client.close()

    assert proxy.heads == []


async def test_google_is_asked_for_a_token_through_the_proxy_too(
    provider: Provider, proxy: TunnelProxy, service_account: dict[str, str]
) -> None:
    # Given a proxy that refuses whatever it is asked
    proxy.says = NEEDS_PASSWORD
    account = service_account | {"token_uri": "https://oauth2.provider.example/token"}
    fcm = FcmTransport(account, clock=ManualClock(0), base_url=provider.url, proxies=Proxies(proxy.url))

    with pytest.raises(SendError):
        await fcm.send(push())
    await fcm.close()

    # Then it was asked for Google's server, and told who asks
    assert {line.rpartition(" ")[0] for line in proxy.asked} == {"CONNECT oauth2.provider.example:443"}
    assert b64encode(b"ada:s@cret").decode() in proxy.heads[0]
    assert provider.requests(SEND) == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "NOTIFIER_HTTPS_PROXY"])
async def test_the_usual_variable_is_heeded_unless_all_is_to_stay_on_this_machine(
    proxy: TunnelProxy, empty_valkey: str, variable: str
) -> None:
    proxy.says = NEEDS_PASSWORD
    environ = {"NOTIFIER_SMS_PROVIDERS": "twilio://AC1:t@provider.example?from=%2B15005550006", variable: proxy.url}

    for more, asked in (({}, 1), ({"NOTIFIER_LOOPBACK_ONLY": "true"}, 1), ({"NO_PROXY": ".example"}, 1)):
        settings = load_settings(environ | more)
        sms = open_transports(settings, SystemClock(), lambda: InRedis(redis_url(empty_valkey), "notifier"))[SMS]
        with pytest.raises(SendError):
            await sms.send(text())
        await sms.close()
        assert len(proxy.asked) == asked
