"""The transport of webhooks: one POST each, to an address that was checked."""

import ssl
from collections import Counter
from collections.abc import Sequence
from typing import Final

from notifier.channels.webhook.bodies import encode
from notifier.channels.webhook.codes import CODES
from notifier.channels.webhook.messages import WebhookMessage
from notifier.domain.clock import Clock
from notifier.domain.errors import SendError
from notifier.domain.messages import Receipt
from notifier.domain.standard_webhooks import signed_headers
from notifier.providers.destinations import UnsafeDestination, parse_destination
from notifier.providers.guarded_client import LOOKUPS, GuardedClient, Resolve
from notifier.providers.http import TIMEOUTS, HttpAnswer, HttpTimeouts, retry_after
from notifier.runtime.addresses import Network
from notifier.runtime.proxies import DIRECT, Proxies

CONNECTIONS: Final = 100
"""Requests under way at once, in each process."""
PER_HOST: Final = LOOKUPS // 2
"""Requests to one host at once, in each process: a slow host or name server must not block the others."""
COME_BACK: Final = 60.0
"""Seconds after which a message whose host was busy is retried at the latest."""

HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "notifier"}


class WebhookTransport:
    """Sends webhooks. `timeouts` are of 10 s in all; the others are those of `GuardedClient`."""

    def __init__(
        self, clock: Clock, *, permitted: Sequence[Network] = (), proxies: Proxies = DIRECT,
        resolve: Resolve | None = None, tls: ssl.SSLContext | None = None, timeouts: HttpTimeouts = TIMEOUTS,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._permitted = permitted
        self._http = GuardedClient(
            CODES.provider, HEADERS, permitted=permitted, resolve=resolve, timeouts=timeouts, tls=tls, proxies=proxies
        )
        self._under_way: Counter[str] = Counter()
        self._turned_away: Counter[str] = Counter()

    async def send(self, message: WebhookMessage) -> Receipt:
        """Hand over one webhook. An answer of 2xx is the receipt: the endpoint has it. Raises a SendError."""
        try:
            body = encode(message)
        except ValueError:
            raise CODES.classify("not_encodable") from None
        host = self._host(message.endpoint.url)
        if self._under_way[host] >= PER_HOST:
            raise self._busy(host)
        self._under_way[host] += 1
        try:
            answer = await self._http.post(message.endpoint.url, body, self._headers(message, body))
        finally:
            self._leave(host)
        if 200 <= answer.status < 300:
            return Receipt(CODES.provider, message.reference, delivered=True)
        raise self._error(answer)

    async def close(self) -> None:
        """Close every connection; sends under way fail."""
        await self._http.close()

    def _headers(self, message: WebhookMessage, body: bytes) -> dict[str, str]:
        """Return the headers: the id in every form, by which receivers find repeats, and the signatures, if any."""
        if message.endpoint.format != "standard":
            return {"webhook-id": message.reference}
        return dict(signed_headers(message.endpoint.keys, message.reference, self._clock.now(), body))

    def _host(self, url: str) -> str:
        try:
            return parse_destination(url, self._permitted).host
        except UnsafeDestination:
            return ""  # the client reports the fault and doesn't connect

    def _busy(self, host: str) -> SendError:
        """Return the error of a busy host: retry after the messages before it, at one a second."""
        self._turned_away[host] += 1
        wait = min(1 + self._turned_away[host] / PER_HOST, COME_BACK)
        return CODES.classify("host_busy", retry_after=wait)

    def _leave(self, host: str) -> None:
        self._under_way[host] -= 1
        if not self._under_way[host]:
            del self._under_way[host]
            self._turned_away.pop(host, None)

    def _error(self, answer: HttpAnswer) -> SendError:
        wait = retry_after(answer.headers, self._clock.now())
        return CODES.classify(str(answer.status), f"{answer.status // 100}xx", retry_after=wait)
