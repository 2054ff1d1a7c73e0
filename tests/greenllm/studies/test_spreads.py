"""The page of a study's spread, and where outliers are marked."""

import csv
import re
from io import StringIO

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Measurement, Prompt, Study
from benchmarks.spread import drift_of, spread_of
from greenllm.roles import Role
from greenllm.studies import kept_spread
from greenllm.studies.kept_spread import KeptSpread
from greenllm.studies.spread_figures import CellPoint, ControlPoint, cells_chart, control_chart
from tests import factories as make
from tests.greenllm.studies import shown


class TestCellsChart:
    def test_has_an_interval_where_there_is_one(self) -> None:
        spread, alone = spread_of([10.0, 12.0, 14.0]), spread_of([5.0])
        assert spread is not None
        assert alone is not None
        assert spread.high is not None
        points = [
            CellPoint("small", "math", spread),
            CellPoint("small", "code", alone),
            CellPoint("large", "math", alone),
        ]
        chart = cells_chart(points)

        first, second = chart.figure["data"]
        assert (first["x"], first["y"], second["name"]) == (["math", "code"], [12.0, 5.0], "large")
        assert first["error_y"]["array"] == [spread.high - 12.0, 0.0]
        assert "small, math: 12 J" in chart.description


class TestControlChart:
    def test_draws_each_run_and_the_line_of_the_drift(self) -> None:
        points = [ControlPoint(float(hour), 100.0 + 2 * hour) for hour in range(4)]
        drift = drift_of([one.hours for one in points], [one.energy_j for one in points])
        marks, line = control_chart(points, drift).figure["data"]
        assert (marks["x"], marks["y"]) == ([0.0, 1.0, 2.0, 3.0], [100.0, 102.0, 104.0, 106.0])
        assert (line["x"], line["y"]) == ([0.0, 3.0], pytest.approx([100.0, 106.0]))

    def test_of_very_many_runs_draws_some_and_says_so(self) -> None:
        chart = control_chart([ControlPoint(float(hour), 100.0) for hour in range(1_200)], None)
        (marks,) = chart.figure["data"]
        assert marks["x"][:2] == [0.0, 3.0]
        assert chart.title == "Energy of one control run in 3 (J)"
        assert chart.description == "A mark for one control run in 3 of 1200: from 100 J at 0 h to 100 J at 1.2e+03 h."


@pytest.mark.django_db
class TestPage:
    @pytest.fixture(autouse=True)
    def reader(self, client: Client) -> None:
        client.force_login(shown.make_person(Role.RESEARCHER))

    def text(self, client: Client, address: str) -> str:
        return re.sub(r"\s+", " ", client.get(address).content.decode()).replace("\u00a0", " ")

    def outlier(self, study: Study) -> int:
        return study.responses.get(measurement__energy_j=90.0).pk

    @pytest.mark.slow
    def test_is_told_live_on_the_page_of_a_running_study(self, client: Client) -> None:
        """The part asks for itself while the study runs; what it then gets is itself, with what is new."""
        study = shown.make_shown_repeats()
        fragment = self.text(client, "/studies/repeats/spread/note/")
        assert "1 answer is an outlier" in fragment
        assert "<html" not in fragment
        assert "hx-get" not in fragment

        study.state, study.finished_at = "running", None
        study.save()
        asks = 'id="spread-note" hx-get="/studies/repeats/spread/note/" hx-trigger="every 5s" hx-swap="outerHTML"'
        assert asks in self.text(client, "/studies/repeats/spread/note/")
        assert asks in self.text(client, "/studies/repeats/")

    @pytest.mark.slow
    def test_of_the_note_takes_few_queries(
        self, client: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        shown.make_shown_repeats()
        with django_assert_num_queries(5):  # session, person; study, how many answers, their energies
            client.get("/studies/repeats/spread/note/")

    @pytest.mark.slow
    def test_of_very_many_answers_marks_outliers_in_the_list_alone(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        outlier = self.outlier(shown.make_shown_repeats())
        monkeypatch.setattr("greenllm.studies.spreads.MOST_READ", 5)
        with django_assert_num_queries(4):
            note = self.text(client, "/studies/repeats/spread/note/")
        assert "outliers are counted by <a" in note
        assert "is an outlier" not in note
        listed = self.text(client, "/studies/repeats/")
        assert listed.count("problem-badge") == 1
        assert "outlier" in listed.split(f'/responses/{outlier}/"')[-1][:600]

    @pytest.mark.slow
    def test_tells_each_cell_with_its_interval_and_what_it_would_be_without_outliers(self, client: Client) -> None:
        shown.make_shown_repeats()
        page = self.text(client, "/studies/repeats/spread/")
        assert "<b>36</b> <small>finished answers" in page
        assert "<b>1</b> <small>energy missing, counted as missing" in page
        assert "<b>1</b> <small>outlier, counted in every figure" in page
        assert "<b>19.3 J</b>" in page  # of small on math: the mean of 26.26 and 12.35
        assert "11.3 J without outliers" in page
        assert "median 11.3 J, n = 1" in page
        assert "no interval of one" in page
        assert "1 energy missing" in page

    @pytest.mark.slow
    def test_tells_each_prompt_with_its_repeats(self, client: Client) -> None:
        study = shown.make_shown_repeats()
        page = self.text(client, "/studies/repeats/spread/?per=prompts")
        link = f'<a href="/responses/{self.outlier(study)}/" aria-label="Response {self.outlier(study)}">90.0 J</a>'
        assert f'{link} <span class="badge problem-badge">outlier</span>' in page
        assert page.count(">outlier</span>") == 1
        assert "10.3 J without outliers" in page
        assert ">missing</a>" in page

    @pytest.mark.slow
    @pytest.mark.parametrize("per", ["cells", "prompts"])
    def test_is_sorted_by_its_heads(self, client: Client, per: str) -> None:
        study = make.make_study("sorted")
        for energy_j in (20.0, 30.0, None, 10.0):
            deployment = make.make_deployment(f"model-{energy_j}")
            make.make_response(make.make_prompt(), deployment, study=study, energy_j=energy_j)
        for asked, wanted in (("energy", ["10.0", "20.0", "30.0", "None"]), ("-sci", ["30.0", "20.0", "10.0", "None"])):
            page = client.get(f"/studies/sorted/spread/?per={per}&sort={asked}").context["page"]
            assert [row.cell.model.removeprefix("model-") for row in page] == wanted

    @pytest.mark.slow
    def test_of_a_study_without_repeats_says_that_no_interval_can_be_given(self, client: Client) -> None:
        shown.make_shown_study("once")
        page = self.text(client, "/studies/once/spread/?per=prompts")
        assert "of one value there is no interval" in page
        assert page.count("no interval of one") == 8
        assert "outlier</span>" not in page

    @pytest.mark.slow
    def test_of_few_repeats_says_that_outliers_cannot_be_told(self, client: Client) -> None:
        shown.make_shown_repeats(repeats=3)
        assert "among fewer than 5 repeats none can be told" in self.text(client, "/studies/repeats/spread/")

    @pytest.mark.slow
    def test_before_the_first_answer_says_so(self, client: Client) -> None:
        shown.make_shown_study("early", state="draft").responses.update(state="pending")
        assert "No answer is measured yet." in self.text(client, "/studies/early/spread/")

    @pytest.mark.slow
    def test_gives_both_views_as_csv(self, client: Client) -> None:
        study = shown.make_shown_repeats()
        cells, prompts = (
            list(csv.DictReader(StringIO(client.get(f"/studies/repeats/spread/{per}.csv").content.decode())))
            for per in ("cells", "prompts")
        )
        assert len(cells) == 4
        assert len(prompts) == 6
        marked = [row for row in prompts if row["outliers"]]
        assert [(row["outliers"], row["missing_count"], row["energy_n"]) for row in marked] == [
            (str(self.outlier(study)), "1", "5")
        ]
        assert client.get("/studies/repeats/spread/colours.csv").status_code == 404

    @pytest.mark.slow
    def test_tells_a_drift_as_a_problem_on_both_pages(self, client: Client) -> None:
        study = shown.make_shown_study("drifting")
        shown.add_control_runs(study, 100.0, 102.1, 104.0, 106.1, 108.0)
        page = self.text(client, "/studies/drifting/")
        assert '<p class="problem">The machine drifted while it measured' in page
        assert "5 runs</a>, +3.84 % per hour" in page  # slope 4 J per hour of 104.04 J
        runs = self.text(client, "/studies/drifting/spread/?per=control")
        assert '<p class="problem">The machine drifted while it measured' in runs
        assert "<b>+8.00 %</b> <small>last run against the first" in runs
        rows = list(csv.DictReader(StringIO(client.get("/studies/drifting/spread/control.csv").content.decode())))
        assert [row["place"] for row in rows] == ["0", "2", "4", "6", "8"]
        assert {row["drifted"] for row in rows} == {"True"}

    @pytest.mark.slow
    def test_tells_no_drift_that_noise_would_explain(self, client: Client) -> None:
        study = shown.make_shown_study("steady")
        shown.add_control_runs(study, 100.0, 103.0, 99.0, None, 100.0)
        assert 'class="problem"' not in self.text(client, "/studies/steady/")
        runs = self.text(client, "/studies/steady/spread/?per=control")
        assert 'class="problem"' not in runs
        assert "1 of them without energy" in runs
        assert "mean energy, n = 4, measured, missing" in runs

    @pytest.mark.slow
    def test_before_the_first_control_run_says_so(self, client: Client) -> None:
        shown.add_control_runs(shown.make_shown_study("fresh", state="draft"))
        assert "No run yet; the first comes" in self.text(client, "/studies/fresh/spread/?per=control")
        assert "at start and end and after every 2 responses: no run yet" in self.text(client, "/studies/fresh/")

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("view", "repeats", "more"),
        [("cells", 2, (0, 0)), ("cells", 6, (0, 0)), ("prompts", 2, (3, 0)), ("prompts", 6, (3, 0))],
    )
    def test_needs_nine_queries_and_the_models_prompts_and_answers_of_a_page_of_prompts_once(
        self,
        client: Client,
        view: str,
        repeats: int,
        more: tuple[int, int],
        django_assert_num_queries: DjangoAssertNumQueries,
    ) -> None:
        shown.make_shown_repeats(repeats=repeats)
        # session, person, permissions; study, state, models, answers; one sees which answers changed
        with django_assert_num_queries(9 + more[0]):
            client.get(f"/studies/repeats/spread/?per={view}")
        with django_assert_num_queries(6 + more[1]):
            client.get(f"/studies/repeats/spread/?per={view}")

    @pytest.mark.slow
    def test_outliers_are_marked_on_the_pages_of_study_and_response(self, client: Client) -> None:
        study = shown.make_shown_repeats()
        page = self.text(client, "/studies/repeats/")
        assert "1 answer is an outlier by its energy. It is marked below and counts in every figure" in page
        assert page.count(">outlier</span>") == 1
        assert 'href="/studies/repeats/spread/"' in page
        assert "Outlier: this energy lies far" in self.text(client, f"/responses/{self.outlier(study)}/")
        other = study.responses.order_by("pk")[0]
        assert "utlier" not in self.text(client, f"/responses/{other.pk}/")


@pytest.mark.django_db
class TestKeptCells:
    @pytest.mark.parametrize("is_new", [False, True])
    def test_are_those_of_now_after_a_change(self, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
        study = make.make_study(repeats=2)
        deployments = [
            make.make_deployment(name, server=make.make_server(base_url=f"http://127.0.0.1:{port}"))
            for port, name in enumerate(("same", "same", "other"), start=1)
        ]
        study.targets.bulk_create(
            [study.targets.model(study=study, deployment=one, position=at) for at, one in enumerate(deployments)]
        )
        for category in ("math", "code"):
            for number, deployment in enumerate(deployments):
                make.make_response(make.make_prompt(category=category), deployment, study=study, energy_j=1.0 + number)
        read: list[Study] = []
        cells = kept_spread.read_cells

        def counting(study: Study) -> KeptSpread:
            read.append(study)
            return cells(study)

        monkeypatch.setattr(kept_spread, "read_cells", counting)
        first = kept_spread.kept_spread(study).cells
        answer = study.responses.order_by("pk")[1]
        if is_new:
            make.make_response(make.make_prompt(category="law"), answer.deployment, study=study, energy_j=7.0)
        else:
            Measurement.objects.filter(response=answer).update(energy_j=50.0)
        second = kept_spread.kept_spread(study).cells
        assert second == cells(study).cells != first
        assert len(read) == (2 if is_new else 1)

    def test_are_not_read_again_for_a_label(self, monkeypatch: pytest.MonkeyPatch) -> None:
        study = make.make_study()
        answer = make.make_response(make.make_prompt(), make.make_deployment(), study=study, energy_j=1.0)
        first = kept_spread.kept_spread(study).cells
        make.make_label(answer, "correct")
        monkeypatch.setattr(kept_spread, "read_cells", None)
        assert kept_spread.kept_spread(study).cells == first != []

    def test_keep_two_deployments_of_one_name_apart(self) -> None:
        """Of a study that names no deployments: each answers the prompt once, and is no repeat of the other."""
        study, prompt = make.make_study(kind="live"), make.make_prompt()
        servers = [make.make_server(base_url=f"http://127.0.0.1:{port}") for port in (1, 2)]
        for number, server in enumerate(servers):
            make.make_response(prompt, make.make_deployment("same", server=server), study=study, energy_j=1.0 + number)
        (first,) = kept_spread.kept_spread(study).cells
        assert (first.prompt_count, first.answer_count) == (2, 2)
        Measurement.objects.filter(response=study.responses.latest("pk")).update(energy_j=5.0)
        (second,) = kept_spread.kept_spread(study).cells
        assert second.energy_j is not None
        assert (second.prompt_count, second.energy_j.between_prompts.mean) == (2, 3.0)
        assert [second] == kept_spread.read_cells(study).cells

    def test_follow_an_answer_into_another_cell_and_out_of_all(self) -> None:
        study, deployment = make.make_study(), make.make_deployment()
        first, second, other = [make.make_prompt(category=name) for name in ("math", "math", "code")]
        answers = {
            one: make.make_response(one, deployment, study=study, energy_j=2.0) for one in (first, second, other)
        }

        def fails(prompt: Prompt) -> None:
            study.responses.filter(pk=answers[prompt].pk).update(state="failed", error="x")

        counted = []
        for change in (
            lambda: Prompt.objects.filter(pk=second.pk).update(category=other.category),
            lambda: fails(other),
            lambda: fails(first),
        ):
            kept_spread.kept_spread(study)
            change()
            assert kept_spread.kept_spread(study).cells == kept_spread.read_cells(study).cells
            counted.append([(one.cell.category, one.answer_count) for one in kept_spread.kept_spread(study).cells])
        assert counted == [[("code", 2), ("math", 1)], [("code", 1), ("math", 1)], [("code", 1)]]

    def test_come_back_whole_from_bytes(self) -> None:
        study = shown.make_shown_repeats()
        kept = kept_spread.read_cells(study)
        again = kept_spread.PACKING.unpack(kept_spread.PACKING.pack(kept))
        ids = list(study.responses.values_list("pk", flat=True))
        assert again.cells == kept.cells
        assert again.said_of(ids) == kept.said_of(ids) != {}
