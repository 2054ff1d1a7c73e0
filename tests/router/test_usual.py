import json

import pytest

from router.explaining import explanations_of
from router.models import RoutingDecision
from router.usual import Usual, usual_of
from tests import factories as make
from tests.router.endpoint import COMMITTED, Endpoint


@pytest.mark.django_db
class TestUsual:
    def test_is_the_mean_of_the_answers_of_the_best_quality(self) -> None:
        deployment = make.make_deployment()
        measured = [
            make.make_response(make.make_prompt(), deployment, energy_j=energy_j, quality="measured").measurement
            for energy_j in (10.0, 30.0)
        ]
        make.make_response(make.make_prompt(), deployment, energy_j=900.0, quality="estimated")
        make.make_response(make.make_prompt(), deployment, energy_j=None)
        make.make_response(make.make_prompt(), make.make_deployment("other"), energy_j=500.0, quality="measured")
        mean = sum(one.sci_gco2e or 0 for one in measured if one is not None) / 2
        assert usual_of(deployment_id=deployment.pk) == Usual(pytest.approx(mean), "measured", 2)

    def test_is_none_and_not_0_where_no_answer_has_an_sci(self) -> None:
        deployment = make.make_deployment()
        assert usual_of(deployment_id=deployment.pk) is None
        make.make_response(make.make_prompt(), deployment, energy_j=None)
        assert usual_of(deployment_id=deployment.pk) is None


class TestNamedModel:
    pytestmark = COMMITTED

    @pytest.mark.slow
    def test_is_predicted_to_cost_the_usual_and_says_how(self, endpoint: Endpoint) -> None:
        usual = usual_of(deployment_id=endpoint.federation.large.pk)
        assert usual is not None
        response = endpoint.chat(model="large")
        told = json.loads(response.content)["greenllm"]
        assert told["predicted_sci_gco2e"] == pytest.approx(usual.sci_gco2e)
        assert (told["quality"], told["method"]) == ("estimated", "predicted from all answers of the model")
        assert float(response.headers["X-GreenLLM-Predicted-GCO2e"]) == pytest.approx(usual.sci_gco2e, rel=1e-4)
        assert told["saved_gco2e"] is None
        [explained] = explanations_of([RoutingDecision.objects.get()], sees_results=False)
        assert explained.sci_count == usual.answer_count == 2
