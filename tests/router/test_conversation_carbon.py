import pytest

from router.conversation_carbon import Share, carbon_in, carbon_of
from router.models import Conversation, Message, RoutingDecision, UpstreamAttempt
from tests import factories as make


class TestCarbonOf:
    def test_adds_no_unlike_qualities_and_no_missing_cost(self) -> None:
        carbon = carbon_of(
            [("estimated", 0.002, None), ("measured", 0.01, 0.02), ("estimated", 0.003, None), (None, None, None)]
        )
        assert carbon.expected == (Share("estimated", 0.005, 2), Share("measured", 0.01, 1))
        assert (carbon.answer_count, carbon.missing_count) == (4, 1)
        assert carbon.measured == Share("measured", 0.02, 1)

    def test_of_nothing_measured_is_none_and_not_zero(self) -> None:
        assert carbon_of([("missing", None, None)]).measured is None
        assert carbon_of([]).answer_count == 0


@pytest.mark.django_db
class TestCarbonIn:
    def test_counts_every_version_once(self) -> None:
        conversation = make.make_conversation(visitor="word")
        question, tiny = make.make_message(conversation), make.make_deployment()
        for cost in (0.002, 0.004, None):
            answer_in(conversation, question, tiny.pk, cost)
        make.make_message(conversation, "without a request", role="assistant", parent=question)
        carbon = carbon_in(conversation)
        assert carbon.expected == (Share("estimated", pytest.approx(0.006), 2),)
        assert (carbon.answer_count, carbon.missing_count, carbon.measured) == (4, 2, None)


def answer_in(conversation: Conversation, question: Message, chosen_id: int, cost: float | None) -> None:
    request = make.make_gateway_request()
    RoutingDecision.objects.create(
        request=request, policy="nearest", chosen_id=chosen_id, reason="cheapest_correct", decided_at=make.NOW,
        predicted_sci_gco2e=cost, predicted_quality="estimated" if cost else "",
    )  # fmt: skip
    UpstreamAttempt.objects.create(request=request, deployment_id=chosen_id, started_at=make.NOW)
    make.make_message(conversation, "An answer", role="assistant", parent=question, request=request)
