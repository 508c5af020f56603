"""Stations as they change, streamed to whoever looks at a map (server-sent events, WHATWG HTML §9.2).

A client follows the cells of its screen. One query four times a second serves all clients of a process. What has
changed in a cell is encoded once and shared by those who follow the cell; each is sent one chunk a second at most, and
at once after a quiet second. Nothing is kept for a client that takes nothing: once it takes again, what has changed
meanwhile is read from the view by revision. A client that reconnects to any process with `Last-Event-ID` is served in
the same way.

A chunk ends with its id alone, which a browser keeps as the last one: whoever is cut off in its midst gets all of it
again.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from notifier import metrics
from notifier.api.feeds import BACK_AFTER, HEADERS, HEARTBEAT, refused
from notifier.api.http import on_leaving
from notifier.api.peers import Peers
from notifier.api.stations.following import Following
from notifier.api.stations.searching import of_cells, parts
from notifier.api.stations.view import View
from notifier.domain.clock import SECOND, Clock
from notifier.domain.errors import StoreUnavailable
from notifier.domain.geography import RESOLUTIONS, ancestor, name, resolution_of
from notifier.domain.published import Needs, Place, encode
from notifier.runtime.addresses import Network
from notifier.runtime.background import forever, pause

EVERY: Final = 0.25
"""Seconds between two looks: a quarter of `PERIOD`, so that those who are sent in one look share what they are sent."""
PERIOD: Final = 1.0
"""Seconds between two chunks to a client: more often nobody can read, and phones would never sleep."""
TOGETHER: Final = 50
"""Clients that are sent something before others have their turn: some 5 ms of the event loop."""
MOST: Final = 6_000
"""Streams of a process: each takes some 25 KB, and 5,000 half a core while 1,000 ports change a second."""
MOST_OF_ONE: Final = 100
"""Streams of one address, behind which may be a whole company; proxies that we trust have no limit."""

CLUSTERED: Final = "c"
"""What stands behind the revision in the ids of a stream that tells clusters."""

log = structlog.get_logger(__name__)

_encode: Final = msgspec.json.Encoder().encode


class Topic:
    """What clients follow: a cell's stations that have what a driver needs, or the cell's clusters. `frames` are those
    made since the cell last changed, by the revision after which they tell."""

    __slots__ = ("cell", "clients", "clustered", "frames", "needs")

    def __init__(self, cell: int, needs: Needs, clustered: bool) -> None:
        self.cell = cell
        self.needs = needs
        self.clustered = clustered
        self.clients: set[Client] = set()
        self.frames: dict[int, Frames] = {}


class Frames(msgspec.Struct, frozen=True, gc=False):
    """What has changed in a cell: stations that are no longer shown there, and all else. The former go before all of
    the latter: a station may have moved to another cell of the same client."""

    gone: bytes
    news: bytes


class Client:
    """A stream: its topics, those in which something has changed after the revision `since`, and when it was sent the
    last chunk, in seconds of the monotonic clock."""

    __slots__ = ("changed", "ended", "sent_at", "since", "topics", "waiting")

    def __init__(self) -> None:
        self.topics: Sequence[Topic] = ()
        self.changed: dict[Topic, None] = {}
        self.since = 0
        self.sent_at = 0.0
        self.waiting: asyncio.Future[bytes] | None = None
        self.ended = False

    @property
    def ready(self) -> bool:
        """Whether it has taken what it was sent."""
        return self.waiting is not None

    def give(self, chunk: bytes, now: float) -> None:
        """Send it a chunk, where it is ready."""
        if self.waiting is not None:
            self.waiting.set_result(chunk)
            self.waiting, self.sent_at = None, now

    async def next(self) -> bytes:
        """The next chunk; empty where the stream ends."""
        if self.ended:
            return b""
        self.waiting = asyncio.get_running_loop().create_future()
        return await self.waiting

    def end(self) -> None:
        """End it."""
        self.ended = True
        self.give(b"", 0.0)


class Live:
    """The streams of a process."""

    def __init__(
        self, following: Following, clock: Clock, ending: asyncio.Event, trusted: Sequence[Network] = ()
    ) -> None:
        self._following = following
        following.listen = self._mark
        self._clock = clock
        self._ending = ending
        self._peers = Peers(MOST_OF_ONE, trusted)
        self._topics: dict[int, dict[tuple[Needs, bool], Topic]] = {}
        self._clients: set[Client] = set()
        self._changed: set[Client] = set()
        self._entered = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        self._beat_at = 0.0

    @property
    def connected(self) -> int:
        """The number of streams."""
        return len(self._clients)

    async def follow(self, request: Request, cells: Sequence[int], needs: Needs) -> Response:
        """Stream cells; answers 204, at which browsers stop, beyond the limits and when the process ends."""
        host = request.client.host if request.client is not None else "127.0.0.1"
        last = request.headers.get("last-event-id", "")
        view = await self._following.view()
        if _revision(last) > view.revision:  # the other process had seen more
            view = await self._following.look()
        if self._entered >= MOST or self._ending.is_set() or (peer := self._peers.enter(host)) is None:
            return refused()
        self._entered += 1

        def left() -> None:
            self._entered -= 1
            self._peers.leave(peer)

        return _Stream(self, view, cells, needs, last, left)

    def enter(self, client: Client, view: View, cells: Sequence[int], needs: Needs, last: str) -> bytes:
        """Enter a client; returns its first chunk."""
        now, found = time.monotonic(), of_cells(view, cells, needs)
        clustered = bool(found.clusters)
        client.topics = [self._topic(cell, needs, clustered) for cell in cells]
        client.sent_at = now
        for topic in client.topics:
            topic.clients.add(client)
        self._clients.add(client)
        metrics.map_clients.inc()
        if self._task is None or self._task.done():
            self._task = forever("api.stations.live", self._keep_looking)
        beginning, id_ = b"retry: %d\n\n" % BACK_AFTER, _id(view.revision, clustered)
        since = _revision(last)
        if last != f"{since}{CLUSTERED if clustered else ''}" or not _may_resume(view, since, clustered):
            return b"%bevent: snapshot\n%bdata: %b\n\n" % (beginning, id_, _encode(found))
        frames = [_frames(view, topic, since) for topic in client.topics]
        return b"%b%b%b\n" % (beginning, _joined(frames), id_)

    def leave(self, client: Client) -> None:
        """Forget a client."""
        for topic in client.topics:
            topic.clients.discard(client)
            if not topic.clients:
                of_cell = self._topics[topic.cell]
                of_cell.pop((topic.needs, topic.clustered), None)
                if not of_cell:
                    del self._topics[topic.cell]
        self._clients.discard(client)
        self._changed.discard(client)
        metrics.map_clients.dec()

    async def close(self) -> None:
        """End all streams; a query under way ends first, so that its connection is closed."""
        self._closed.set()
        if self._task is not None:
            await self._task

    def _topic(self, cell: int, needs: Needs, clustered: bool) -> Topic:
        of_cell = self._topics.setdefault(cell, {})
        return of_cell.setdefault((needs, clustered), Topic(cell, needs, clustered))

    def _mark(self, before: int, touched: Collection[int]) -> None:
        """Note for whom something has changed after a revision."""
        cells = {ancestor(leaf, resolution) for leaf in touched for resolution in RESOLUTIONS}
        for cell in cells & self._topics.keys():
            for topic in self._topics[cell].values():
                topic.frames.clear()
                for client in topic.clients:
                    if not client.changed:
                        client.since = before
                        self._changed.add(client)
                    client.changed[topic] = None

    async def _keep_looking(self) -> None:
        """Look while anybody is connected, and send what is due."""
        ended, due = False, time.monotonic()
        while self._clients and not ended:
            try:
                view = await self._following.look()
                await self._send(view)
            except StoreUnavailable as error:
                log.warning("api.stations_store_unavailable", error=str(error))
            due = max(due + EVERY, time.monotonic())
            await pause(self._ending, due - time.monotonic())
            ended = self._ending.is_set() or self._closed.is_set()
        for client in self._clients if ended else ():
            client.end()

    async def _send(self, view: View) -> None:
        """Send what is due, some clients at a time: between them the process serves others."""
        now, sent = time.monotonic(), 0
        due = [each for each in self._changed if each.ready and now - each.sent_at >= PERIOD - EVERY / 2]
        for number, client in enumerate(due, 1):
            if number % TOGETHER == 0:
                await asyncio.sleep(0)
            if client not in self._clients or not client.ready:
                continue
            if client.since < view.moved_after:
                client.end()  # it has slept through more than is remembered, and begins anew
                continue
            chunk = _joined([self._made(view, topic, client.since) for topic in client.changed])
            sent += len(client.changed)
            client.changed.clear()
            self._changed.discard(client)
            if chunk:
                client.give(b"%b%b\n" % (chunk, _id(view.revision, client.topics[0].clustered)), now)
        metrics.map_frames.inc(sent)
        if now >= self._beat_at:
            self._beat_at = now + PERIOD
            for client in self._clients:
                if client.ready and now - client.sent_at >= HEARTBEAT and not client.changed:
                    client.give(b":\n%b\n" % _id(view.revision, client.topics[0].clustered), now)

    def _made(self, view: View, topic: Topic, since: int) -> Frames:
        made = topic.frames.get(since)
        if made is None:
            made = topic.frames[since] = _frames(view, topic, since)
            heard = _oldest(view, topic.cell, since)
            if heard is not None:
                metrics.map_lag_seconds.observe(max(self._clock.now() - heard, 0) / SECOND)
        return made


class _Stream(Response):
    """The answer that lasts as long as its client: one chunk is being sent at most, and the next is made after that."""

    def __init__(
        self, live: Live, view: View, cells: Sequence[int], needs: Needs, last: str, left: Callable[[], None]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Content-Type": "text/event-stream; charset=utf-8", **HEADERS})
        self._live = live
        self._asked = view, cells, needs, last
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = Client()
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            chunk = self._live.enter(client, *self._asked)
            try:
                async with on_leaving(Request(scope, receive), client.end):
                    while chunk:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                        chunk = b""  # a snapshot has some 50 KB, which nobody needs while the next chunk is waited for
                        chunk = await client.next()
            finally:
                self._live.leave(client)
        finally:
            self._left()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _frames(view: View, topic: Topic, since: int) -> Frames:
    """What has changed in a topic after a revision."""
    node = view.node(topic.cell)
    if topic.clustered:
        changed = [] if node is None else [each for each in parts(node) if each.revision > since]
        told = {"clusters": [each.cluster(topic.needs) for each in changed]}
        return Frames(b"", b"event: clusters\ndata: %b\n\n" % _encode(told) if changed else b"")
    changed_places = [] if node is None else list(node.every(since))
    shown = [encode(each) for each in changed_places if topic.needs.fits(each)]
    gone = [each.id for each in changed_places if each.formed > since and not topic.needs.fits(each)]
    gone += _moved(view, topic.cell, since)
    cell = name(topic.cell)
    return Frames(
        b"event: gone\ndata: %b\n\n" % _encode({"cell": cell, "stations": gone}) if gone else b"",
        b"event: change\ndata: %b\n\n" % _encode({"cell": cell, "stations": shown}) if shown else b"",
    )


def _moved(view: View, cell: int, since: int) -> Iterable[str]:
    """Places that have, or may have, moved out of a cell after a revision."""
    resolution = resolution_of(cell)
    for move in view.moves(since):
        left = move.cell is None or ancestor(move.cell, resolution) == cell
        if left and ancestor(view.places[move.id].cell, resolution) != cell:
            yield move.id


def _oldest(view: View, cell: int, since: int) -> int | None:
    """When the port was heard of that has waited longest, of those that changed in a cell after a revision."""
    node = view.node(cell)
    places: Iterable[Place] = () if node is None else node.every(since)
    return min((port.heard_at for each in places for port in each.ports if port.revision > since), default=None)


def _joined(frames: Sequence[Frames]) -> bytes:
    return b"".join([*(each.gone for each in frames if each.gone), *(each.news for each in frames)])


def _may_resume(view: View, since: int, clustered: bool) -> bool:
    """Whether all that has changed after a revision can be told: where clusters lost places isn't remembered."""
    return view.moved_after <= since <= view.revision and not (clustered and view.moves(since))


def _id(revision: int, clustered: bool) -> bytes:
    return b"id: %d%b\n" % (revision, CLUSTERED.encode() if clustered else b"")


def _revision(last: str) -> int:
    """The revision of an id; -1 where it is none of ours."""
    digits = last.removesuffix(CLUSTERED)
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 18 else -1
