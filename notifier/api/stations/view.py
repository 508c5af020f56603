"""All places and ports in memory, in a tree of H3's cells: each cell knows what its stations sum up to, and which
revision last changed any of them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nlargest
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from notifier.domain.geography import FINEST, ancestor, centre, name
from notifier.domain.published import ANYTHING, Cluster, Needs, Offers, Place, Port, offers
from notifier.domain.stations import Counts, count
from notifier.store.stations.published import News

MOVES: Final = 1_000
"""Changes of coordinates that are remembered: who was away for longer is told everything anew."""


class Node:
    """A cell: `children` that have places, or in the finest resolution the `places` themselves. `sums` are its shown
    stations, their ports by condition in the order of `Counts`, and degrees north and east of the centre."""

    __slots__ = ("cell", "children", "middle", "parent", "places", "revision", "sums")

    def __init__(self, cell: int, parent: "Node | None") -> None:
        self.cell = cell
        self.parent = parent
        self.children: list[Node] = []
        self.places: list[Place] = []
        self.middle = centre(cell)
        self.sums: list[float] = [0] * (1 + len(Counts.__struct_fields__) + 2)
        self.revision = 0

    @property
    def stations(self) -> int:
        """How many stations are shown."""
        return int(self.sums[0])

    def every(self, since: int = -1) -> Iterator[Place]:
        """Its places, shown or not, that changed after a revision."""
        if self.revision > since:
            for place in self.places:
                if place.revision > since:
                    yield place
            for child in self.children:
                yield from child.every(since)

    def leaves(self) -> Iterator["Node"]:
        """The finest cells."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def add(self, place: Place, sign: int, revision: int) -> None:
        """Count a place in this cell and all above it, or with -1 no more."""
        node: Node | None = self
        counts = place.counts
        while node is not None:
            node.revision = max(node.revision, revision)
            if place.shown:
                sums, (north, east) = node.sums, node.middle
                apart = (place.longitude - east + 180) % 360 - 180
                sums[0] += sign
                sums[1] += sign * counts.free
                sums[2] += sign * counts.busy
                sums[3] += sign * counts.reserved
                sums[4] += sign * counts.out_of_order
                sums[5] += sign * counts.unknown
                sums[6] += sign * (place.latitude - north)
                sums[7] += sign * apart
            node = node.parent

    def cluster(self, needs: Needs = ANYTHING) -> Cluster:
        """Its shown stations together, or those that have what a driver needs."""
        if needs != ANYTHING:
            counted = Node(self.cell, None)
            for place in self.every():
                if needs.fit(place.offers):
                    counted.add(place, 1, 0)
            return counted.cluster()
        stations, *numbers, north, east = self.sums
        few = max(stations, 1)
        latitude, longitude = self.middle[0] + north / few, self.middle[1] + east / few
        return Cluster(
            cell=name(self.cell), latitude=round(latitude, 6), longitude=round((longitude + 180) % 360 - 180, 6),
            stations=int(stations), counts=Counts(*map(int, numbers)),
        )  # fmt: skip


class Move(NamedTuple):
    """A place that left the finest cell `cell`; None where it may have left any."""

    revision: int
    id: str
    cell: int | None


class View:
    """What is known up to `revision`. `moved_after` is the revision after which all moves are remembered."""

    def __init__(self) -> None:
        self.revision = 0
        self.moved_after = 0
        self.places: dict[str, Place] = {}
        self._nodes: dict[int, Node] = {}
        self._moves: deque[Move] = deque(maxlen=MOVES)
        self._kinds: dict[Offers, Offers] = {}

    def node(self, cell: int) -> Node | None:
        """A cell that has or had places."""
        return self._nodes.get(cell)

    def moves(self, since: int) -> Sequence[Move]:
        """The moves after a revision."""
        if not self._moves or self._moves[-1].revision <= since:
            return ()
        return [move for move in self._moves if move.revision > since]

    def fitting(self, needs: Needs) -> Callable[[Place], bool]:
        """What says whether a place is shown and has what a driver needs."""
        if needs == ANYTHING:
            return lambda place: place.shown
        fit: dict[Offers, bool] = {kind: needs.fit(kind) for kind in self._kinds}
        return lambda place: place.shown and fit[place.offers]

    def fill(self, news: News) -> None:
        """Take a page of all that there is: places, and then their ports. What has come already is passed over."""
        for place in news.places:
            self.places.setdefault(place.id, place)
        grouped: dict[str, list[Port]] = {}
        for place_id, port in news.ports:
            grouped.setdefault(place_id, []).append(port)
        for place_id, ports in grouped.items():
            if (known := self.places.get(place_id)) is not None:
                known.ports = (*known.ports, *ports)

    def filled(self, revision: int) -> None:
        """Draw the tree, once all pages have come, and what has changed up to a revision is among them."""
        self.revision = revision
        put = [(place.put, place.id) for place in self.places.values()]
        latest = nlargest(MOVES, put)
        self.moved_after = latest[-1][0] if len(put) > len(latest) else 0
        self._moves.extend(Move(at, id_, None) for at, id_ in reversed(latest))
        for place in self.places.values():
            self._form(place)
            place.revision = place.formed = max((place.put, *(port.revision for port in place.ports)))
            self._enter(place)

    def apply(self, news: News, revision: int) -> set[int]:
        """Take what has changed up to a revision; returns the finest cells in which something has."""
        touched: set[int] = set()
        for place in sorted(news.places, key=attrgetter("put")):
            known = self.places.get(place.id)
            if known is None or known.put < place.put:
                touched |= self._put(known, place)
        grouped: dict[str, list[Port]] = {}
        for place_id, port in news.ports:
            grouped.setdefault(place_id, []).append(port)
        for place_id, ports in grouped.items():
            if (known := self.places.get(place_id)) is not None and self._report(known, ports):
                touched.add(known.cell)
        self.revision = revision
        return touched

    def _put(self, known: Place | None, place: Place) -> set[int]:
        if known is not None:
            self._leave(known, place.put)
            place.ports, place.revision = known.ports, max(known.revision, place.put)
            place.formed = max(known.formed, place.put)
            if place.cell != known.cell:
                self._move(Move(place.put, place.id, known.cell))
        self.places[place.id] = place
        self._form(place)
        self._enter(place)
        return {place.cell} if known is None else {place.cell, known.cell}

    def _report(self, place: Place, ports: Iterable[Port]) -> bool:
        known = {port.id: port for port in place.ports}
        news = {port.id: port for port in ports if port.id not in known or known[port.id].revision < port.revision}
        if all(_tells_the_same(known.get(port.id), port) for port in news.values()):
            place.ports = tuple((known | news).values())  # nothing but the revision: an availability counts now
            return False
        node, before = self._nodes[place.cell], (place.offers, place.shown)
        node.add(place, -1, 0)
        place.ports, place.encoded = tuple((known | news).values()), None
        self._form(place)
        place.revision = max(place.revision, *(port.revision for port in news.values()))
        if (place.offers, place.shown) != before:
            place.formed = place.revision
        node.add(place, 1, place.revision)
        return True

    def _move(self, move: Move) -> None:
        if len(self._moves) == MOVES:
            self.moved_after = max(self.moved_after, self._moves[0].revision)
        self._moves.append(move)

    def _form(self, place: Place) -> None:
        place.counts = count(port.condition for port in place.ports)
        found = offers(place.ports)
        place.offers = self._kinds.setdefault(found, found)

    def _enter(self, place: Place) -> None:
        node = self._nodes.get(place.cell) or self._make(place.cell, FINEST)
        node.places.append(place)
        node.add(place, 1, place.revision)

    def _leave(self, place: Place, revision: int) -> None:
        node = self._nodes[place.cell]
        node.places = [each for each in node.places if each is not place]
        node.add(place, -1, revision)

    def _make(self, cell: int, resolution: int) -> Node:
        parent = None
        if resolution > 0:
            above = ancestor(cell, resolution - 1)
            parent = self._nodes.get(above) or self._make(above, resolution - 1)
        node = self._nodes[cell] = Node(cell, parent)
        if parent is not None:
            parent.children.append(node)
        return node


def _tells_the_same(known: Port | None, port: Port) -> bool:
    return known is not None and msgspec.structs.replace(known, revision=port.revision) == port


def nodes(view: View, cells: Iterable[int]) -> list[Node]:
    """Those of the cells that have or had places."""
    return [node for cell in cells if (node := view.node(cell)) is not None]
