import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from benchmarks.inference.scripted import Fault, FaultKind
from router.models import GatewayRequest
from tests.benchmarks.inference.asking import eventually
from tests.clients.served import CLIENTS
from tests.router.endpoint import LIKE_CODE, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.standins import EMBEDDER_NAME
from tests.router.test_streaming import THREE_WORDS

pytestmark = CLIENTS
ASKED: list[Any] = [{"role": "user", "content": LIKE_MATH}]
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
ADD: Any = {  # `strict`, because the package parses the arguments itself
    "type": "function",
    "function": {"name": "add", "strict": True, "parameters": {**NUMBERS, "additionalProperties": False}},
}


@pytest.fixture
def client(endpoint: Endpoint, address: str) -> Iterator[openai.OpenAI]:
    with connected(endpoint, address) as client:
        yield client


def connected(endpoint: Endpoint, address: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=endpoint.secret, **options)


class TestOpenAI:
    def test_chats(self, client: openai.OpenAI) -> None:
        raw = client.chat.completions.with_raw_response.create(model="auto", messages=ASKED, max_tokens=5)
        answer = raw.parse()
        assert (answer.model, answer.choices[0].message.content, answer.choices[0].finish_reason) == (
            "small", "Five.", "stop",
        )  # fmt: skip
        assert answer.usage is not None
        assert answer.usage.model_extra == {"gco2e": pytest.approx(float(raw.headers["X-GreenLLM-Predicted-GCO2e"]))}
        assert answer._request_id == raw.headers["X-GreenLLM-Request-Id"]
        assert answer.model_extra is not None
        assert answer.model_extra["greenllm"]["saved_gco2e"] > 0

    def test_streams(self, client: openai.OpenAI) -> None:
        chunks = list(
            client.chat.completions.create(
                model="auto", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Five."
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 6

    def test_streams_by_its_own_helper(self, client: openai.OpenAI) -> None:
        with client.chat.completions.stream(model="auto", messages=ASKED) as stream:
            final = stream.get_final_completion()
        assert final.choices[0].message.content == "Five."

    def test_calls_tools(self, able_endpoint: Endpoint, address: str) -> None:
        with connected(able_endpoint, address) as client:
            called = client.chat.completions.create(model="auto", messages=ASKED, tools=[ADD]).choices[0]
            with client.chat.completions.stream(model="auto", messages=ASKED, tools=[ADD]) as stream:
                streamed = stream.get_final_completion().choices[0]
            for choice in (called, streamed):
                assert choice.finish_reason == "tool_calls"
                [call] = choice.message.tool_calls or []
                assert (call.id, call.type) == ("call_1", "function")
                assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 2, "b": 3})
            found: Any = {"role": "tool", "tool_call_id": "call_1", "content": "5"}
            turns = [*ASKED, called.message.model_dump(exclude_none=True), found]
            answer = client.chat.completions.create(model="auto", messages=turns, tools=[ADD])
        assert answer.choices[0].message.content == '{"sum":5}'

    def test_answers_by_a_schema(self, able_endpoint: Endpoint, address: str) -> None:
        class Sum(BaseModel):
            sum: int

        asked: list[Any] = [{"role": "user", "content": "the sum"}]
        with connected(able_endpoint, address) as client:
            answer = client.chat.completions.parse(model="small", messages=asked, response_format=Sum)
        assert answer.choices[0].message.parsed == Sum(sum=5)
        sent: Any = next(one.body for one in reversed(able_endpoint.server.requests) if one.path == "/api/chat")
        assert sent["format"]["properties"]["sum"]["type"] == "integer"

    def test_completes(self, client: openai.OpenAI) -> None:
        assert client.completions.create(model="auto", prompt=LIKE_CODE).choices[0].text == "pass"
        chunks = list(client.completions.create(model="auto", prompt=LIKE_CODE, stream=True))
        assert "".join(chunk.choices[0].text for chunk in chunks) == "pass"

    def test_embeds_by_either_encoding(self, client: openai.OpenAI) -> None:
        packed = client.embeddings.create(model=EMBEDDER_NAME, input=[LIKE_MATH, LIKE_CODE])
        plain = client.embeddings.create(model="auto", input=[LIKE_MATH, LIKE_CODE], encoding_format="float")
        assert len(packed.data[0].embedding) == 384
        assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)

    def test_lists_models(self, client: openai.OpenAI) -> None:
        names = [model.id for model in client.models.list()]
        assert names == ["auto", "auto:green", "auto:quality", "large", "small"]
        assert [client.models.retrieve(name).id for name in names] == names

    def test_raises_what_it_knows(self, client: openai.OpenAI, endpoint: Endpoint, address: str) -> None:
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="nobody", messages=ASKED)
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="auto", messages=ASKED, n=2)
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "n")
        with pytest.raises(openai.AuthenticationError) as unknown:
            connected(endpoint, address).with_options(api_key="gllm-wrong").models.list()
        assert unknown.value.code == "invalid_api_key"

    def test_tries_again_where_that_may_help(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=500, times=1))
        with connected(endpoint, address) as client:
            answer = client.chat.completions.create(model="small", messages=ASKED)
        assert answer.choices[0].message.content == "Five."

    def test_does_not_try_again_where_that_cannot_help(self, endpoint: Endpoint, address: str) -> None:
        model = endpoint.federation.large.language_model
        model.name = "vanished"
        model.save()
        with connected(endpoint, address) as client, pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="vanished", messages=ASKED)
        assert GatewayRequest.objects.count() == 1

    def test_raises_from_a_stream_that_breaks(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.GARBAGE, model="small"), answers={LIKE_MATH: THREE_WORDS})
        with connected(endpoint, address) as client, pytest.raises(openai.APIError):
            list(client.chat.completions.create(model="small", messages=ASKED, stream=True))

    def test_cancels_by_closing_a_stream(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small"), answers={LIKE_MATH: THREE_WORDS})
        with connected(endpoint, address) as client:
            stream = client.chat.completions.create(model="small", messages=ASKED, stream=True)
            next(iter(stream))
            stream.close()
            assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert eventually(lambda: GatewayRequest.objects.filter(state=GatewayRequest.State.CANCELLED).exists())
        assert GatewayRequest.objects.count() == 1
