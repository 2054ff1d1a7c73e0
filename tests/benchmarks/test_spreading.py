"""The spread of a study's answers: prompts, cells, outliers, and what the command and its CSV tell of them."""

import csv
from io import StringIO

import pytest
from django.core.management import call_command

from benchmarks.models import Study
from benchmarks.spreading import CellFigures, PromptSpread, cell_figures, outlier_ids, prompt_spreads
from tests import factories as make
from tests.greenllm.studies.shown import make_shown_repeats

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_shown_repeats()


def of_small_on_math(study: Study) -> tuple[PromptSpread, CellFigures]:
    spreads = prompt_spreads(study=study)
    return spreads[1], cell_figures(spreads)[1]


class TestPromptSpreads:
    def test_are_in_the_order_of_models_and_categories(self, study: Study) -> None:
        order = [(one.cell.model, one.cell.category, len(one.repeats)) for one in prompt_spreads(study=study)]
        assert order == [(model, category, 6) for model in ("small", "large") for category in ("code", "math", "math")]

    def test_count_a_missing_energy_as_missing(self, study: Study) -> None:
        prompt, _ = of_small_on_math(study)
        assert prompt.energy_j is not None
        assert (prompt.missing_count, prompt.energy_j.n, prompt.qualities) == (1, 5, ("estimated", "missing"))
        assert prompt.energy_j.mean == pytest.approx((10.1 + 10.3 + 10.4 + 10.5 + 90) / 5)

    def test_keep_outliers_and_tell_the_mean_without_them(self, study: Study) -> None:
        prompt, _ = of_small_on_math(study)
        assert prompt.outlier_ids == {study.responses.get(measurement__energy_j=90).pk}
        assert prompt.energy_without_j == pytest.approx((10.1 + 10.3 + 10.4 + 10.5) / 4)
        assert prompt.sci_gco2e is not None
        assert prompt.sci_without_gco2e is not None
        assert prompt.sci_without_gco2e < prompt.sci_gco2e.mean

    def test_of_nothing_but_missing_energies_have_no_figure(self) -> None:
        study = make.make_study(repeats=2)
        prompt, deployment = make.make_prompt(), make.make_deployment()
        for repeat in (1, 2):
            make.make_response(prompt, deployment, study=study, repeat=repeat, energy_j=None)
        (found,) = prompt_spreads(study=study)
        assert (found.energy_j, found.sci_gco2e, found.missing_count, found.energy_without_j) == (None, None, 2, None)
        assert cell_figures([found])[0].energy_j is None

    def test_name_the_server_where_two_models_have_one_name(self) -> None:
        study = make.make_study()
        machine, prompt = make.make_machine(), make.make_prompt()
        for position in (1, 2):
            deployment = make.make_deployment("tiny", server=make.make_server(machine, f"http://127.0.0.1:{position}"))
            study.targets.create(deployment=deployment, position=position)
            make.make_response(prompt, deployment, study=study)
        models = [one.cell.model for one in prompt_spreads(study=study)]
        assert len(set(models)) == 2
        assert all(model.startswith("tiny on server-") for model in models)


class TestCellFigures:
    def test_count_each_prompt_once(self, study: Study) -> None:
        _, cell = of_small_on_math(study)
        assert (cell.prompt_count, cell.answer_count, cell.missing_count, cell.outlier_count) == (2, 12, 1, 1)
        assert cell.energy_j is not None
        assert cell.energy_j.between_prompts.mean == pytest.approx((26.26 + 12.35) / 2)
        assert cell.energy_without_j == pytest.approx((10.325 + 12.35) / 2)


class TestOutlierIds:
    def test_are_those_of_the_prompts_that_are_asked_for(self, study: Study) -> None:
        response = study.responses.get(measurement__energy_j=90)
        assert outlier_ids(study=study) == {response.pk}
        assert outlier_ids(study=study, among=[response]) == {response.pk}
        others = study.responses.exclude(prompt=response.prompt)
        assert outlier_ids(study=study, among=others) == frozenset()

    def test_need_enough_repeats(self) -> None:
        assert outlier_ids(study=make_shown_repeats(repeats=4)) == frozenset()


class TestCommand:
    def told(self, *arguments: str) -> str:
        out = StringIO()
        call_command(*arguments, stdout=out)
        return out.getvalue()

    def test_tells_cells_and_outliers(self, study: Study) -> None:
        told = self.told("spread", "--study", study.name)
        assert "small, math, default: 2 prompts, 12 answers, 1 energies missing, estimated, missing" in told
        assert "energy mean 19.3 J" in told
        assert "1 outliers, counted above; without them 11.34 J" in told
        assert "n = 1 prompts: no interval can be given of one" in told

    def test_says_where_outliers_cannot_be_told(self) -> None:
        make_shown_repeats("few", repeats=2)
        assert "Outliers cannot be told among fewer than 5 repeats." in self.told("spread", "--study", "few")
        make.make_study("empty")
        assert "empty has no finished answer yet." in self.told("spread", "--study", "empty")

    def test_writes_csv_without_inventing_figures(self, study: Study) -> None:
        rows = list(csv.DictReader(StringIO(self.told("spread", "--study", study.name, "--csv", "cells"))))
        alone = rows[0]
        assert (alone["energy_n"], alone["energy_low_j"], alone["energy_variation"]) == ("1", "", "")
        assert float(rows[1]["energy_mean_without_outliers_j"]) == pytest.approx(11.3375)

    def test_marks_outliers_in_the_export_of_measurements(self, study: Study) -> None:
        rows = list(csv.DictReader(StringIO(self.told("export_measurements", "--study", study.name))))
        assert sorted({(row["energy_j"] == "90.0", row["outlier"]) for row in rows}) == [
            (False, ""), (False, "False"), (True, "True"),
        ]  # fmt: skip

    def test_leaves_open_what_cannot_be_told(self) -> None:
        make_shown_repeats("few", repeats=2)
        rows = csv.DictReader(StringIO(self.told("export_measurements", "--study", "few")))
        assert {row["outlier"] for row in rows} == {""}
