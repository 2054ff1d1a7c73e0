"""What is counted of a request that has ended, without a database; what goes on before is tested at the endpoint."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import generate_latest

from benchmarks.models import Deployment, LanguageModel, Measurement
from router import metrics
from router.counting import count_measured, count_request
from router.ended import Ended
from router.metrics import OTHERS, Names
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.steps import Step
from tests.factories import NOW
from tests.scraping import Counted


@pytest.fixture
def counted() -> Counted:
    return Counted(lambda: generate_latest(metrics.REGISTRY).decode())


def candidate(deployment_id: int, sci_gco2e: float | None, quality: str = "measured") -> dict[str, Any]:
    return {
        "deployment_id": deployment_id, "model": f"m{deployment_id}", "sci_gco2e": sci_gco2e, "quality": quality,
        "is_correct": True, "response_count": 1, "is_chosen": deployment_id == 1, "reason": "",
    }  # fmt: skip


def ended(*, state: str = "answered", quality: str = "measured", strong: Any = None, **facts: Any) -> Ended:
    """Return a request that went to the deployment 1 at 2 gCO2e, where the strong one is 2."""
    request = GatewayRequest(
        public_id="req_1", surface="openai", state=state, started_at=NOW, finished_at=NOW + timedelta(seconds=2)
    )
    decision = RoutingDecision(
        chosen_id=1, baseline_id=2, predicted_sci_gco2e=2.0, predicted_quality=quality,
        candidates=[candidate(1, 2.0, quality), candidate(2, *(strong or (5.0, "measured")))],
    )  # fmt: skip
    made = Ended(request, decision=decision, deployment=deployment(1))
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def deployment(number: int) -> Deployment:
    return Deployment(pk=number, language_model=LanguageModel(name=f"m{number}"))


class TestSaving:
    @pytest.mark.parametrize(
        ("strong", "saved", "extra"),
        [
            pytest.param((5.0, "measured"), (1, 3.0), (0, 0.0), id="saves"),
            pytest.param((0.5, "measured"), (0, 0.0), (1, 1.5), id="costs more"),
            pytest.param((2.0, "measured"), (1, 0.0), (0, 0.0), id="costs the same"),
            pytest.param((5.0, "estimated"), (0, 0.0), (0, 0.0), id="of another quality"),
            pytest.param((None, "missing"), (0, 0.0), (0, 0.0), id="missing"),
        ],
    )
    def test_never_makes_a_sum_fall(
        self, counted: Counted, strong: Any, saved: tuple[int, float], extra: tuple[int, float]
    ) -> None:
        count_request(ended(strong=strong))
        for family, (count, gco2e) in (("saved", saved), ("extra", extra)):
            assert counted(f"greenllm_{family}_gco2e_count", model="m1", quality="measured") == count
            assert counted(f"greenllm_{family}_gco2e_sum") == pytest.approx(gco2e)

    def test_is_the_whole_cost_of_an_answer_in_place_of_a_refused_one(self, counted: Counted) -> None:
        replacing = ended(strong=(5.0, "measured"))
        assert replacing.decision is not None
        replacing.request.instead_of_id = 1
        replacing.decision.steps = [asdict(Step("req_0", 1, 3, "m3", "person", "", 1.0, "measured"))]
        replacing.decision.discarded_sci_gco2e = 1.0
        count_request(replacing)
        assert counted("greenllm_saved_gco2e_count") == 0
        assert counted("greenllm_extra_gco2e_sum", model="m1", quality="measured") == pytest.approx(2.0)

    def test_is_none_where_another_model_took_over(self, counted: Counted) -> None:
        count_request(ended(deployment=deployment(2)))
        assert counted("greenllm_saved_gco2e_count") == counted("greenllm_extra_gco2e_count") == 0
        assert counted("greenllm_predicted_gco2e_sum", model="m2") == 5.0


class TestPredicted:
    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    def test_is_of_answers_alone(self, counted: Counted, state: str) -> None:
        count_request(ended(state=state))
        assert counted("greenllm_requests_total", state=state, model="m1") == 1
        assert counted("greenllm_predicted_gco2e_count") == counted("greenllm_saved_gco2e_count") == 0

    def test_holds_what_a_cascade_discarded(self, counted: Counted) -> None:
        one = ended()
        assert one.decision is not None
        step = {"request_id": "req_1", "attempt_number": 1, "deployment_id": 2, "model": "m2", "checker": "c"}
        one.decision.steps = [{**step, "reason": "", "sci_gco2e": 0.25, "quality": "measured"}]
        one.decision.discarded_sci_gco2e = 0.25
        count_request(one)
        assert counted("greenllm_predicted_gco2e_sum", quality="measured") == 2.25
        assert counted("greenllm_saved_gco2e_sum") == pytest.approx(2.75)


class TestMeasured:
    @pytest.mark.parametrize(("sci_gco2e", "count"), [(1.5, 1), (None, 0)])
    def test_is_never_0_where_it_is_missing(self, counted: Counted, sci_gco2e: float | None, count: int) -> None:
        attempt = UpstreamAttempt(deployment=deployment(1))
        attempt.measurement = Measurement(quality="measured", sci_gco2e=sci_gco2e)
        count_measured(ended().request, attempt)
        assert counted("greenllm_measured_gco2e_count", model="m1", quality="measured") == count
        assert counted("greenllm_measured_gco2e_sum") == (sci_gco2e or 0)


class TestKeys:
    def test_beyond_the_bound_share_one_series(self, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router.metrics.keys", Names(2))
        for number in range(4):
            count_request(ended(key_name="same", key_prefix=f"gllm-{number}"))
        found = counted.labels("greenllm_key_requests_total")
        assert [(one["key"], one["prefix"]) for one in found] == [
            ("same", "gllm-0"), ("same", "gllm-1"), (OTHERS, ""),
        ]  # fmt: skip
        assert counted("greenllm_key_requests_total", key=OTHERS) == 2
