import json
from typing import Any

import pytest

from greenllm.roles import Role, grant_role
from router.keys import create_key
from router.models import GatewayRequest, UpstreamAttempt
from tests import factories as make
from tests.router.endpoint import COMMITTED, EVERY_APP, Endpoint, error_of

pytestmark = [COMMITTED, pytest.mark.slow]


def looked_up(endpoint: Endpoint, public_id: str) -> dict[str, Any]:
    found = json.loads(endpoint.send("GET", f"/v1/greenllm/requests/{public_id}").content)
    assert isinstance(found, dict)
    return found


class TestRequest:
    def test_tells_what_its_answer_told(self, endpoint: Endpoint) -> None:
        answer = endpoint.chat()
        told = looked_up(endpoint, answer["X-GreenLLM-Request-Id"])
        assert told["greenllm"] == json.loads(answer.content)["greenllm"]
        assert (told["state"], told["surface"], told["error"]) == ("answered", "openai", None)
        [attempt] = told["attempts"]
        assert (attempt["model"], attempt["outcome"], attempt["output_token_count"]) == ("small", "finished", 1)
        assert attempt["energy_j"] is None

    @EVERY_APP
    def test_of_one_who_judges_blind_tells_no_results(self, endpoint: Endpoint) -> None:
        grant_role(user=endpoint.key.owner, role=Role.ANNOTATOR)
        answer = endpoint.chat()
        own_part = json.loads(answer.content)["greenllm"]
        assert own_part == looked_up(endpoint, answer["X-GreenLLM-Request-Id"])["greenllm"]
        assert own_part["model"] == "small"
        assert not {"candidates", "neighbours", "reason", "baseline"} & set(own_part)

    def test_tells_what_was_measured_afterwards(self, endpoint: Endpoint) -> None:
        answer = endpoint.chat()
        measured = make.make_measurement(12.5, quality="measured")
        UpstreamAttempt.objects.update(measurement=measured)
        told = looked_up(endpoint, answer["X-GreenLLM-Request-Id"])["greenllm"]
        assert (told["energy_j"], told["sci_gco2e"], told["quality"]) == (
            12.5, measured.sci_gco2e, "measured",
        )  # fmt: skip

    def test_that_failed_says_why(self, endpoint: Endpoint) -> None:
        endpoint.chat(model="nobody")
        told = looked_up(endpoint, GatewayRequest.objects.get().public_id)
        assert (told["state"], told["greenllm"], told["attempts"]) == ("failed", None, [])
        assert "'nobody'" in told["error"]

    def test_is_nobody_elses(self, endpoint: Endpoint) -> None:
        public_id = endpoint.chat()["X-GreenLLM-Request-Id"]
        other = create_key(owner_id=make.make_user("other").pk, name="other")
        response = endpoint.send("GET", f"/v1/greenllm/requests/{public_id}", secret=other.secret)
        assert (response.status_code, error_of(response)["code"]) == (404, "request_not_found")

    def test_costs_a_fixed_number_of_queries(self, endpoint: Endpoint, django_assert_num_queries: Any) -> None:
        from router.answering import Caller
        from router.looking_up import find_request

        public_id = endpoint.chat()["X-GreenLLM-Request-Id"]
        caller = Caller("openai", api_key_id=endpoint.key.pk, user_id=endpoint.key.owner_id)
        with django_assert_num_queries(4):
            found = find_request(caller=caller, public_id=public_id)
            assert found is not None
            assert [one.deployment.language_model.name for one in found.attempts.all()] == ["small"]


class TestKey:
    def test_tells_what_it_was_used_for(self, endpoint: Endpoint) -> None:
        answers = [json.loads(endpoint.chat().content) for _ in range(2)]
        endpoint.chat(model="nobody")
        told = json.loads(endpoint.send("GET", "/v1/greenllm/key").content)
        assert (told["name"], told["prefix"]) == ("test", endpoint.key.prefix)
        assert told["use"]["today"].items() >= {
            "request_count": 3, "predicted_count": 2, "prompt_token_count": 10, "output_token_count": 2,
        }.items()  # fmt: skip
        expected = sum(one["usage"]["gco2e"] for one in answers)
        assert told["use"]["month"]["predicted_gco2e"] == pytest.approx(expected)
        assert endpoint.secret not in json.dumps(told)
