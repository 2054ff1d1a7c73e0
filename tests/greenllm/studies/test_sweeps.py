"""The page of a sweep: which lines it draws, and of what."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from benchmarks.intervals import Interval
from benchmarks.models import Measurement
from benchmarks.sweeping import varied_parameters
from greenllm.roles import Role
from greenllm.studies.sweep_figures import Line, Point, accuracy_chart, energy_chart
from greenllm.studies.sweeps import sweep_lines
from labeling.models import Label
from tests import factories as make
from tests.greenllm.studies import shown


def point(value: float | None, energy_j: float | None = 10.0) -> Point:
    interval = None if energy_j is None else Interval(energy_j, energy_j - 1, energy_j + 2, 3)
    return Point(value, 3, interval, None, Interval(0.5, 0.25, 0.75, 4), ("estimated",), ("grader",))


class TestCharts:
    LINES = (
        Line("small", "", (point(0.0), point(0.5, 20.0), point(1.0, None))),
        Line("large", "num_ctx=1024", (point(None), point(1.0, 30.0))),
    )

    def test_draw_a_line_of_what_is_known(self) -> None:
        chart = energy_chart(self.LINES, "temperature")
        first, second = chart.figure["data"]
        assert (first["name"], first["x"], first["y"]) == ("small", [0.0, 0.5], [10.0, 20.0])
        assert (first["error_y"]["array"], first["error_y"]["arrayminus"]) == ([2.0, 2.0], [1.0, 1.0])
        assert (second["name"], second["x"]) == ("large (num_ctx=1024)", [1.0])
        assert chart.figure["layout"]["xaxis"]["title"]["text"] == "temperature"
        assert "small: 10 at 0, 20 at 0.5" in chart.description

    def test_show_accuracy_in_percent(self) -> None:
        trace = accuracy_chart(self.LINES, "temperature").figure["data"][0]
        assert (trace["y"], trace["error_y"]["array"]) == ([50.0] * 3, [25.0] * 3)


@pytest.mark.slow
@pytest.mark.django_db
class TestLines:
    def test_are_one_for_each_model_and_other_value(self) -> None:
        study = shown.make_shown_sweep()
        sets = list(study.parameter_sets.order_by("pk"))
        lines = sweep_lines(study, sets, varied_parameters(sets), "temperature")

        assert [(line.model, line.others) for line in lines] == [
            ("small", "num_ctx=1024"), ("small", "num_ctx=2048"), ("large", "num_ctx=1024"), ("large", "num_ctx=2048"),
        ]  # fmt: skip
        first = lines[0].points
        assert [one.value for one in first] == [0.0, 0.5, 1.0]
        assert [one.energy_j.value for one in first if one.energy_j] == [11.0, 13.5, 16.0]
        assert [one.tokens.value for one in first if one.tokens] == [21.0, 21.0, 21.0]
        assert [one.accuracy.value for one in first if one.accuracy] == pytest.approx([1, 2 / 3, 2 / 3])
        assert {one.qualities for one in first} == {("estimated",)}

    def test_leave_out_what_has_no_energy_and_count_it(self) -> None:
        study = shown.make_shown_sweep()
        response = study.responses.order_by("pk")[0]
        gap = make.make_measurement(None)
        study.responses.filter(pk=response.pk).update(measurement=gap)
        sets = list(study.parameter_sets.order_by("pk"))

        first = sweep_lines(study, sets, varied_parameters(sets), "temperature")[0].points[0]
        assert first.energy_j is not None
        assert (first.energy_j.n, first.response_count, first.energy_j.value) == (2, 3, 11.5)
        assert first.qualities == ("estimated", "missing")
        assert Measurement.objects.filter(energy_j=None).count() == 1


@pytest.mark.django_db
class TestPage:
    @pytest.fixture(autouse=True)
    def reader(self, client: Client) -> None:
        client.force_login(shown.make_person(Role.RESEARCHER))

    def text(self, client: Client, address: str) -> str:
        return re.sub(r"\s+", " ", client.get(address).content.decode())

    @pytest.mark.slow
    def test_takes_the_parameter_that_was_asked_for(self, client: Client) -> None:
        shown.make_shown_sweep()
        page = self.text(client, "/studies/sweep/sweep/?by=num_ctx")
        assert "Energy per answer (J) against num_ctx" in page
        assert "temperature=0.5" in page
        assert "against temperature" in self.text(client, "/studies/sweep/sweep/?by=nonsense")

    def test_of_a_study_of_one_set_says_how_to_make_a_sweep(self, client: Client) -> None:
        shown.make_shown_study("plain")
        assert "--sweep temperature=0,0.5,1" in self.text(client, "/studies/plain/sweep/")

    @pytest.mark.slow
    def test_before_the_first_answer_says_so(self, client: Client) -> None:
        study = shown.make_shown_sweep()
        study.responses.update(state="pending")
        assert "No answer is measured yet." in self.text(client, "/studies/sweep/sweep/")

    @pytest.mark.slow
    def test_says_where_nothing_is_judged_instead_of_an_empty_chart(self, client: Client) -> None:
        shown.make_shown_sweep()
        assert 'data-chart="sweep-accuracy-figure"' in self.text(client, "/studies/sweep/sweep/")
        Label.objects.all().delete()
        page = self.text(client, "/studies/sweep/sweep/")
        assert 'data-chart="sweep-energy-figure"' in page
        assert "sweep-accuracy-figure" not in page
        assert "No answer has this figure yet: none is judged." in page

    @pytest.mark.slow
    def test_writes_values_as_people_type_them(self, client: Client) -> None:
        shown.make_shown_sweep()
        assert '<td class="number">0.5</td>' in self.text(client, "/studies/sweep/sweep/")

    @pytest.mark.slow
    def test_is_linked_from_the_study(self, client: Client) -> None:
        shown.make_shown_sweep()
        page = self.text(client, "/studies/sweep/")
        assert 'href="/studies/sweep/sweep/"' in page
        assert "temperature=0, num_ctx=1024" in page

    @pytest.mark.slow
    def test_needs_nine_queries(self, client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        shown.make_shown_sweep()
        with django_assert_num_queries(9):  # session, person, permissions; study, sets, targets, answers, verdicts
            client.get("/studies/sweep/sweep/")
