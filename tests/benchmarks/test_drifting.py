"""What the runs of a control workload say together."""

import pytest

from benchmarks.drifting import ControlReport, control_report
from benchmarks.management.drift_words import DRIFTED, told_control
from benchmarks.models import Measurement, Study
from tests.greenllm.studies.shown import add_control_runs, make_shown_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_shown_study(prompt_count=4)


def report_of(study: Study, *energies_j: float | None) -> ControlReport:
    add_control_runs(study, *energies_j)
    report = control_report(study=study)
    assert report is not None
    return report


class TestControlReport:
    def test_of_a_study_that_asks_for_none_is_none(self, study: Study) -> None:
        assert control_report(study=study) is None

    def test_tells_first_against_last_and_the_slope(self, study: Study) -> None:
        report = report_of(study, 100.0, 102.0, 104.0, 106.0, 108.0)
        assert report.drift is not None
        assert report.change == pytest.approx(0.08)
        assert report.drift.share_per_hour == pytest.approx(4 / 104)
        assert report.has_drifted
        assert [run.hours for run in report.runs] == [0.0, 0.5, 1.0, 1.5, 2.0]
        assert "n = 5) as seen within 120.0 min" in told_control(report)
        assert DRIFTED in told_control(report)

    def test_counts_runs_that_are_due(self, study: Study) -> None:
        assert report_of(study, 100.0).due_count == 5  # before the responses 1, 3, 5 and 7 of 8, and after the last
        study.responses.filter(sequence__gt=4).update(state="pending")
        study.state = "running"
        report = control_report(study=study)
        assert report is not None
        assert report.due_count == 2

    def test_leaves_out_missing_energies_and_counts_them(self, study: Study) -> None:
        report = report_of(study, 100.0, None, 101.0, 100.0)
        assert report.spread is not None
        assert report.drift is not None
        assert (report.spread.n, report.drift.n, report.missing_count) == (3, 3, 1)
        assert not report.has_drifted
        assert "4 of 5 runs, 1 without energy" in told_control(report)
        assert DRIFTED not in told_control(report)

    def test_marks_outliers_among_the_runs(self, study: Study) -> None:
        report = report_of(study, 100.0, None, 101.0, 100.5, 99.8, 180.0, 100.1)
        assert [run.energy_j for run in report.runs if run.is_outlier] == [180.0]

    def test_of_too_few_runs_tells_no_slope(self, study: Study) -> None:
        report = report_of(study, 100.0, 110.0)
        assert (report.drift, report.change) == (None, pytest.approx(0.1))
        assert "fewer than three runs tell no drift per hour" in told_control(report)

    def test_of_no_energy_tells_nothing(self, study: Study) -> None:
        report = report_of(study, None)
        assert (report.spread, report.drift, report.change) == (None, None, None)
        assert "nothing can be said of a drift" in told_control(report)

    def test_never_compares_unlike_quality(self, study: Study) -> None:
        add_control_runs(study, 100.0, 102.0, 104.0, 106.0)
        Measurement.objects.filter(study_measurement__place=0).update(quality="estimated")
        report = control_report(study=study)
        assert report is not None
        assert (report.drift, report.change, report.is_mixed) == (None, None, True)
        assert "several qualities" in told_control(report)

    def test_tells_which_runs_did_other_work(self, study: Study) -> None:
        add_control_runs(study, 100.0, 102.0, 104.0)
        study.own_measurements.filter(place=4).update(text="A tricycle")
        report = control_report(study=study)
        assert report is not None
        assert [run.place for run in report.runs if run.has_other_text] == [4]
