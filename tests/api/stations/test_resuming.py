"""Whatever happens, in whatever order, a client that is cut off and comes back to another process sees what is so."""

import json
import re
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from notifier.api.stations import live
from notifier.api.stations.live import Topic
from notifier.api.stations.searching import of_cells
from notifier.api.stations.view import View
from notifier.domain.geography import ancestor, cell_of
from notifier.domain.published import Needs, Place, Port, encode
from notifier.domain.stations import Connector, EvseStatus
from notifier.store.stations.published import News

POINTS = ((51.04, 3.72), (51.05, 3.73), (51.3, 4.4), (10.0, 10.0))
CELLS = sorted({ancestor(cell_of(*point), 5) for point in POINTS[:3]})
SLOW, FAST = (Connector("1", "IEC_62196_T2", 22_000),), (Connector("1", "IEC_62196_T2_COMBO", 150_000),)
NEEDS = (Needs(), Needs(frozenset(["IEC_62196_T2_COMBO"]), 50_000))
NAMES = ("A", "B", "C")


class Rows:
    """What the database holds."""

    def __init__(self) -> None:
        self.revision = 0
        self.places: dict[str, Place] = {}
        self.ports: dict[str, tuple[str, Port]] = {}

    def put(self, name: str, point: tuple[float, float], hidden: bool) -> None:
        self.revision += 1
        self.places[name] = Place(
            id=name, name=name, address="", city="", operator="", time_zone=None, latitude=point[0],
            longitude=point[1], hidden=hidden, put=self.revision, cell=cell_of(*point), revision=self.revision,
            formed=self.revision,
        )  # fmt: skip

    def report(self, name: str, uid: str, status: EvseStatus, connectors: tuple[Connector, ...]) -> None:
        if name in self.places:
            self.revision += 1
            port = Port(f"{name}-{uid}", uid, connectors, status, self.revision, self.revision, self.revision)
            self.ports[port.id] = (name, port)

    def since(self, number: int) -> News:
        return News(
            [msgspec.structs.replace(each) for each in self.places.values() if each.put > number],
            [each for each in self.ports.values() if each[1].revision > number],
        )

    def view(self) -> View:
        """That of a process which begins now."""
        made, news = View(), self.since(0)
        made.fill(News(news.places, ()))
        made.fill(News((), news.ports))
        made.filled(self.revision)
        return made


class Client:
    """A page: what it shows by id, as it was told."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self.shown: dict[str, Any] = {}
        self.last = -1

    def come(self, view: View) -> None:
        """Connect, or be told what has changed since the last time, which is the same."""
        if not live._may_resume(view, self.last, clustered=False):
            found = json.loads(msgspec.json.encode(of_cells(view, CELLS, self.needs)))
            self.shown = {each["id"]: each for each in found["stations"]}
        else:
            frames = [live._frames(view, Topic(cell, self.needs, clustered=False), self.last) for cell in CELLS]
            for event, data in re.findall(r"event: (\w+)\ndata: (.*)\n\n", live._joined(frames).decode()):
                for each in json.loads(data)["stations"]:
                    if event == "gone":
                        self.shown.pop(each, None)
                    else:
                        self.shown[each["id"]] = each
        self.last = view.revision


PUTS = st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from(POINTS), st.booleans())
REPORTS = st.tuples(
    st.just("report"), st.sampled_from(NAMES), st.sampled_from("12"),
    st.sampled_from((EvseStatus.AVAILABLE, EvseStatus.CHARGING, EvseStatus.REMOVED)), st.sampled_from((SLOW, FAST)),
)  # fmt: skip
LOOKS = st.tuples(st.just("look"), st.integers(0, 1))
COMES = st.tuples(st.just("come"), st.integers(0, 1))
RESTARTS = st.tuples(st.just("restart"), st.integers(0, 1))


@given(st.lists(PUTS | REPORTS | LOOKS | COMES | RESTARTS, max_size=40), st.sampled_from(NEEDS))
def test_a_client_of_several_processes_ends_with_what_is_so(steps: list[Any], needs: Needs) -> None:
    # Given rows, two processes that follow them each at its own pace, and a client that goes from one to the other
    kept, client = Rows(), Client(needs)
    views = [kept.view(), kept.view()]

    def look(number: int) -> None:
        view = views[number]
        view.apply(kept.since(view.revision), kept.revision)

    for kind, *rest in steps:
        match kind:
            case "put":
                kept.put(*rest)
            case "report":
                kept.report(*rest)
            case "look":
                look(*rest)
            case "restart":
                views[rest[0]] = kept.view()
            case "come":
                if client.last > views[rest[0]].revision:
                    look(*rest)
                client.come(views[rest[0]])

    # When all have seen everything
    for number in (0, 1):
        look(number)
        client.come(views[number])

    # Then the client shows what a process shows that begins now
    fresh = kept.view()
    expected = {
        each.id: json.loads(bytes(encode(each)))
        for each in fresh.places.values()
        if needs.fits(each) and ancestor(each.cell, 5) in CELLS
    }
    assert client.shown == expected
    for view in views:
        for cell in CELLS:
            node, other = view.node(cell), fresh.node(cell)
            assert (node.sums[:6] if node else [0] * 6) == (other.sums[:6] if other else [0] * 6)
