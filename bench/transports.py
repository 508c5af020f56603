"""`python -m bench.transports [--messages N] [TRANSPORT …]`: what each transport costs a send. The last line is JSON.

Each transport alone, then behind its channel's pace and breaker (`notifier.providers.pool`), with Redis where
there is one. The stand-ins are processes of their own, as cheap as can be: smtp-sink (Debian's postfix; name one that
is only unpacked by NOTIFIER_TEST_SMTP_SINK), the sandbox where there is none; for HTTP, `serve` below.
"""

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httptools
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.servers import REDIS
from bench.standins import free_port, running, sink
from notifier.channels.email.messages import EmailContent, EmailMessage
from notifier.channels.push.messages import PushContent, PushMessage
from notifier.channels.sms.messages import SmsContent, SmsMessage
from notifier.domain.clock import SystemClock
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Device
from notifier.providers.opening import open_transports
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import redis_url
from notifier.runtime.guard import refuse_everything_but_loopback
from notifier.runtime.settings import load_settings
from notifier.sandbox import Sandbox

MEASURED = (Channel("push"), Channel("sms"), Channel("email"))
MESSAGES = 20_000
TOGETHER = 100  # sends under way at once: a batch of deliveries
WARM = 1_000  # messages before the measured ones: connections are open then, and tokens fetched
REPEATS = 3  # the cheapest run counts: the others met other work on the machine
FOUND = json.dumps(
    {"name": "projects/p/messages/0:1", "sid": "SM" + "1" * 32, "access_token": "t", "expires_in": 3600}
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %d\r\n\r\n%b" % (
    len(FOUND), FOUND,
)  # fmt: skip
PARAGRAPH = "Your charging session at <b>Rotebühlplatz 20</b> has ended: 23.4 kWh for 18.45 €. "


class Cost(NamedTuple):
    """What sends took: how many a second, and the microseconds of this process's CPU for each."""

    sends_per_s: int
    cpu_us: float


class _Connection(asyncio.Protocol):
    """A provider that takes everything: each request gets the same answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._requests = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._requests.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)


async def serve(port: int) -> None:
    """Play FCM, its token endpoint and Twilio until killed."""
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


async def serve_mail(port: int) -> None:
    """Play a mail server where smtp-sink is not there."""
    async with Sandbox({"smtp": port}):
        await asyncio.Event().wait()


@contextmanager
def _mail_server() -> Iterator[int]:
    """The port of smtp-sink, else of a sandbox."""
    with sink(keep=False) as found:
        if found is not None:
            yield found.port
            return
        port = free_port()
        with running([sys.executable, "-m", "bench.transports", "--serve-mail", str(port)], port):
            yield port


@asynccontextmanager
async def _transports(http: int, smtp: int, key: Path) -> AsyncIterator[dict[Channel, Any]]:
    settings = load_settings(
        {
            "NOTIFIER_PUSH_PROVIDERS": f"fcm://{key}?url=http://127.0.0.1:{http}&connections=100",
            "NOTIFIER_SMS_PROVIDERS": f"twilio+http://AC1:t@127.0.0.1:{http}?from=%2B15005550006&connections=100",
            "NOTIFIER_EMAIL_PROVIDERS": f"smtp://127.0.0.1:{smtp}?connections=10",
        }
    )
    opened = open_transports(settings, SystemClock(), lambda: InRedis(redis_url(REDIS), "notifier"))
    yield opened
    for transport in opened.values():
        await transport.close()


def _messages(channel: Channel) -> Iterator[Any]:
    texts = EmailContent(subject="Charging has ended – 18.45 €", text=PARAGRAPH * 8, html=f"<p>{PARAGRAPH}</p>" * 40)
    for number in count():
        reference = secrets.token_hex(16)
        match channel:
            case Channel("push"):
                yield PushMessage(
                    reference=reference, device=Device(value=f"token-{number}:APA91b" + "x" * 130),
                    content=PushContent(title="Charging has ended", body=PARAGRAPH, link="https://app.example/s/1"),
                    notification_type="charging.ended", collapse_key=f"session-{number}", time_to_live=3600,
                    urgency="normal",
                )  # fmt: skip
            case Channel("sms"):
                yield SmsMessage(
                    reference=reference, to=f"+4915112{number:06}", content=SmsContent(text=PARAGRAPH[:120]),
                    time_to_live=3600,
                )  # fmt: skip
            case Channel("email"):
                yield EmailMessage(
                    reference=reference, to=f"driver{number}@example.com", to_name="Ada Lovelace", content=texts,
                    unsubscribe_url=f"https://api.example/v1/unsubscribe?t={reference}",
                )  # fmt: skip


async def _measure(send: Callable[[Any], Awaitable[object]], messages: list[Any]) -> Cost:
    waiting = iter(messages)

    async def sender() -> None:
        for message in waiting:
            await send(message)

    began, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(sender() for _ in range(TOGETHER)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    return Cost(round(len(messages) / seconds), round(cpu / len(messages) * 1e6, 1))


async def measure(channels: list[Channel], messages: int, http: int, smtp: int, key: Path) -> dict[str, Cost]:
    """The cost of each transport, alone and as workers use it."""
    costs = {}
    async with _transports(http, smtp, key) as transports:
        for channel in channels:
            made = _messages(channel)
            providers = transports[channel]
            alone = providers._providers[0]._transport  # noqa: SLF001 (what is measured is inside)
            for name, send in ((str(channel), alone.send), (f"{channel}, paced", providers.send)):
                await _measure(send, [next(made) for _ in range(WARM)])
                runs = [await _measure(send, [next(made) for _ in range(messages)]) for _ in range(REPEATS)]
                costs[name] = min(runs, key=lambda cost: cost.cpu_us)
                print(f"{name:14} {costs[name].sends_per_s:7} sends/s {costs[name].cpu_us:7} µs CPU", file=sys.stderr)
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.transports", description=__doc__)
    parser.add_argument("transports", nargs="*", metavar="TRANSPORT", help=", ".join(MEASURED))
    parser.add_argument("--messages", type=int, default=MESSAGES, help=f"of each (default {MESSAGES})")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--serve-mail", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    refuse_everything_but_loopback()
    if arguments.serve:
        return uvloop.run(serve(arguments.serve))
    if arguments.serve_mail:
        return uvloop.run(serve_mail(arguments.serve_mail))
    http = free_port()
    stand_in = [sys.executable, "-m", "bench.transports", "--serve", str(http)]
    channels = [Channel(name) for name in arguments.transports or MEASURED]
    with _key(http) as key, running(stand_in, http), _mail_server() as smtp:
        costs = uvloop.run(measure(channels, arguments.messages, http, smtp, key))
    print(json.dumps({name: cost._asdict() for name, cost in costs.items()}))
    return None


@contextmanager
def _key(http: int) -> Iterator[Path]:
    """A service account whose tokens come from the stand-in."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "notifier@p.iam.gserviceaccount.com",
        "token_uri": f"http://127.0.0.1:{http}/token",
    }
    path = Path(f"/tmp/notifier-bench-{secrets.token_hex(8)}.json")  # noqa: S108 (its name is a secret)
    path.write_text(json.dumps(account))
    try:
        yield path
    finally:
        path.unlink()


if __name__ == "__main__":
    main()
