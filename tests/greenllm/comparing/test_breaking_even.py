from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks.models import Measurement, Study
from greenllm.comparing.as_text import break_even_as_json, break_even_lines, own_lines
from greenllm.comparing.breaking_even import NoBaseline, OwnCarbon, break_even, own_carbon, reckon
from router.expected_answers import AnswerOutcome
from router.models import PromptIndex, RoutingDecision
from tests import factories as make
from tests.router.standins import Federation, make_federation
from tests.router.test_evaluating import make_validation

OWN = OwnCarbon(1.0, 10, 0, 0, ("estimated",), None, None)


def outcomes(model: str, costs: Sequence[float | None], quality: str = "estimated") -> dict[int, AnswerOutcome]:
    return {
        prompt: AnswerOutcome(prompt, 1, model, None, cost, quality, True) for prompt, cost in enumerate(costs, start=1)
    }


class TestReckon:
    study = Study(name="s")

    def test_divides_the_study_by_the_saving(self) -> None:
        found = reckon(
            study=self.study, own=OWN, alone=outcomes("big", [0.03] * 10), routed=outcomes("small", [0.01] * 10)
        )
        assert found.saving_gco2e is not None
        assert found.prompts is not None
        assert (found.saving_gco2e.value, found.saving_gco2e.n) == (pytest.approx(0.02), 10)
        assert (found.prompts.value, found.prompts.low, found.prompts.high) == pytest.approx((50.0, 50.0, 50.0))

    def test_turns_the_interval_over(self) -> None:
        costs = [0.02, 0.03, 0.04, 0.05, 0.03, 0.02]
        found = reckon(study=self.study, own=OWN, alone=outcomes("big", costs), routed=outcomes("small", [0.01] * 6))
        assert found.saving_gco2e is not None
        assert found.prompts is not None
        assert found.prompts.low == pytest.approx(1 / found.saving_gco2e.high)
        assert found.prompts.high == pytest.approx(1 / found.saving_gco2e.low)
        assert found.prompts.low < found.prompts.value < found.prompts.high

    @pytest.mark.parametrize(
        ("alone", "routed", "reason"),
        [
            pytest.param([0.01] * 8, [0.03] * 8, "not shown to save anything", id="costs more"),
            pytest.param([0.01] * 8, [0.01] * 8, "not shown to save anything", id="the same"),
            pytest.param([0.01, 0.05] * 4, [0.03, 0.02] * 4, "not shown to save anything", id="now so, now so"),
            pytest.param([None] * 3, [0.01] * 3, "No validation prompt has a score", id="not measured"),
            pytest.param([0.02], [0.01], "One prompt alone shows no saving", id="one prompt"),
        ],
    )
    def test_is_never_where_no_saving_is_shown(
        self, alone: list[float | None], routed: list[float | None], reason: str
    ) -> None:
        found = reckon(study=self.study, own=OWN, alone=outcomes("big", alone), routed=outcomes("small", routed))
        assert found.prompts is None
        assert reason in found.reason

    def test_does_not_set_unlike_energies_against_each_other(self) -> None:
        found = reckon(
            study=self.study, own=OWN, alone=outcomes("big", [0.03] * 8, "measured"),
            routed=outcomes("small", [0.01] * 8),
        )  # fmt: skip
        assert (found.prompts, found.saving_gco2e) == (None, None)
        assert found.reason == "The energies are estimated and measured: they are not compared."

    @pytest.mark.parametrize(
        ("qualities", "reason"),
        [
            (("measured",), "own energy is measured, that behind the saving estimated"),
            (("estimated", "measured"), "own energies are estimated and measured: they are not added up"),
        ],
    )
    def test_does_not_set_a_saving_against_unlike_energies_of_the_study(
        self, qualities: tuple[str, ...], reason: str
    ) -> None:
        found = reckon(
            study=self.study, own=replace(OWN, qualities=qualities), alone=outcomes("big", [0.03] * 8),
            routed=outcomes("small", [0.01] * 8),
        )  # fmt: skip
        assert found.prompts is None
        assert reason in found.reason

    def test_says_where_the_study_is_not_scored(self) -> None:
        nothing = OwnCarbon(0.0, 0, 5, 0, (), None, None)
        found = reckon(
            study=self.study, own=nothing, alone=outcomes("big", [0.03] * 8), routed=outcomes("small", [0.01] * 8)
        )
        assert found.prompts is None
        assert "its own carbon is unknown" in found.reason


def of(study: Study, federation: Federation, **options: object) -> list[str]:
    found = break_even(
        study=study, embedder=federation.embedder, store=federation.store, clock=lambda: make.NOW, **options
    )
    return break_even_lines(found)


@pytest.mark.django_db
class TestBreakEven:
    # by hand (tests/router/test_evaluating.py): large costs 90 90 60 80 J, the router's choices 10 20 60 80 J
    @pytest.mark.slow
    def test_sets_the_router_against_the_most_accurate_model(self) -> None:
        federation = make_federation()
        study = make_validation(federation)
        found = break_even(study=study, embedder=federation.embedder, store=federation.store, clock=lambda: make.NOW)
        assert found.baseline == "large"
        assert (found.baseline_right, found.router_right, found.judged_count) == (3, 2, 4)
        assert found.saving_gco2e is not None
        assert found.saving_gco2e.value == pytest.approx((80 + 70 + 0 + 0) / 4 / 3.6e6 * 385)
        assert found.own.answers_gco2e == pytest.approx(
            sum(study.responses.values_list("measurement__sci_gco2e", flat=True))
        )

    @pytest.mark.slow
    def test_takes_a_named_baseline(self) -> None:
        federation = make_federation()
        lines = of(make_validation(federation), federation, baseline="small")
        assert any(line.startswith("Baseline: small alone, 2 of 4") for line in lines)
        assert "not shown to save" in lines[-1]

    @pytest.mark.slow
    def test_stores_no_decision_for_a_page(self) -> None:
        federation = make_federation()
        of(make_validation(federation), federation, is_recorded=False)
        assert not RoutingDecision.objects.exists()

    def test_refuses_without_a_baseline(self) -> None:
        federation = make_federation()
        study = make_validation(federation)
        with pytest.raises(NoBaseline, match="has no answers of 'x' to validation prompts: "):
            of(study, federation, baseline="x")
        with pytest.raises(NoBaseline, match="has no finished answers to validation prompts"):
            of(make.make_study(), federation)

    @pytest.mark.slow
    def test_as_json_has_every_figure(self) -> None:
        federation = make_federation()
        found = break_even(
            study=make_validation(federation), embedder=federation.embedder, store=federation.store,
            clock=lambda: make.NOW,
        )  # fmt: skip
        said = break_even_as_json(found)
        assert said["own"]["total_gco2e"] == found.own.answers_gco2e
        assert said["baseline"] == "large"


class TestOwnLines:
    def test_leave_out_parts_of_another_quality_by_name(self) -> None:
        own = replace(
            OWN, idle_gco2e=0.5, idle_count=2, idle_qualities=("estimated",), index_gco2e=0.25,
            index_qualities=("simulated",),
        )  # fmt: skip
        assert own.total_gco2e == 1.5
        idle, index = own_lines(own)[-2:]
        assert idle == "Idle time emitted 500 mgCO2e (n = 2, estimated), which is counted."
        assert index.startswith("Building the index emitted 250 mgCO2e (n = 1, simulated), which is not counted: ")


@pytest.mark.django_db
class TestOwnCarbon:
    def test_says_what_is_not_in_it(self) -> None:
        study = make.make_study()
        deployment = make.make_deployment()
        make.make_response(make.make_prompt(), deployment, study=study)
        lost = make.make_response(make.make_prompt(), deployment, study=study, energy_j=None)
        lost.attempts.create(number=1, outcome="lost", started_at=make.NOW, ended_at=make.NOW)
        own = own_carbon(study=study)
        assert (own.scored_count, own.unscored_count, own.lost_attempt_count) == (1, 1, 1)
        assert (own.idle_gco2e, own.index_gco2e, own.qualities) == (None, None, ("estimated",))

    def test_adds_idle_and_index_where_measured(self) -> None:
        federation = make_federation()
        study = make.make_study(started_at=make.NOW, finished_at=make.NOW)
        make.make_response(make.make_prompt(), federation.small, study=study)
        idle, index = make.make_measurement(), make.make_measurement()
        Measurement.objects.filter(pk=idle.pk).update(purpose="idle_baseline", started_at=make.NOW)
        PromptIndex.objects.update(measurement=index)
        own = own_carbon(study=study)
        assert own.idle_gco2e == pytest.approx(idle.sci_gco2e)
        assert own.total_gco2e == pytest.approx(3 * (idle.sci_gco2e or 0))
