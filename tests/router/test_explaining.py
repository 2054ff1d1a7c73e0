"""What an explanation tells of a decision, and to whom."""

import json
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Measurement
from labeling.models import Label
from router.adjusting import nobody_tells
from router.baseline import strong_candidate
from router.circumstances import prompt_alone
from router.explaining import (
    TEXT_LIMIT,
    Explanation,
    explain_sent,
    explanation_as_json,
    explanations_of,
)
from router.index import IndexStoreError, Loaded
from router.models import PolicyVersion, RoutingDecision
from router.routing import record_pinned, route
from tests import factories as make
from tests.router.endpoint import LIKE_CODE, LIKE_MATH
from tests.router.standins import Federation, make_federation

pytestmark = pytest.mark.django_db


@pytest.fixture
def federation() -> Federation:
    return make_federation()


def explained(federation: Federation, text: str = LIKE_MATH, **facts: Any) -> Explanation:
    sent = prompt_alone(text, now=make.NOW, loaded=nobody_tells)
    return explain_sent(sent=sent, embedder=federation.embedder, store=federation.store, now=make.NOW, **facts)


def as_json(explained: Explanation) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(json.dumps(explanation_as_json(explained)))
    return said


class TestExplanation:
    def test_has_every_part(self, federation: Federation) -> None:
        said = as_json(explained(federation))
        assert set(said) == {
            "decision_id", "category", "policy", "policy_version", "choice", "reason", "explanation",
            "predicted_sci_gco2e", "sci_count", "quality", "neighbours", "candidates", "baseline", "is_withheld",
            "index", "latency_ms", "discarded", "discarded_sci_gco2e",
        }  # fmt: skip
        assert (said["choice"], said["category"], said["policy"], said["policy_version"]) == (
            "small", "math", "nearest", PolicyVersion.objects.get().pk,
        )  # fmt: skip
        assert said["decision_id"] == RoutingDecision.objects.get().pk
        assert all(value >= 0 for value in said["latency_ms"].values())
        assert (said["quality"], said["sci_count"], said["is_withheld"]) == ("estimated", 1, False)

    def test_tells_who_was_right_on_each_neighbour_at_what_sci(self, federation: Federation) -> None:
        near = as_json(explained(federation))["neighbours"]
        assert [one["text"] for one in near] == [federation.math.item_text, federation.code.item_text]
        told = [[(one["model"], one["is_correct"], one["quality"]) for one in row["answers"]] for row in near]
        assert told == [
            [("large", True, "estimated"), ("small", True, "estimated")],
            [("large", True, "estimated"), ("small", False, "estimated")],
        ]
        large, small = near[0]["answers"]
        for told_of, deployment in ((large, federation.large), (small, federation.small)):
            measured = deployment.responses.get(prompt=federation.math).measurement
            assert measured is not None
            assert told_of["sci_gco2e"] == pytest.approx(measured.sci_gco2e)
        assert small["sci_count"] == small["response_count"] == 1

    def test_leaves_out_models_that_did_not_answer_a_neighbour(self, federation: Federation) -> None:
        make.make_deployment("newcomer", server=federation.server)
        near = explained(federation).neighbours[0]
        assert ([one.model for one in near.answers], near.right_count) == (["large", "small"], 2)

    def test_bounds_the_text_of_a_neighbour(self, federation: Federation) -> None:
        federation.math.item_text = "x" * (TEXT_LIMIT + 1)
        federation.math.save()
        first, second = as_json(explained(federation))["neighbours"]
        assert (len(first["text"]), first["is_text_cut"], second["is_text_cut"]) == (TEXT_LIMIT, True, False)

    def test_follows_verdicts_that_came_later(self, federation: Federation) -> None:
        decision = explained(federation).decision
        response = federation.large.responses.get(prompt=federation.math)
        Label.objects.filter(response=response).update(is_current=False)
        make.make_label(response, "incorrect")
        [found] = explanations_of([RoutingDecision.objects.get(pk=decision.pk)], sees_results=True)
        assert found.neighbours[0].right_count == 1

    @pytest.mark.slow
    def test_of_many_takes_as_many_queries_as_of_one(
        self, federation: Federation, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        decisions = [explained(federation).decision for _ in range(4)]
        with django_assert_num_queries(4):  # texts; deployments, answers, verdicts
            explanations_of(decisions, sees_results=True)
        with django_assert_num_queries(0):
            explanations_of(decisions, sees_results=False)

    def test_of_a_named_model_has_nothing_to_weigh(self, federation: Federation) -> None:
        request = make.make_gateway_request()
        decision = record_pinned(deployment=federation.large, now=make.NOW, request_id=request.pk)
        [found] = explanations_of([decision], sees_results=True)
        assert (found.is_picked, found.candidates, found.neighbours, found.baseline) == (True, (), (), None)
        assert as_json(found)["index"] is None


class TestWithoutResults:
    def test_nothing_of_what_models_did_is_told(self, federation: Federation) -> None:
        said = as_json(explained(federation, sees_results=False))
        assert (said["neighbours"], said["candidates"], said["baseline"], said["is_withheld"]) == ([], [], None, True)
        assert (said["choice"], said["category"], said["quality"], said["sci_count"]) == (
            "small", "math", "estimated", 1,
        )  # fmt: skip
        assert said["predicted_sci_gco2e"] > 0
        assert said["explanation"]


class TestBaseline:
    def test_is_the_most_accurate_active_model(self, federation: Federation) -> None:
        found = explained(federation)
        baseline = found.baseline
        assert baseline is not None
        assert baseline.evidence is not None
        assert (baseline.evidence.model, baseline.rule) == ("large", "the most accurate active model")
        cost, strong = found.decision.predicted_sci_gco2e, baseline.evidence.sci_gco2e
        assert cost is not None
        assert strong is not None
        assert baseline.saved_gco2e == pytest.approx(strong - cost)
        assert baseline.saved_share == pytest.approx(1 - cost / strong)
        assert strong > cost
        assert (found.decision.baseline, found.decision.baseline_sci_gco2e) == (
            federation.large, baseline.evidence.sci_gco2e,
        )  # fmt: skip

    def test_is_the_fallback_that_the_policy_names(self, federation: Federation) -> None:
        PolicyVersion.objects.create(policy="guarded", fallback=federation.small)
        baseline = explained(federation).baseline
        assert baseline is not None
        assert baseline.evidence is not None
        assert (baseline.evidence.model, baseline.rule) == ("small", "the fallback of the policy")
        assert (baseline.saved_gco2e, baseline.note) == (0.0, "It is the model that was chosen.")

    def test_of_other_policies_is_the_most_accurate_whatever_fallback_stands_there(
        self, federation: Federation
    ) -> None:
        PolicyVersion.objects.create(policy="knn", sci_price=1e6, fallback=federation.small)
        found = explained(federation)
        assert found.model == "small"
        assert as_json(found)["baseline"]["model"] == "large"
        assert as_json(found)["baseline"]["rule"] == "the most accurate active model"

    def test_that_is_cheaper_saves_less_than_nothing(self, federation: Federation) -> None:
        PolicyVersion.objects.create(policy="knn")
        explained(federation)
        RoutingDecision.objects.update(baseline=federation.small)
        [found] = explanations_of(list(RoutingDecision.objects.all()), sees_results=True)
        assert found.model == "large"
        assert found.baseline is not None
        assert found.baseline.saved_gco2e is not None
        assert found.baseline.saved_gco2e < 0
        assert found.baseline.extra_gco2e == -found.baseline.saved_gco2e

    def test_of_unlike_quality_says_why_there_is_no_saving(self, federation: Federation) -> None:
        explained(federation)
        decision = RoutingDecision.objects.get()
        for row in decision.candidates:
            if row["model"] == "large":
                row["quality"] = "measured"
        [found] = explanations_of([decision], sees_results=True)
        said = as_json(found)["baseline"]
        assert (said["saved_gco2e"], said["saved_percent"], said["quality"]) == (None, None, "measured")
        assert said["note"].startswith(
            "Its energy is measured, that of the chosen model estimated: they are not compared"
        )

    def test_without_a_cost_says_so(self, federation: Federation) -> None:
        Measurement.objects.filter(response__deployment=federation.large).update(
            sci_gco2e=None, energy_j=None, quality="missing", missing_reason="no meter"
        )
        said = as_json(explained(federation))["baseline"]
        assert (said["model"], said["sci_gco2e"], said["quality"], said["saved_gco2e"]) == (
            "large", None, "missing", None,
        )  # fmt: skip
        assert "no SCI" in said["note"]

    def test_is_unknown_where_nobody_has_judged(self, federation: Federation) -> None:
        Label.objects.all().delete()
        said = as_json(explained(federation))["baseline"]
        assert (said["model"], said["sci_gco2e"], said["saved_gco2e"]) == (None, None, None)
        assert "No fixed strong model is known" in said["note"]

    def test_does_not_stop_a_decision_where_the_index_is_too_large(
        self, federation: Federation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def too_large(*_: object) -> Loaded:
            raise IndexStoreError("too large")

        monkeypatch.setattr(federation.store, "whole", too_large)
        found = route(prompt_text=LIKE_CODE, embedder=federation.embedder, store=federation.store)
        assert strong_candidate(route=found, store=federation.store) is None
        assert explained(federation, LIKE_CODE).model == "large"
