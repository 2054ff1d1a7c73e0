import pytest
from django.db import IntegrityError, transaction

from benchmarks.models import Deployment
from router.models import IndexedPrompt, PromptIndex, RoutingDecision, UpstreamAttempt
from tests import factories as make
from tests.router.standins import make_federation

pytestmark = pytest.mark.django_db


class TestConstraints:
    def test_an_index_knows_a_prompt_once(self) -> None:
        federation = make_federation()
        with pytest.raises(IntegrityError, match="indexed_prompt_once"), transaction.atomic():
            IndexedPrompt.objects.create(index=federation.index, prompt=federation.math)

    def test_attempts_of_a_request_are_numbered(self) -> None:
        request, deployment = make.make_gateway_request(), make.make_deployment()
        facts = {"request": request, "deployment": deployment, "started_at": make.NOW}
        UpstreamAttempt.objects.create(**facts)
        UpstreamAttempt.objects.create(**facts, number=2)
        with pytest.raises(IntegrityError, match="upstream_attempt_number_once"), transaction.atomic():
            UpstreamAttempt.objects.create(**facts, number=2)

    def test_a_request_has_one_decision(self) -> None:
        request, deployment = make.make_gateway_request(), make.make_deployment()
        facts = {"request": request, "chosen": deployment, "policy": "fixed", "reason": "fixed", "decided_at": make.NOW}
        RoutingDecision.objects.create(**facts)
        with pytest.raises(IntegrityError, match="request_id"), transaction.atomic():
            RoutingDecision.objects.create(**facts)

    def test_a_prompt_that_an_index_knows_cannot_be_deleted(self) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            make_federation().math.delete()

    def test_a_chosen_deployment_cannot_be_deleted(self) -> None:
        deployment: Deployment = make.make_deployment()
        RoutingDecision.objects.create(chosen=deployment, policy="fixed", reason="fixed", decided_at=make.NOW)
        with pytest.raises(IntegrityError), transaction.atomic():
            deployment.delete()


class TestNames:
    def test_identify_the_row(self) -> None:
        federation = make_federation()
        index, request = federation.index, make.make_gateway_request(public_id="req_1")
        assert str(index) == f"index {index.pk} (current, 2 prompts)"
        assert index.collection_name == f"greenllm-index-{index.pk}"
        assert str(request) == "req_1"
        assert str(PromptIndex(pk=3, state="failed")) == "index 3 (failed, 0 prompts)"
