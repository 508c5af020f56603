"""How long requests take until their answer begins, by route. What streams on afterwards doesn't count, nor the time
for which a caller wished to wait."""

from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier import metrics

PATTERN: Final = "pattern"
"""The key in a request's scope that holds the path template of its endpoint: a path itself may hold a link's token."""
WAITED: Final = "waited"
"""The key in a request's scope that holds the seconds for which it waited since its caller wished so."""
OTHER: Final = ("other", "")
"""Route and method of what no endpoint of the table answers: what callers make up must make no series."""


class Latency:
    """Observes each request's time from its head to the beginning of its answer."""

    def __init__(self, app: ASGIApp, mounted: str) -> None:
        self._app = app
        self._mounted = mounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, answered = perf_counter(), False

        async def begin(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._observe(scope, message["status"], perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, begin)
        except Exception:
            if not answered:  # whoever catches it answers 500
                self._observe(scope, 500, perf_counter() - began)
            raise

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        seconds -= scope.get(WAITED, 0.0)
        if PATTERN in scope:
            route, method = scope[PATTERN], scope["method"]
        elif scope["path"].startswith(self._mounted):
            route, method = self._mounted, ""
        else:
            route, method = OTHER
        metrics.requests_of(route, method, status // 100).observe(seconds)
