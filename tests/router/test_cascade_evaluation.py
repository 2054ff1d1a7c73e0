"""A cascade in evaluations, tunings, dry runs and comparisons: reckoned by the runs that it would make."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import ScriptedOllama
from benchmarks.models import Deployment, Measurement, Study
from router.cascade import Cascade, Rates
from router.evaluating import Comparison, compare, stored_comparison
from router.evaluation.report import Report, report
from router.evaluation.running import Approach, Run, Written, run
from router.evaluation.table import Table
from router.evaluation.tuning import Tuned
from router.expected_answers import plan_from_json
from router.models import Evaluation, PolicyVersion, RoutingDecision
from router.policy import PlannedRun
from router.previewing import preview
from router.reporting import Plan
from tests import factories as make
from tests.router.joining_federation import Wide, make_wide
from tests.router.judged import judged_study, trust, write_outcomes
from tests.router.standins import (
    EMBEDDER_NAME,
    SCRIPTED_MODELS,
    Federation,
    judge_more,
    make_federation,
)
from tests.router.tables import outcomes_table
from tests.router.test_commands import told
from tests.router.test_evaluating import make_validation, row


def three_models(count: int = 240) -> Table:
    """Make a table on which two cheap models are right on every second prompt, and a dear one on all."""
    made = outcomes_table(count).table
    easy = made.categories == 0
    right = np.stack([easy, easy, np.ones(count)], axis=1).astype(np.float64)
    costs = np.tile([1.0, 2.0, 10.0], (count, 1))
    return Table(("a", "b", "c"), made.vectors, made.categories, made.category_names, made.texts, right, costs, "J")


def ran(approach: Approach, **options: dict[str, Written]) -> Run:
    return run(three_models(), approaches=[approach], split_count=2, **options)  # type: ignore[arg-type]


def reported(approach: Approach) -> Report:
    return report(ran(approach))


class TestModelledAgreement:
    def test_charges_both_models_where_they_agree_and_else_the_last(self) -> None:
        found = reported(Approach("cascade", Cascade(), wrong_alike=0.0)).row("cascade")
        shares = found.chosen
        assert found.accuracy.value == 1.0
        assert shares["b"] + shares["c"] == pytest.approx(1.0)
        assert found.cost.value == pytest.approx(shares["b"] * (1 + 2) + shares["c"] * 10)

    def test_trusts_no_agreement_where_two_models_are_wrong_alike(self) -> None:
        """Of the hard prompts half would be accepted, all of them wrong: these go to the last model alone."""
        often = reported(Approach("cascade", Cascade(), wrong_alike=0.5)).row("cascade")
        assert often == reported(Approach("cascade", Cascade(), wrong_alike=0.0)).row("cascade")

    @pytest.mark.slow
    def test_lets_wrong_answers_stand_where_it_is_told_to(self) -> None:
        found = reported(Approach("cascade", Cascade(tolerance=1.0), wrong_alike=0.5)).row("cascade")
        assert found.accuracy.value < 1.0

    def test_is_steady_where_the_same_models_are_asked(self) -> None:
        whole = three_models()
        swapped = whole.vectors[np.arange(240) ^ 1]  # every prompt looks like one of the other kind
        written = {"same": Written(whole.texts, whole.vectors), "swapped": Written(whole.texts, swapped)}
        steady = ran(Approach("cascade", Cascade(), wrong_alike=0.0), written=written).steadiness
        assert steady["cascade", "same"].unchanged == steady["cascade", "same"].prompt_count == 120
        assert steady["cascade", "swapped"].unchanged == 0
        # on a hard prompt that looks easy the two disagree, so that only carbon is lost
        assert steady["cascade", "swapped"].right == steady["cascade", "swapped"].right_before
        assert steady["cascade", "swapped"].cost > steady["cascade", "swapped"].cost_before


class TestMeasuredCheckers:
    RATES = Rates("tests", 0, 0, acceptance=0.5, precision=1.0, accepted_count=200, right_share=1.0)

    @pytest.mark.slow
    def test_accept_as_often_as_was_measured(self) -> None:
        found = reported(Approach("cascade", Cascade(rates=(self.RATES,)))).row("cascade")
        easy = 2 * found.chosen["a"]  # half of the easy answers of a stand
        assert found.accuracy.value == 1.0
        assert found.cost.value == pytest.approx(easy * (1 + 0.5 * 10) + (1 - easy) * 10)

    @pytest.mark.slow
    def test_are_tuned_by_the_tolerance(self) -> None:
        wrong = Rates("tests", 0, 0, acceptance=0.9, precision=0.9, accepted_count=200, right_share=0.9)
        whole = Approach("cascade", Cascade(rates=(wrong,)), target=-0.2)
        (first, _) = next(one for one in ran(whole).ledgers if one.title == "cascade").tuned
        assert isinstance(first, Tuned)
        assert first.tolerance is not None
        assert first.tolerance > 0.05
        assert first.saving > 0
        assert reported(whole).row("cascade").tolerances is not None
        assert reported(whole).row("cascade").prices is None


@pytest.fixture
def embedding(settings: Settings, tmp_path: Path, db: None) -> Iterator[None]:
    with ScriptedOllama(SCRIPTED_MODELS, answers={}) as server:
        make_federation(server.base_url, policy=None)
        settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
        settings.VAR_DIR = tmp_path / "var"
        yield


def trusted_study() -> Study:
    """Make a study in which a checker accepts four of five right answers of the cheap model, and no wrong one."""
    study = judged_study(name="judged")
    cheap = Deployment.objects.get(language_model__name="cheap")
    for model, sci in (("cheap", 0.001), ("dear", 0.01)):
        Measurement.objects.filter(response__deployment__language_model__name=model).update(sci_gco2e=sci)
    category = study.responses.values_list("prompt__category__name", flat=True)[0]
    trust("number_format", cheap, category, answers=200, accepted=80, right=80, right_count=100)
    return study


@pytest.mark.slow
@pytest.mark.usefixtures("embedding")
class TestCommands:
    def test_evaluate_a_study_by_what_was_measured(self, tmp_path: Path) -> None:
        trusted_study()
        target = tmp_path / "report.json"
        said = told("evaluate_router", study="judged", splits=4, policy=["cascade"], json=target)
        written = json.loads(target.read_text())
        found = next(one for one in written["rows"] if one["title"] == "cascade")
        assert found["accuracy"]["value"] == pytest.approx(1.0)
        assert 0.1 < found["saving"]["value"] < 0.5  # half of the prompts cost 3 instead of 10, the others 11
        assert "measure_checkers measured (1 rates over n = 80 accepted answers" in written["reckoned"]["cascade"]
        assert written["reckoned"]["cascade"] in said

    def test_evaluate_a_folder_by_a_modelled_agreement(self, tmp_path: Path) -> None:
        folder = write_outcomes(tmp_path / "outcomes", count=60)
        said = told("evaluate_router", outcomes=folder, splits=1, policy=["cascade"], wrong_alike=0.3)
        assert "two wrong ones in 30 % of the cases, which is an assumption" in said

    def test_refuse_what_is_no_share(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="wrong_alike: 2 is not between 0 and 1"):
            told("evaluate_router", outcomes=tmp_path, policy=["cascade"], wrong_alike=2.0)

    def test_tune_the_tolerance(self) -> None:
        trusted_study()
        said = told("tune_router", study="judged", policy="cascade", loss=1.0)
        version = PolicyVersion.objects.get()
        assert (version.policy, version.tolerance, version.caution) == ("cascade", 0.0, 0.5)
        assert "cascade, tolerance = 0: on the 36 prompts" in said
        assert "By the runs that it would make" in said
        assert Evaluation.objects.get().report["tuning"]["parameter"] == "tolerance"

    def test_tune_nothing_without_a_measured_checker(self) -> None:
        study = judged_study()
        with pytest.raises(CommandError, match="No checker has accepted enough judged answers of these models"):
            told("tune_router", study=study.name, policy="cascade")


def test_a_plan_of_an_evaluation_is_read_back() -> None:
    plan = Plan(policies=("cascade",), wrong_alike=0.2)
    assert Plan.from_json(plan.as_json()) == plan
    assert [one.title for one in plan.approaches] == ["cascade"]


def sci_of(deployment: Deployment) -> float:
    found = Measurement.objects.filter(response__deployment=deployment).values_list("sci_gco2e", flat=True).first()
    assert found is not None
    return float(found)


@pytest.mark.django_db
class TestDryRun:
    def wide(self) -> Wide:
        wide = make_wide()
        PolicyVersion.objects.create(policy="cascade", novelty=4.0)
        trust("number_format", wide.federation.small, "math", accepted=60, right=60, right_count=90)
        return wide

    @pytest.mark.slow
    def test_charges_every_run(self) -> None:
        wide = self.wide()
        found = preview(deployment=wide.new, store=wide.federation.store)
        small, large = sci_of(wide.federation.small), sci_of(wide.federation.large)
        assert found.known.before is not None
        assert found.known.before.sci_gco2e is not None
        assert found.known.before.accuracy is not None
        # a third of the small one's right answers in math is not accepted; code goes to the large one
        assert found.known.before.sci_gco2e.value == pytest.approx((small + large / 3 + large) / 2)
        assert (found.known.before.sci_gco2e.n, found.known.before.accuracy.value) == (42, pytest.approx(1.0))
        assert "by the runs that it would make" in found.reckoned

    @pytest.mark.slow
    def test_of_a_model_that_leaves_goes_to_the_last_alone(self) -> None:
        wide = self.wide()
        found = preview(deployment=wide.federation.small, store=wide.federation.store).known
        assert [(one.source, one.target, one.count) for one in found.moves] == [("small", "large", 21)]
        assert found.after is not None
        assert found.after.sci_gco2e is not None
        assert found.after.sci_gco2e.value == pytest.approx(sci_of(wide.federation.large))


def compared(federation: Federation, study: Study) -> Comparison:
    return compare(study=study, embedder=federation.embedder, store=federation.store, clock=lambda: make.NOW)


@pytest.mark.slow
@pytest.mark.django_db
class TestComparison:
    def test_charges_every_run_and_tells_the_same_again(self) -> None:
        federation = make_federation(policy=None)
        judge_more(federation)
        PolicyVersion.objects.create(policy="cascade", novelty=4.0)
        trust("number_format", federation.small, "math", accepted=60, right=60, right_count=90)
        study = make_validation(federation)
        found = compared(federation, study)
        of_router = row(found, "router (cascade), bare items")
        assert of_router.energy_j is not None
        assert of_router.accuracy is not None
        # small, two thirds accepted; small is wrong and never accepted; code goes to large
        assert of_router.energy_j.value == pytest.approx((10 + 90 / 3 + 20 + 90 + 60 + 80) / 4)
        assert of_router.accuracy.value == pytest.approx(3 / 4)
        assert "by the runs that it would make" in found.reckoned
        assert [one.checker for one in _plan_of_first()] == ["number_format", ""]
        again = stored_comparison(study=study)
        assert (again.rows, again.reckoned) == (found.rows, found.reckoned)


def _plan_of_first() -> tuple[PlannedRun, ...]:
    decision = RoutingDecision.objects.exclude(plan=[]).order_by("pk").first()
    assert decision is not None
    return plan_from_json(decision.plan)
