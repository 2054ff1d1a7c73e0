"""Pages tell of answers what is counted of them, and one figure is the same on each."""

from decimal import Decimal

import pytest

from benchmarks.intervals import Interval
from greenllm.dashboards.counted import Masses
from greenllm.dashboards.queries import study_tables
from greenllm.federation.queries import model_rows
from greenllm.reports.queries import report_cells
from tests import factories as make

# of an answer within a second: TE 574,100 g over 4 years of 365 days, and 385 g/kWh
EMBODIED_G = 574_100 / (4 * 365 * 86_400)
G_PER_JOULE = 385 / 3_600_000


class TestMasses:
    def test_of_nothing_have_no_mean(self) -> None:
        assert Masses.together([]).mean is None

    def test_that_are_all_the_same_have_no_spread(self) -> None:
        one = Decimal("0.0013451722833333333333")
        for n in range(2, 50):
            found = Masses(n, one * n, one * one * n).mean
            assert found is not None
            assert found.low == pytest.approx(found.high)

    def test_of_groups_add_up(self) -> None:
        """1 and 2 beside 3 and 4: mean 2.5, variance 5/3, and t for three degrees of freedom 3.1824."""
        groups = [Masses(2, Decimal(3), Decimal(5)), Masses(2, Decimal(7), Decimal(25))]
        found = Masses.together(groups).mean
        assert found is not None
        assert (found.value, found.n) == (2.5, 4)
        assert found.high - found.value == pytest.approx(3.1824 * (5 / 3 / 4) ** 0.5)


@pytest.mark.django_db
class TestOneMean:
    def test_has_one_interval_on_every_page(self) -> None:
        """Of 10, 12 and 14 J: mean 12, deviation 2, so 4.3027 * 2 / sqrt(3) = 4.96833 J to either side."""
        study, deployment = make.make_study(), make.make_deployment("a")
        make.make_responses(
            [(make.make_prompt(), deployment, {"energy_j": energy, "verdict": "correct"}) for energy in (10, 12, 14)],
            study=study,
        )
        ends = [EMBODIED_G + G_PER_JOULE * joules for joules in (12, 12 - 4.96833, 12 + 4.96833)]
        (cell,) = study_tables(study).cells.values()
        (of_report,) = report_cells(study).values()
        (of_model,) = model_rows([deployment], now=make.NOW)
        figures = (
            cell.mean_sci, cell.mean_sci_of_correct, of_report.per_prompt("sci"), of_report.mean_sci_of_right,
            of_model.figures.sci_gco2e,
        )  # fmt: skip
        for found in figures:
            assert isinstance(found, Interval)
            assert found.n == 3
            assert (found.value, found.low, found.high) == pytest.approx(ends, rel=1e-5)


@pytest.mark.django_db
class TestCountedFigures:
    def test_are_those_of_the_answers(self) -> None:
        study, first, second = make.make_study(), make.make_deployment("a"), make.make_deployment("b")
        code, *math = (make.make_prompt(category=one) for one in ("code", "math", "math", "math"))
        verdicts = ((code, "correct"), (math[0], "correct"), (math[1], "incorrect"), (math[2], ""))
        answers = [(prompt, one, {"verdict": verdict}) for one in (first, second) for prompt, verdict in verdicts]
        answers.append((make.make_prompt(), second, {"energy_j": None}))
        answers.append((make.make_prompt(role="validation"), second, {}))
        make.make_responses(answers, study=study)

        cells = study_tables(study).cells
        assert {
            key: (one.response_count, one.correct_count, one.judged_count, one.scored_count, one.qualities)
            for key, one in cells.items()
        } == {
            ("code", "a"): (1, 1, 1, 1, ("estimated",)),
            ("code", "b"): (1, 1, 1, 1, ("estimated",)),
            ("math", "a"): (3, 1, 2, 3, ("estimated",)),
            ("math", "b"): (4, 1, 2, 3, ("estimated", "missing")),
        }
        assert {one.sources for one in cells.values()} == {("grader",)}
        a, b = (row.figures for row in model_rows([first, second], now=make.NOW))
        assert (a.answer_count, b.answer_count) == (4, 6)
        for figures in (a, b):
            assert figures.accuracy is not None
            assert (figures.accuracy.value, figures.accuracy.n) == (pytest.approx(2 / 3), 3)
            assert figures.quality == "estimated"
