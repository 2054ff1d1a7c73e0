from datetime import datetime
from typing import Any

import httpx
import ollama
import pytest
from pytest_django.fixtures import Settings

from benchmarks.federating import RouterIsNoModel, activate, add_model, ensure_server
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.scripted import Fault, FaultKind
from router.models import GatewayRequest
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.clients.served import CLIENTS
from tests.router.endpoint import LIKE_CODE, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.standins import EMBEDDER_NAME
from tests.router.test_streaming import THREE_WORDS

pytestmark = CLIENTS
ASKED = [{"role": "user", "content": LIKE_MATH}]


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: the one
        b: the other
    """
    return a + b


def connected(endpoint: Endpoint, address: str) -> ollama.Client:
    return ollama.Client(host=address, headers={"Authorization": f"Bearer {endpoint.secret}"})


@pytest.fixture
def client(endpoint: Endpoint, address: str) -> ollama.Client:
    return connected(endpoint, address)


class TestOllama:
    @pytest.mark.parametrize("model", ["auto", "auto:latest", "auto:green"])
    def test_chats(self, client: ollama.Client, model: str) -> None:
        answer = client.chat(model=model, messages=ASKED, options={"seed": 1}, keep_alive="5m")
        assert (answer.message.content, answer.done, answer.done_reason) == ("Five.", True, "stop")
        assert (answer.prompt_eval_count, answer.eval_count) == (5, 1)
        assert answer.created_at

    def test_streams(self, open_endpoint: OpenEndpoint, address: str) -> None:
        client = connected(open_endpoint(answers={LIKE_MATH: THREE_WORDS}), address)
        parts = list(client.chat(model="small", messages=ASKED, stream=True))
        assert [part.message.content for part in parts] == ["It", " is", " five.", ""]
        assert [part.done for part in parts] == [False, False, False, True]

    def test_calls_tools(self, able_endpoint: Endpoint, address: str) -> None:
        client = connected(able_endpoint, address)
        whole = client.chat(model="auto", messages=ASKED, tools=[add]).message
        streamed = [one.message for one in client.chat(model="auto", messages=ASKED, tools=[add], stream=True)]
        [calling] = [message for message in streamed if message.tool_calls]
        for message in (whole, calling):
            [call] = message.tool_calls or []
            assert (call.function.name, call.function.arguments) == ("add", {"a": 2, "b": 3})
        found = {"role": "tool", "tool_name": "add", "content": "5"}
        assert client.chat(model="auto", messages=[*ASKED, whole, found], tools=[add]).message.content == '{"sum":5}'

    def test_answers_by_a_schema(self, able_endpoint: Endpoint, address: str) -> None:
        schema = {"type": "object", "properties": {"sum": {"type": "integer"}}}
        client = connected(able_endpoint, address)
        assert client.generate(model="small", prompt="the sum", format=schema).response == '{"sum":5}'
        sent: Any = next(one.body for one in reversed(able_endpoint.server.requests) if one.path == "/api/chat")
        assert sent["format"] == schema

    def test_generates(self, client: ollama.Client) -> None:
        assert client.generate(model="auto", prompt=LIKE_CODE, system="Be short.").response == "pass"
        parts = list(client.generate(model="auto", prompt=LIKE_CODE, stream=True))
        assert "".join(part.response for part in parts) == "pass"

    def test_embeds(self, client: ollama.Client) -> None:
        vectors = client.embed(model=EMBEDDER_NAME, input=[LIKE_MATH, LIKE_CODE]).embeddings
        assert [len(vector) for vector in vectors] == [384, 384]
        assert client.embeddings(model="auto", prompt=LIKE_MATH).embedding == vectors[0]

    def test_lists_and_shows_models(self, client: ollama.Client) -> None:
        names = [model.model for model in client.list().models]
        assert names == ["auto", "auto:green", "auto:quality", "large", "small", EMBEDDER_NAME]
        assert all("completion" in (client.show(name or "").capabilities or []) for name in names[:5])

    def test_tells_what_is_in_memory(self, client: ollama.Client, endpoint: Endpoint) -> None:
        assert client.ps().models == []
        client.generate(model="large", prompt="")
        [found] = client.ps().models
        asked = f"{endpoint.federation.server.base_url}/api/ps"
        [told] = httpx.get(asked).json()["models"]
        assert (found.model, found.name, found.digest) == ("large", "large", told["digest"])
        assert (found.size, found.size_vram, found.context_length) == (
            told["size"], told["size_vram"], told["context_length"],
        )  # fmt: skip
        assert found.expires_at == datetime.fromisoformat(told["expires_at"])
        assert found.details is not None
        assert found.details.format == told["details"]["format"]

    def test_raises_what_it_knows(self, client: ollama.Client, address: str) -> None:
        for call, status, words in (
            (lambda: client.chat(model="nobody", messages=ASKED), 404, "model 'nobody' not found"),
            (lambda: client.chat(model="auto", messages=ASKED, tools=[add]), 400, "'tools' asks for more than"),
            (lambda: client.pull("llama3"), 403, "by an admin"),
            (lambda: client.delete("small"), 403, "by an admin"),
            (lambda: ollama.Client(host=address).list(), 401, "API key is needed"),
        ):
            with pytest.raises(ollama.ResponseError, match=words) as caught:
                call()
            assert caught.value.status_code == status

    def test_raises_from_a_stream_that_breaks(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.GARBAGE, model="small"), answers={LIKE_MATH: THREE_WORDS})
        with pytest.raises(ollama.ResponseError, match="broke off"):
            list(connected(endpoint, address).chat(model="small", messages=ASKED, stream=True))

    def test_cancels_by_closing_a_stream(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small"), answers={LIKE_MATH: THREE_WORDS})
        stream: Any = connected(endpoint, address).chat(model="small", messages=ASKED, stream=True)
        assert next(stream).message.content == "It"
        stream.close()
        assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert eventually(lambda: GatewayRequest.objects.filter(state=GatewayRequest.State.CANCELLED).exists())
        assert GatewayRequest.objects.count() == 1


class TestOtherRouter:
    def test_takes_this_one_for_a_router(self, endpoint: Endpoint, address: str, settings: Settings) -> None:
        """Else each could choose the other for ever."""
        settings.ANONYMOUS_ACCESS = "loopback"
        server = ensure_server(base_url=address, machine=endpoint.federation.server.machine)
        added = add_model(name="auto", server=server, client=OllamaClient(address), now=make.NOW)
        assert added.server.is_router
        with pytest.raises(RouterIsNoModel):
            activate(deployment=added, now=make.NOW)
