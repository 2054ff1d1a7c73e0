"""Large studies are shown from what is counted: the figures are those of reading every answer."""

from decimal import Decimal

import pytest

from benchmarks.intervals import mean_interval_of_sums
from greenllm.dashboards import queries
from greenllm.dashboards.counted import Masses
from greenllm.federation import queries as federation
from tests import factories as make


class TestMeanIntervalOfSums:
    def test_is_mean_and_students_interval(self) -> None:
        found = mean_interval_of_sums(4, 10.0, 5.0)  # 1, 2, 3, 4
        assert found is not None
        assert (found.value, found.n) == (2.5, 4)
        assert found.high - found.value == pytest.approx(3.1824 * (5 / 3 / 4) ** 0.5)

    def test_of_two_is_as_wide_as_so_few_ask(self) -> None:
        found = mean_interval_of_sums(2, 4.0, 2.0)  # 1, 3: a standard error of 1, a t of 12.7 for one degree of freedom
        assert found is not None
        assert found.high == pytest.approx(2.0 + 12.7062)

    def test_knows_no_spread_of_one_and_nothing_of_none(self) -> None:
        assert mean_interval_of_sums(0, 0.0, 0.0) is None
        one = mean_interval_of_sums(1, 3.0, 0.0)
        assert one is not None
        assert (one.low, one.high) == (3.0, 3.0)

    def test_of_nothing_is_missing(self) -> None:
        assert Masses.together([]).mean is None

    def test_of_masses_that_are_all_the_same_has_no_spread(self) -> None:
        one = Decimal("0.0013451722833333333333")
        for n in range(2, 50):
            found = Masses(n, one * n, one * one * n, None).mean
            assert found is not None
            assert found.low == pytest.approx(found.high)


@pytest.mark.django_db
class TestCountedFigures:
    @pytest.mark.slow
    def test_are_those_of_reading_every_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        study, deployment, other = make.make_study(), make.make_deployment("a"), make.make_deployment("b")
        for number, verdict in enumerate(("correct", "correct", "incorrect", "")):
            for one in (deployment, other):
                prompt = make.make_prompt(category="math" if number else "code")
                make.make_response(prompt, one, study=study, energy_j=10.0 + number, verdict=verdict)
        make.make_response(make.make_prompt(), other, study=study, energy_j=None)
        make.make_response(make.make_prompt(role="validation"), other, study=study)
        read = queries.study_tables(study), federation.model_rows([deployment, other], now=make.NOW)
        monkeypatch.setattr(queries, "LARGEST_BOOTSTRAP", 3)
        monkeypatch.setattr(federation, "LARGEST_BOOTSTRAP", 3)
        counted = queries.study_tables(study), federation.model_rows([deployment, other], now=make.NOW)
        assert (counted[0].categories, counted[0].models) == (read[0].categories, read[0].models)
        for key, cell in read[0].cells.items():
            same = counted[0].cells[key]
            for name in ("response_count", "correct_count", "judged_count", "scored_count", "qualities", "sources"):
                assert getattr(same, name) == getattr(cell, name), name
            assert same.sum_sci_gco2e == pytest.approx(cell.sum_sci_gco2e)
            assert same.accuracy == cell.accuracy
            assert (same.mean_sci is None) == (cell.mean_sci is None)
            if same.mean_sci is not None and cell.mean_sci is not None:
                assert same.mean_sci.value == pytest.approx(cell.mean_sci.value)
        for row, same_row in zip(read[1], counted[1], strict=True):
            assert same_row.figures.answer_count == row.figures.answer_count
            assert same_row.figures.accuracy == row.figures.accuracy
            assert same_row.figures.quality == row.figures.quality
