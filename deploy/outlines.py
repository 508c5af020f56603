"""Makes the map's outlines of land and borders anew from Natural Earth: `python deploy/outlines.py countries-50m.json`.

Natural Earth's data is in the public domain; the file is that of the npm package `world-atlas`, a TopoJSON topology:
arcs that countries share, each once. What comes out has the same form with fewer points:
`arcs` are lists of whole fiftieths of a degree, x and y of the first point and then the steps to each next one; `land`
is a list of rings, each a list of arcs' numbers, `~n` being arc n backwards; `borders` are the numbers of the arcs
between two countries.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

OUTLINES: Final = Path(__file__).parents[1] / "notifier/api/map/static/outlines.json"
PER_DEGREE: Final = 50  # steps of a degree: about 2.2 km, which is what 60 kB have room for
TOLERANCE: Final = 0.05  # degrees by which a simplified line may be off: 5 km, a pixel or two on a map of a country
SMALLEST: Final = 0.03  # square degrees of the smallest islands: Malta is one

Point = tuple[float, float]


def outlines(topology: dict[str, Any]) -> dict[str, Any]:
    """Return the outlines of a TopoJSON topology that has the objects `countries` and `land`."""
    arcs = [_points(arc, topology["transform"]) for arc in topology["arcs"]]
    sharing = Counter(
        arc
        for country in topology["objects"]["countries"]["geometries"]
        for arc in {index if index >= 0 else ~index for ring in _rings(country) for index in ring}
    )
    borders = [arc for arc, countries in sharing.items() if countries > 1]
    land = [ring for each in topology["objects"]["land"]["geometries"] for ring in _rings(each)]
    land = [ring for ring in land if _area(ring, arcs) >= SMALLEST]
    kept = sorted({index if index >= 0 else ~index for ring in land for index in ring} | set(borders))
    number = {arc: new for new, arc in enumerate(kept)}
    return {
        "arcs": [_steps(simplified(arcs[arc])) for arc in kept],
        "land": [[number[index] if index >= 0 else ~number[~index] for index in ring] for ring in land],
        "borders": sorted(number[arc] for arc in borders),
    }


def simplified(line: list[Point]) -> list[Point]:
    """Return a line with as few of its points as keep it within `TOLERANCE` (Ramer, Douglas and Peucker)."""
    keep = {0, len(line) - 1}
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        distances = [(_distance(line[index], line[first], line[last]), index) for index in range(first + 1, last)]
        farthest, index = max(distances, default=(0.0, 0))
        if farthest > TOLERANCE:
            keep.add(index)
            spans += [(first, index), (index, last)]
    return [line[index] for index in sorted(keep)]


def _points(arc: list[list[int]], transform: dict[str, list[float]]) -> list[Point]:
    (width, height), (west, south) = transform["scale"], transform["translate"]
    sums = accumulate(arc, lambda at, step: [at[0] + step[0], at[1] + step[1]])
    return [(x * width + west, y * height + south) for x, y in sums]


def _rings(geometry: dict[str, Any]) -> Iterator[list[int]]:
    match geometry["type"]:
        case "Polygon":
            yield from geometry["arcs"]
        case "MultiPolygon":
            for polygon in geometry["arcs"]:
                yield from polygon


def _area(ring: list[int], arcs: list[list[Point]]) -> float:
    corners = [point for index in ring for point in (arcs[index] if index >= 0 else arcs[~index][::-1])]
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise([*corners, corners[0]]))) / 2


def _distance(point: Point, start: Point, end: Point) -> float:
    """Return the distance of a point from the stretch between two others."""
    (x, y), (x1, y1), (x2, y2) = point, start, end
    length = (x2 - x1) ** 2 + (y2 - y1) ** 2
    along = 0.0 if length == 0 else min(1.0, max(0.0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length))
    return float(((x - x1 - along * (x2 - x1)) ** 2 + (y - y1 - along * (y2 - y1)) ** 2) ** 0.5)


def _steps(line: list[Point]) -> list[int]:
    at = [(round(x * PER_DEGREE), round(y * PER_DEGREE)) for x, y in line]
    steps = [(x2 - x1, y2 - y1) for (x1, y1), (x2, y2) in pairwise(at)]
    return [number for pair in (at[0], *(step for step in steps if step != (0, 0))) for number in pair]


if __name__ == "__main__":
    source = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    OUTLINES.write_text(json.dumps(outlines(source), separators=(",", ":")) + "\n", "utf-8")
    print(f"{OUTLINES.name}: {OUTLINES.stat().st_size} bytes")
