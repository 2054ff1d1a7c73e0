import json

import pytest

from benchmarks.intervals import Interval, share_interval
from greenllm.dashboards.figures import Spot, mean_against_accuracy, sci_by_category, sum_against_accuracy
from greenllm.dashboards.sheets import Sheet, as_csv, ends_of


def share(successes: int, n: int) -> Interval:
    found = share_interval(successes, n)
    assert found is not None
    return found


# the two points that the paper's text names: llama3 with 88 % at 4.6814 g, the classifier with 72 % at 2.0807 g
LLAMA3 = Spot("llama3", "model", share(22, 25), 4.6814)
CLASSIFIER = Spot("router (nearest)", "router", share(18, 25), 2.0807)


class TestSumAgainstAccuracy:
    def test_puts_the_points_of_the_paper_where_its_text_says(self) -> None:
        first, second = sum_against_accuracy([LLAMA3, CLASSIFIER])["data"]
        assert (first["x"], first["y"]) == ([pytest.approx(4681.4)], [pytest.approx(88)])
        assert (second["x"], second["y"]) == ([pytest.approx(2080.7)], [pytest.approx(72)])

    def test_names_the_units_of_both_axes(self) -> None:
        layout = sum_against_accuracy([LLAMA3])["layout"]
        assert "mgCO₂e" in layout["xaxis"]["title"]["text"]
        assert "%" in layout["yaxis"]["title"]["text"]

    def test_tells_the_router_and_the_oracle_from_models_by_shape(self) -> None:
        oracle = Spot("oracle", "oracle", share(25, 25), 1.94)
        symbols = [trace["marker"]["symbol"] for trace in sum_against_accuracy([LLAMA3, CLASSIFIER, oracle])["data"]]
        assert len(set(symbols)) == 3

    def test_tells_the_forms_of_a_router_and_the_measured_one_apart_by_shape(self) -> None:
        forms = [Spot(f"router (nearest), {form}", "router", share(18, 25), 2.0) for form in ("bare", "whole")]
        spots = [LLAMA3, *forms, Spot("router, measured", "measured-router", share(17, 25), 2.1)]
        symbols = [trace["marker"]["symbol"] for trace in sum_against_accuracy(spots)["data"]]
        assert len(set(symbols)) == 4

    def test_draws_no_interval_of_a_sum(self) -> None:
        assert "error_x" not in sum_against_accuracy([LLAMA3])["data"][0]

    def test_of_nothing_is_an_empty_figure(self) -> None:
        assert sum_against_accuracy([])["data"] == []

    def test_tells_many_models_apart(self) -> None:
        spots = [Spot(f"model-{number}", "model", share(1, 2), 1.0) for number in range(12)]
        looks = {(t["marker"]["symbol"], t["marker"]["color"]) for t in sum_against_accuracy(spots)["data"]}
        assert len(looks) == 12


class TestMeanAgainstAccuracy:
    def test_draws_both_intervals_as_distances_from_the_point(self) -> None:
        accuracy = Interval(0.5, 0.4, 0.7, 50)
        trace = mean_against_accuracy([Spot("tiny", "model", accuracy, 0.02, 0.015, 0.03)])["data"][0]
        assert trace["error_x"]["array"] == [pytest.approx(10)]
        assert trace["error_x"]["arrayminus"] == [pytest.approx(5)]
        assert trace["error_y"]["array"] == [pytest.approx(20)]
        assert trace["error_y"]["arrayminus"] == [pytest.approx(10)]


class TestSciByCategory:
    def test_has_a_bar_for_each_model_and_category_and_a_hole_where_nothing_is(self) -> None:
        means = {("code", "tiny"): Interval(0.1815, 0.17, 0.2, 47), ("math", "tiny"): None}
        bars = sci_by_category(["code", "math"], ["tiny", "big"], means)["data"]
        assert [bar["name"] for bar in bars] == ["tiny", "big"]
        assert bars[0]["y"] == [pytest.approx(181.5), None]
        assert bars[1]["y"] == [None, None]
        assert bars[0]["error_y"]["arrayminus"][0] == pytest.approx(11.5)

    def test_is_json(self) -> None:
        json.dumps(sci_by_category(["code"], ["tiny"], {}), allow_nan=False)


class TestCsv:
    def test_leaves_a_field_empty_where_there_is_no_number(self) -> None:
        sheet = Sheet(("model", "mean", "low", "high", "n"), (("tiny", *ends_of(None)),))
        assert as_csv(sheet) == "model,mean,low,high,n\r\ntiny,,,,0\r\n"

    def test_keeps_numbers_exact(self) -> None:
        assert "0.30000000000000004" in as_csv(Sheet(("x",), ((0.30000000000000004,),)))

    @pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)"])
    def test_makes_no_formula_of_a_name(self, name: str) -> None:
        assert as_csv(Sheet(("model",), ((name,),))).splitlines()[1] == f"'{name}"

    def test_leaves_negative_numbers_alone(self) -> None:
        assert as_csv(Sheet(("x",), ((-1.5,),))).splitlines()[1] == "-1.5"
