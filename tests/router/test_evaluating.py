from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.models import Deployment, InferenceServer, ParameterSet, Prompt, Response, Study
from router.evaluating import (
    Comparison,
    ComparisonRow,
    NothingToCompare,
    compare,
    oracle,
    outcomes_on_validation,
    stored_comparison,
)
from router.expected_answers import AnswerOutcome
from router.indexing import NoIndex
from router.models import RoutingDecision
from tests import factories as make
from tests.router.standins import Federation, MemoryStore, make_embedder, make_federation, make_index

pytestmark = pytest.mark.slow


def outcome(prompt_id: int, model: str, sci: float | None, *, correct: bool | None) -> AnswerOutcome:
    return AnswerOutcome(prompt_id, ord(model[0]), model, None, sci, "estimated", correct)


class TestOracle:
    @pytest.mark.parametrize(
        ("outcomes", "best"),
        [
            pytest.param([], [], id="nothing"),
            pytest.param(
                [outcome(1, "a", 1.0, correct=True), outcome(1, "b", 2.0, correct=True)],
                [(1, "a")],
                id="cheapest right",
            ),
            pytest.param(
                [outcome(1, "a", 1.0, correct=False), outcome(1, "b", 2.0, correct=True)],
                [(1, "b")],
                id="right before cheap",
            ),
            pytest.param(
                [outcome(1, "a", 2.0, correct=False), outcome(1, "b", 1.0, correct=None)], [(1, "b")], id="none right"
            ),
            pytest.param(
                [outcome(1, "b", 1.0, correct=True), outcome(1, "a", 1.0, correct=True)], [(1, "a")], id="tie: by name"
            ),
            pytest.param(
                [outcome(1, "a", None, correct=True), outcome(1, "b", 2.0, correct=True)],
                [(1, "b")],
                id="one not measured",
            ),
            pytest.param([outcome(1, "a", None, correct=True)], [], id="none measured"),
            pytest.param(
                [outcome(2, "a", 1.0, correct=True), outcome(1, "b", 3.0, correct=True)],
                [(1, "b"), (2, "a")],
                id="by prompt",
            ),
        ],
    )
    def test_takes_the_cheapest_right_answer_to_each_prompt(
        self, outcomes: Sequence[AnswerOutcome], best: list[tuple[int, str]]
    ) -> None:
        assert [(one.prompt_id, one.model) for one in oracle(outcomes)] == best


# prompt, category it resembles, then (energy in J, verdict) of the small and of the large model
UNSEEN = (
    ("what is two plus nine", (10.0, "correct"), (90.0, "correct")),
    ("what is two plus ten", (20.0, "incorrect"), (90.0, "correct")),
    ("write a python class", (10.0, "incorrect"), (60.0, "incorrect")),
    ("write a python module", (10.0, "correct"), (80.0, "correct")),
)


def make_validation(federation: Federation) -> Study:
    study = make.make_study()
    for text, small, large in UNSEEN:
        prompt = make.make_prompt(text, role="validation")
        for deployment, (energy_j, verdict) in ((federation.small, small), (federation.large, large)):
            make.make_response(prompt, deployment, study=study, energy_j=energy_j, verdict=verdict)
    return study


def make_router_study(study: Study, **facts: Any) -> Study:
    """Make a finished study of the router over the same prompts: 15 J each, half of them right."""
    made = make.make_study(**{"kind": "router", "state": "finished", "finished_at": make.NOW, **facts})
    server = make.make_server(base_url="http://127.0.0.1:8000")
    InferenceServer.objects.filter(pk=server.pk).update(is_router=True)
    router = Deployment.objects.filter(server=server).first() or make.make_deployment(
        "auto", server=server, state="candidate"
    )
    prompts = Prompt.objects.for_validation().filter(pk__in=study.responses.values("prompt")).order_by("pk")
    for number, prompt in enumerate(prompts):
        make.make_response(
            prompt, router, study=made, energy_j=15.0, verdict="correct" if number % 2 else "incorrect",
            answered_by="small" if number else "large",
        )  # fmt: skip
    return made


def comparison_of(study: Study, federation: Federation) -> Comparison:
    return compare(study=study, embedder=federation.embedder, store=federation.store, clock=lambda: make.NOW)


def row(comparison: Comparison, name: str) -> ComparisonRow:
    return next(one for one in comparison.rows if one.name == name)


@pytest.mark.django_db
class TestCompare:
    # by hand: math goes to small, code to large; the oracle takes small, large, small (none right: cheapest), small
    @pytest.mark.parametrize(
        ("name", "right", "mean_energy_j"),
        [
            pytest.param("small", 2, (10 + 20 + 10 + 10) / 4, id="small"),
            pytest.param("large", 3, (90 + 90 + 60 + 80) / 4, id="large"),
            pytest.param("router (nearest), bare items", 2, (10 + 20 + 60 + 80) / 4, id="router, items"),
            pytest.param("router (nearest), whole prompts", 2, (10 + 20 + 60 + 80) / 4, id="router, prompts"),
            pytest.param("oracle", 3, (10 + 90 + 10 + 10) / 4, id="oracle"),
        ],
    )
    def test_equals_the_table_made_by_hand(self, name: str, right: int, mean_energy_j: float) -> None:
        federation = make_federation()
        found = row(comparison_of(make_validation(federation), federation), name)
        assert found.accuracy is not None
        assert found.energy_j is not None
        assert (found.prompt_count, found.accuracy.n, found.accuracy.value) == (4, 4, right / 4)
        assert found.energy_j.value == pytest.approx(mean_energy_j)
        assert found.qualities == ("estimated",)

    @pytest.mark.parametrize(
        "name", ["small", "large", "router (nearest), bare items", "router (nearest), whole prompts", "oracle"]
    )
    def test_is_told_again_from_what_was_stored(self, name: str) -> None:
        federation = make_federation()
        study = make_validation(federation)
        compared = comparison_of(study, federation)
        stored = stored_comparison(study=study)
        assert row(stored, name) == row(compared, name)
        assert (stored.prompt_count, stored.routed_count, stored.routed_at) == (4, 4, make.NOW)
        assert stored.index_ids == {federation.index.pk}
        assert stored.embedded_text == compared.embedded_text

    def test_tells_of_the_latest_decisions(self) -> None:
        federation = make_federation()
        study = make_validation(federation)
        comparison_of(study, federation)
        for decision in RoutingDecision.objects.all():
            decision.pk = None
            decision.chosen = federation.large
            decision.decided_at = make.NOW + timedelta(hours=1)
            decision.save()
        stored = stored_comparison(study=study)
        for form in ("bare items", "whole prompts"):
            assert row(stored, f"router (nearest), {form}").accuracy == row(stored, "large").accuracy
        assert stored.routed_at == make.NOW + timedelta(hours=1)

    def test_has_no_router_before_it_has_decided(self) -> None:
        stored = stored_comparison(study=make_validation(make_federation()))
        assert stored.routed_count == 0
        assert row(stored, "router (nearest), bare items").accuracy is None

    def test_names_the_policies_that_chose(self) -> None:
        federation = make_federation(policy=None)
        study = make_validation(federation)
        names = [one.name for one in comparison_of(study, federation).rows if one.kind == "router"]
        assert names == ["router (guarded), bare items", "router (guarded), whole prompts"]
        stood_in = RoutingDecision.objects.filter(routed_as="item").order_by("pk")[:2]
        RoutingDecision.objects.filter(pk__in=stood_in.values("pk")).update(policy="nearest")
        stored = [one.name for one in stored_comparison(study=study).rows if one.kind == "router"]
        assert stored == ["router (guarded, nearest), bare items", "router (guarded), whole prompts"]

    def test_names_the_policy_in_force_before_it_has_decided(self) -> None:
        study = make_validation(make_federation(policy=None))
        names = [one.name for one in stored_comparison(study=study).rows if one.kind == "router"]
        assert names == ["router (guarded), bare items", "router (guarded), whole prompts"]

    def test_sums_what_was_scored(self) -> None:
        federation = make_federation()
        found = row(comparison_of(make_validation(federation), federation), "small")
        assert found.sci_gco2e is not None
        assert found.sum_sci_gco2e == pytest.approx(4 * found.sci_gco2e.value)

    def test_lists_the_models_then_the_router_then_the_oracle(self) -> None:
        federation = make_federation()
        rows = comparison_of(make_validation(federation), federation).rows
        assert [(one.name, one.kind) for one in rows] == [
            ("large", "model"),
            ("small", "model"),
            ("router (nearest), bare items", "router"),
            ("router (nearest), whole prompts", "router"),
            ("oracle", "oracle"),
        ]

    def test_stores_each_decision(self) -> None:
        federation = make_federation()
        comparison_of(make_validation(federation), federation)
        chosen = RoutingDecision.objects.order_by("pk").values_list("chosen__language_model__name", flat=True)
        assert list(chosen) == ["small", "small", "large", "large"] * 2  # once as items, once as whole prompts

    @pytest.mark.parametrize("embedded_text", ["item", "prompt"])
    def test_routes_both_forms_whatever_the_index_embeds(self, embedded_text: str) -> None:
        federation = make_federation()
        make_index(
            [federation.math, federation.code],
            embedder=federation.embedder,
            store=federation.store,
            embedded_text=embedded_text,
        )
        study = make.make_study()
        template = "write a python function that tells"  # drowns the item
        prompt = make.make_prompt(
            f"{template} what is two plus nine", item_text="what is two plus nine", role="validation"
        )
        for deployment in (federation.small, federation.large):
            make.make_response(prompt, deployment, study=study, energy_j=50.0)
        compared = comparison_of(study, federation)
        chosen = RoutingDecision.objects.order_by("pk").values_list("category__name", flat=True)
        assert list(chosen) == ["math", "code"]
        assert compared.embedded_text == embedded_text

    def test_leaves_training_prompts_and_unjudged_answers_out_of_the_accuracy(self) -> None:
        federation = make_federation()
        study = make_validation(federation)
        make.make_response(make.make_prompt(), federation.small, study=study, verdict="correct")
        make.make_response(make.make_prompt("write a", role="validation"), federation.small, study=study)
        found = row(comparison_of(study, federation), "small")
        assert found.accuracy is not None
        assert (found.prompt_count, found.accuracy.n) == (5, 4)

    def test_leaves_a_gap_out_of_the_means_and_names_it(self) -> None:
        federation = make_federation()
        study = make_validation(federation)
        prompt = make.make_prompt("what is two plus", role="validation")
        make.make_response(prompt, federation.small, study=study, energy_j=None, verdict="correct")
        found = row(comparison_of(study, federation), "small")
        assert found.energy_j is not None
        assert (found.prompt_count, found.energy_j.n, found.energy_j.value) == (5, 4, 12.5)
        assert found.qualities == ("estimated", "missing")

    def test_counts_a_study_of_retired_models_without_a_router(self) -> None:
        federation = make_federation()
        study = make_validation(federation)
        other = make.make_deployment("other")
        make.make_response(federation.math, other, energy_j=1.0, verdict="correct")
        make.make_response(federation.code, other, energy_j=1.0, verdict="correct")
        Deployment.objects.exclude(pk=other.pk).update(state="retired")
        found = row(comparison_of(study, federation), "router (nearest), bare items")
        assert (found.prompt_count, found.accuracy, found.energy_j) == (0, None, None)

    def test_refuses_a_study_without_validation_prompts(self) -> None:
        federation = make_federation()
        study = make.make_study("bare")
        with pytest.raises(NothingToCompare, match="The study bare has no finished answers to validation prompts"):
            comparison_of(study, federation)

    def test_refuses_without_an_index(self) -> None:
        study = make.make_study()
        make.make_response(make.make_prompt(role="validation"), make.make_deployment(), study=study)
        with pytest.raises(NoIndex):
            compare(study=study, embedder=make_embedder(), store=MemoryStore(), clock=lambda: make.NOW)


@pytest.mark.django_db
class TestOutcomesOnValidation:
    def test_count_the_first_repeat_only(self) -> None:
        federation = make_federation()
        study = make.make_study(repeats=2)
        prompt = make.make_prompt(role="validation")
        for repeat in (1, 2):
            make.make_response(prompt, federation.small, study=study, repeat=repeat, verdict="correct")
        assert len(outcomes_on_validation(study)) == 1


@pytest.mark.django_db
class TestMeasuredRouter:
    def test_stands_before_the_oracle_with_its_own_answers(self) -> None:
        federation = make_federation()
        study = make_validation(federation)
        of_router = make_router_study(study)
        for found in (comparison_of(study, federation), stored_comparison(study=study)):
            assert [one.name for one in found.rows][-2:] == ["router, measured", "oracle"]
            measured = row(found, "router, measured")
            assert (measured.kind, measured.prompt_count) == ("measured-router", 4)
            assert measured.accuracy is not None
            assert (measured.accuracy.value, measured.accuracy.n) == (0.5, 4)
            sci = of_router.responses.earliest("pk").measurement
            assert sci is not None
            assert measured.sum_sci_gco2e == pytest.approx(4 * (sci.sci_gco2e or 0))
            assert found.measured is not None
            assert found.measured.study == of_router
            assert found.measured.answered_by == (("small", 3), ("large", 1))
            assert found.measured.differences == ()

    @pytest.mark.parametrize(
        "facts", [{"kind": "measured"}, {"state": "running", "finished_at": None}], ids=["no router", "not finished"]
    )
    def test_is_not_there_for_another_study(self, facts: dict[str, Any]) -> None:
        study = make_validation(make_federation())
        make_router_study(study, **facts)
        assert stored_comparison(study=study).measured is None

    def test_is_not_there_for_another_machine(self) -> None:
        study = make_validation(make_federation())
        make_router_study(study, machine=make.make_machine("other"))
        assert stored_comparison(study=study).measured is None

    def test_is_not_there_for_fewer_prompts_or_for_more(self) -> None:
        study = make_validation(make_federation())
        of_router = make_router_study(study)
        one = of_router.responses.order_by("pk")[0]
        Response.objects.filter(pk=one.pk).update(state="failed", error="gone")
        assert stored_comparison(study=study).measured is None
        Response.objects.filter(pk=one.pk).update(state="finished", error="")
        assert stored_comparison(study=study).measured is not None
        make.make_response(make.make_prompt(role="validation"), one.deployment, study=of_router)
        assert stored_comparison(study=study).measured is None

    def test_is_the_latest(self) -> None:
        study = make_validation(make_federation())
        later = make_router_study(study, finished_at=make.NOW + timedelta(hours=1))
        make_router_study(study)
        measured = stored_comparison(study=study).measured
        assert measured is not None
        assert measured.study == later

    def test_names_what_was_set_otherwise(self) -> None:
        study = make_validation(make_federation())
        of_router = make_router_study(study, carbon_intensity_gco2e_per_kwh=50.0)
        ParameterSet.objects.filter(study=of_router).update(num_predict=16)
        measured = stored_comparison(study=study).measured
        assert measured is not None
        assert measured.differences == ("generation parameters", "carbon intensity")
