from xml.etree import ElementTree as ET

import pytest

from greenllm.reports.svg import NARROW, WIDE, Bar, Point, Room, grouped_bars, scatter

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [
    Point("small", "model", 10.0, 50.0, (8.0, 12.0), (40.0, 60.0)),
    Point("<b>large & co</b>", "model", 90.0, 100.0),
    Point("router", "router", 20.0, 75.0),
    Point("oracle", "oracle", 15.0, 100.0),
]


def parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)


def scattered(points: list[Point] = POINTS, room: Room = WIDE) -> ET.Element:
    titles = {"x_title": "SCI (mg)", "y_title": "Accuracy (%)"}
    return parsed(scatter(name="f", description="Four & more", points=points, room=room, **titles))


class TestScatter:
    def test_names_itself_and_every_point(self) -> None:
        titles = [one.text for one in scattered().iter(f"{SVG}title")]
        assert titles == ["Four & more", "small", "<b>large & co</b>", "router", "oracle"]

    def test_draws_a_symbol_for_each_point_and_once_more_in_the_legend(self) -> None:
        assert len(list(scattered().iter(f"{SVG}polygon"))) == 2 * len(POINTS)

    def test_tells_the_forms_of_a_router_and_the_measured_one_apart_by_shape(self) -> None:
        kinds = {"bare": "router", "whole": "router", "measured": "measured-router", "oracle": "oracle"}
        drawn = scattered([Point(name, kind, 20.0, 75.0) for name, kind in kinds.items()])
        shapes = [str(one.get("points")) for one in drawn.iter(f"{SVG}polygon")]
        assert len(set(shapes[: len(kinds)])) == len(kinds)

    def test_draws_only_the_intervals_that_there_are(self) -> None:
        lines = [one for one in scattered().iter(f"{SVG}line") if str(one.get("class")).startswith("whisker")]
        assert len(lines) == 2

    @pytest.mark.parametrize("points", [[], [Point("free", "model", 0.0, 0.0)]], ids=["none", "at zero"])
    def test_bears_nothing_to_scale_by(self, points: list[Point]) -> None:
        assert scattered(points).tag == f"{SVG}svg"


class TestGroupedBars:
    def test_draws_a_dash_where_there_is_no_value(self) -> None:
        series = [("small", [Bar(2.0, (1.0, 3.0)), Bar(None)]), ("large", [Bar(4.0), Bar(8.0)])]
        drawn = parsed(
            grouped_bars(name="b", description="Bars", groups=["code", "math"], series=series, y_title="SCI (mg)")
        )
        legend = 2
        assert len(list(drawn.iter(f"{SVG}rect"))) == 3 + legend
        assert [one.text for one in drawn.iter(f"{SVG}text")].count("\u2013") == 1
        tall = [float(one.get("height", "0")) for one in drawn.iter(f"{SVG}rect")][:3]
        assert tall[1] == pytest.approx(2 * tall[0], abs=0.2)

    def test_cuts_a_long_name_of_a_group_where_names_stand_aslant(self) -> None:
        series = [("small", [Bar(2.0), Bar(1.0)])]
        names = ["code", "answers to questions about law"]
        drawn = parsed(
            grouped_bars(name="b", description="Bars", groups=names, series=series, y_title="SCI", room=NARROW)
        )
        aslant = [one.text for one in drawn.iter(f"{SVG}text") if "rotate(-45)" in str(one.get("transform"))]
        assert aslant == ["code", "answers to ques…"]
        assert drawn.get("viewBox") == "0 0 340 368"

    def test_of_two_sizes_are_told_apart_by_their_ids(self) -> None:
        ids = {next(one.iter(f"{SVG}title")).get("id") for one in (scattered(), scattered(room=NARROW))}
        assert len(ids) == 2
