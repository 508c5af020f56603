"""Charts: what is drawn of which numbers."""

from xml.etree import ElementTree

import pytest

from notifier.console.charts import HEAD, Mark, Series, ceiling, chart

DAYS = ["7 Mar", "8 Mar", "9 Mar", "10 Mar"]
FOUR = Series("sent", "first", [1, 2, 3, 4])


def drawn(*series: Series, named: tuple[str, ...] = (), marks: tuple[Mark, ...] = ()) -> ElementTree.Element:
    """A chart up to 10."""
    svg = chart(
        "mail", "Mail <b>", "Of four & more days", DAYS, series, top=10, written=lambda value: f"{value:g}",
        named=named, marks=marks,
    )  # fmt: skip
    return ElementTree.fromstring(svg)  # noqa: S314 (our own)


def test_a_chart_is_one_image_with_its_title_and_what_it_shows() -> None:
    image = drawn(FOUR)

    assert image.attrib["role"] == "img"
    told = {each.attrib["id"]: each.text for each in image if "id" in each.attrib}
    assert told[image.attrib["aria-labelledby"]] == "Mail <b>"
    assert told[image.attrib["aria-describedby"]] == "Of four & more days"
    assert not any("style" in each.attrib for each in image.iter())


def test_each_bar_says_its_number_and_is_as_high() -> None:
    bars = drawn(Series("sent", "first", [10, 5, 0, None])).findall("rect")

    assert [bar[0].text for bar in bars] == ["7 Mar: 10 sent", "8 Mar: 5 sent"]
    assert float(bars[0].attrib["y"]) == HEAD
    assert float(bars[0].attrib["height"]) == 2 * float(bars[1].attrib["height"])


def test_a_line_has_a_gap_where_nothing_is_known_and_a_dot_for_what_stands_alone() -> None:
    image = drawn(Series("of people", "third", [10, 5, None, 2], "line"))

    assert len([line for line in image.findall("line") if line.attrib["class"] == "third"]) == 1
    assert [dot[0].text for dot in image.findall("circle")][-1] == "10 Mar: 2 of people"


def test_names_and_marks_stand_where_they_belong() -> None:
    image = drawn(FOUR, named=("", "Sunday", "", ""), marks=(Mark("v3", 0.95), Mark("v2", 0.5)))

    texts = {each.text: each.attrib for each in image.findall("text")}
    assert texts["Sunday"]["x"] == "25.000%"
    assert (texts["v2"]["x"], texts["v2"]["text-anchor"]) == ("50.000%", "start")
    assert texts["v3"]["text-anchor"] == "end"


def test_of_marks_side_by_side_the_first_has_its_name() -> None:
    marks = [each for each in drawn(marks=(Mark("v2", 0.51), Mark("v1", 0.5))) if each.attrib.get("class") == "mark"]

    assert len([each for each in marks if each.tag == "line"]) == 2
    assert [each.text for each in marks if each.text] == ["v1"]


@pytest.mark.parametrize(
    ("values", "top"), [([], 2), ([None], 2), ([1], 2), ([3], 4), ([15], 20), ([600], 600), ([601], 1_000), ([0.4], 2)]
)
def test_the_upper_edge_is_a_round_number(values: list[float | None], top: float) -> None:
    assert ceiling(values) == top
