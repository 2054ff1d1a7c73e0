"""Tools, images and answers in JSON: through both wires, to servers of both kinds, whole and streamed."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.http import HttpResponse

from benchmarks.inference.demands import ToolCall
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.models import Deployment
from router.models import GatewayRequest, PolicyVersion, RoutingDecision
from tests import factories as make
from tests.real_llama_cpp import MODEL, llama_cpp  # noqa: F401  a fixture
from tests.real_ollama import real_chat_model, real_ollama  # noqa: F401  fixtures
from tests.router.endpoint import COMMITTED, LIKE_MATH, Endpoint, error_of
from tests.router.standins import EMBEDDER_NAME

pytestmark = [COMMITTED, pytest.mark.slow]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}},
}
CALLS = (ToolCall("call_a", "add", '{"a":2,"b":3}'), ToolCall("call_b", "add", '{"a":4,"b":"ä"}'))
ABLE = ("completion", "tools", "vision")


def script(_model: str, prompt: str) -> ScriptedAnswer:
    if prompt == LIKE_MATH:
        return ScriptedAnswer("Let us see.", tool_calls=CALLS)
    return ScriptedAnswer(f"So: {prompt}")


class Upstream:
    """A model that can all, `clever`, on a server of one kind; the two models of the endpoint can nothing."""

    def __init__(self, endpoint: Endpoint, server: ScriptedOllama | ScriptedOpenAI, kind: str) -> None:
        self.endpoint, self.server = endpoint, server
        row = make.make_server(base_url=server.base_url)
        row.kind = kind
        row.save()
        self.deployment = make.make_deployment("clever", server=row)
        for prompt in (endpoint.federation.math, endpoint.federation.code):
            make.make_response(prompt, self.deployment, energy_j=50.0, verdict="correct")

    def post(self, path: str, **fields: Any) -> HttpResponse:
        body = {"model": "clever", "messages": [{"role": "user", "content": LIKE_MATH}], "stream": False, **fields}
        return self.endpoint.send("POST", path, raw=json.dumps(body).encode())

    @property
    def asked(self) -> Any:
        """What the server was asked to generate last."""
        return next(one.body for one in reversed(self.server.requests) if "/chat" in one.path)


@pytest.fixture(params=["ollama", "openai"])
def upstream(request: pytest.FixtureRequest, endpoint: Endpoint) -> Iterator[Upstream]:
    model = ScriptedModel("clever", capabilities=ABLE)
    with ExitStack() as servers:
        server: ScriptedOllama | ScriptedOpenAI = (
            ScriptedOllama([model], answers=script)
            if request.param == "ollama"
            else ScriptedOpenAI([model], flavour=Flavour.LLAMA_CPP, answers=script)
        )
        servers.enter_context(server)
        yield Upstream(endpoint, server, request.param)


def events(response: HttpResponse) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.content.decode().splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


class TestTools:
    def test_are_called_on_the_openai_wire(self, upstream: Upstream) -> None:
        answer = json.loads(upstream.post("/v1/chat/completions", tools=[TOOL], tool_choice="auto").content)
        [choice] = answer["choices"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] == "Let us see."
        assert choice["message"]["tool_calls"] == [call.on_openai() for call in CALLS]
        assert upstream.asked["tools"] == [TOOL]

    def test_are_called_in_a_stream_of_the_openai_wire(self, upstream: Upstream) -> None:
        response = upstream.post("/v1/chat/completions", tools=[TOOL], stream=True)
        deltas = [event["choices"][0]["delta"] for event in events(response) if event["choices"]]
        pieces = [piece for delta in deltas for piece in delta.get("tool_calls", [])]
        firsts = [piece for piece in pieces if "id" in piece]
        assert [(one["index"], one["id"], one["type"], one["function"]["name"]) for one in firsts] == [
            (0, "call_a", "function", "add"), (1, "call_b", "function", "add"),
        ]  # fmt: skip
        joined = ["".join(one["function"]["arguments"] for one in pieces if one["index"] == index) for index in (0, 1)]
        assert joined == [call.arguments for call in CALLS]
        assert all("name" not in piece["function"] for piece in pieces if "id" not in piece)
        assert [e["choices"][0]["finish_reason"] for e in events(response) if e["choices"]][-1] == "tool_calls"

    def test_are_called_on_the_ollama_wire(self, upstream: Upstream) -> None:
        answer = json.loads(upstream.post("/api/chat", tools=[TOOL]).content)
        assert answer["message"] == {
            "role": "assistant",
            "content": "Let us see.",
            "tool_calls": [
                {"id": "call_a", "function": {"index": 0, "name": "add", "arguments": {"a": 2, "b": 3}}},
                {"id": "call_b", "function": {"index": 1, "name": "add", "arguments": {"a": 4, "b": "ä"}}},
            ],
        }
        assert answer["done_reason"] == "stop"

    def test_are_called_in_a_stream_of_the_ollama_wire(self, upstream: Upstream) -> None:
        lines = events(upstream.post("/api/chat", tools=[TOOL], stream=True))
        assert [len(line["message"].get("tool_calls", [])) for line in lines] == [0, 0, 0, 2, 0]
        assert [line["done"] for line in lines] == [False, False, False, False, True]

    def test_tell_what_they_found_on_the_openai_wire(self, upstream: Upstream) -> None:
        turns = [
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": None, "tool_calls": [call.on_openai() for call in CALLS]},
            {"role": "tool", "tool_call_id": "call_a", "content": "5"},
            {"role": "tool", "tool_call_id": "call_b", "content": [{"type": "text", "text": "4ä"}]},
        ]
        answer = json.loads(upstream.post("/v1/chat/completions", tools=[TOOL], messages=turns).content)
        assert answer["choices"][0]["message"]["content"] == "So: 4ä"
        self.check_turns(upstream)

    def test_tell_what_they_found_on_the_ollama_wire(self, upstream: Upstream) -> None:
        called = [{"function": {"name": "add", "arguments": json.loads(call.arguments)}} for call in CALLS]
        turns = [
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": "", "tool_calls": called},
            {"role": "tool", "tool_name": "add", "content": "5"},
            {"role": "tool", "content": "4ä"},
        ]
        answer = json.loads(upstream.post("/api/chat", tools=[TOOL], messages=turns).content)
        assert answer["message"]["content"] == "So: 4ä"
        self.check_turns(upstream)

    def check_turns(self, upstream: Upstream) -> None:
        _, assistant, first, second = upstream.asked["messages"]
        ids = [call["id"] for call in assistant["tool_calls"]]
        assert [first["tool_call_id"], second["tool_call_id"]] == ids
        given = [call["function"]["arguments"] for call in assistant["tool_calls"]]
        if isinstance(upstream.server, ScriptedOllama):
            assert [first["tool_name"], second["tool_name"]] == ["add", "add"]
            assert given == [json.loads(call.arguments) for call in CALLS]
        else:
            assert given == [call.arguments for call in CALLS]

    @pytest.mark.parametrize("model", ["clever", "auto"])
    @pytest.mark.parametrize(
        ("choice", "offered"),
        [("required", ["add", "divide"]), ({"type": "function", "function": {"name": "add"}}, ["add"])],
        ids=["any", "named"],
    )
    def test_that_must_be_called_are_told_as_well_as_the_server_knows(
        self, upstream: Upstream, model: str, choice: Any, offered: list[str]
    ) -> None:
        tools = [TOOL, {"type": "function", "function": {"name": "divide"}}]
        response = upstream.post(
            "/v1/chat/completions", model=model, tools=tools, tool_choice=choice, parallel_tool_calls=False
        )
        assert (response.status_code, response["X-GreenLLM-Model"]) == (200, "clever")
        if isinstance(upstream.server, ScriptedOpenAI):
            assert (upstream.asked["tools"], upstream.asked["tool_choice"]) == (tools, choice)
        else:
            assert [one["function"]["name"] for one in upstream.asked["tools"]] == offered
            assert "tool_choice" not in upstream.asked

    def test_are_not_offered_where_none_shall_be_called(self, upstream: Upstream) -> None:
        response = upstream.post("/v1/chat/completions", tools=[TOOL], tool_choice="none")
        assert response.status_code == 200
        assert upstream.asked.get("tool_choice", "none") == "none"
        assert isinstance(upstream.server, ScriptedOpenAI) == ("tools" in upstream.asked)


class TestImages:
    def test_reach_the_model_from_the_openai_wire(self, upstream: Upstream) -> None:
        url = f"data:image/png;base64,{PNG}"
        content = [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": url}}]
        asked = [{"role": "user", "content": content}]
        answer = json.loads(upstream.post("/v1/chat/completions", messages=asked).content)
        assert answer["choices"][0]["message"]["content"] == "So: what"
        self.check_image(upstream)

    @pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
    def test_reach_the_model_from_the_ollama_wire(self, upstream: Upstream, path: str) -> None:
        question = {"prompt": "what", "images": [PNG]}
        if path == "/api/chat":
            question = {"messages": [{"role": "user", "content": "what", "images": [PNG]}]}
        assert upstream.post(path, **question).status_code == 200
        self.check_image(upstream)

    def check_image(self, upstream: Upstream) -> None:
        [message] = upstream.asked["messages"]
        if isinstance(upstream.server, ScriptedOllama):
            assert message["images"] == [PNG]
        else:
            assert message["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"


class TestFormat:
    def test_goes_through_from_the_openai_wire(self, upstream: Upstream) -> None:
        named = {"name": "sum", "strict": True, "schema": SCHEMA}
        wanted = {"type": "json_schema", "json_schema": named}
        assert upstream.post("/v1/chat/completions", response_format=wanted).status_code == 200
        if isinstance(upstream.server, ScriptedOllama):
            assert upstream.asked["format"] == SCHEMA
        else:
            assert upstream.asked["response_format"] == wanted

    def test_of_any_object_goes_through(self, upstream: Upstream) -> None:
        assert upstream.post("/v1/chat/completions", response_format={"type": "json_object"}).status_code == 200
        fields = [upstream.asked]
        assert upstream.post("/api/chat", format="json").status_code == 200
        for asked in [*fields, upstream.asked]:
            assert (asked.get("format"), asked.get("response_format")) in [
                ("json", None), (None, {"type": "json_object"}),
            ]  # fmt: skip

    @pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
    def test_goes_through_from_the_ollama_wire(self, upstream: Upstream, path: str) -> None:
        assert upstream.post(path, prompt="sum", format=SCHEMA).status_code == 200
        if isinstance(upstream.server, ScriptedOllama):
            assert upstream.asked["format"] == SCHEMA
        else:
            assert upstream.asked["response_format"]["json_schema"]["schema"] == SCHEMA


class TestChoice:
    @pytest.mark.parametrize("policy", ["nearest", "guarded", "fixed"])
    def test_of_auto_is_among_those_that_can(self, upstream: Upstream, policy: str) -> None:
        """Without tools the small one is chosen, which is cheaper."""
        fallback = upstream.deployment if policy == "fixed" else None
        PolicyVersion.objects.create(policy=policy, fallback=fallback)
        response = upstream.post("/v1/chat/completions", model="auto", tools=[TOOL])
        assert (response.status_code, response["X-GreenLLM-Model"]) == (200, "clever")
        if policy == "nearest":
            reasons = {one["model"]: one["reason"] for one in RoutingDecision.objects.get().candidates}
            assert reasons["small"] == "It cannot call tools."
            assert upstream.post("/v1/chat/completions", model="auto")["X-GreenLLM-Model"] == "small"

    def test_of_auto_is_refused_where_none_can(self, endpoint: Endpoint) -> None:
        response = endpoint.chat(tools=[TOOL])
        error = error_of(response)
        assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "tools")
        assert "No active model can." in error["message"]
        assert GatewayRequest.objects.get().error_code == "NobodyAble"

    def test_of_a_model_that_cannot_names_those_that_can(self, upstream: Upstream) -> None:
        response = upstream.post("/api/chat", model="small", tools=[TOOL])
        assert response.status_code == 400
        told = json.loads(response.content)["error"]
        assert "'tools' asks for more than the model small can do" in told
        assert "These can: clever." in told

    def test_of_a_server_that_is_away_is_left_out(self, upstream: Upstream) -> None:
        gone = make.make_server(base_url="http://127.0.0.1:9")
        away = make.make_deployment("away", server=gone)
        make.make_response(upstream.endpoint.federation.math, away, energy_j=1.0, verdict="correct")
        response = upstream.post("/v1/chat/completions", model="auto", tools=[TOOL])
        assert response["X-GreenLLM-Model"] == "clever"


def serve(base_url: str, kind: str, model: str) -> None:
    server = make.make_server(base_url=base_url)
    server.kind = kind
    server.save()
    make.make_deployment(model, server=server)


class TestRealServer:
    @pytest.fixture(
        params=[pytest.param("ollama", marks=pytest.mark.ollama), "llama.cpp"],
    )
    def real(self, request: pytest.FixtureRequest, endpoint: Endpoint) -> Endpoint:
        if request.param == "ollama":
            name = request.getfixturevalue("real_chat_model")
            serve(request.getfixturevalue("real_ollama").base_url, "ollama", name)
        else:
            serve(request.getfixturevalue("llama_cpp"), "openai", MODEL)
        return endpoint

    @pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
    def test_obeys_a_schema(self, real: Endpoint, is_streamed: bool) -> None:
        wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": SCHEMA}}
        name = Deployment.objects.exclude(server=real.federation.server).get().language_model.name
        response = real.chat("What is 2 + 3?", model=name, response_format=wanted, stream=is_streamed, max_tokens=60)
        assert response.status_code == 200, response.content
        if is_streamed:
            text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events(response) if e["choices"])
        else:
            text = json.loads(response.content)["choices"][0]["message"]["content"]
        assert isinstance(json.loads(text)["sum"], int)

    def test_is_asked_what_it_can(self, real: Endpoint) -> None:
        """The real servers tell of vision, and that this small model has none."""
        name = Deployment.objects.exclude(server=real.federation.server).get().language_model.name
        content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
        asked = {"model": name, "messages": [{"role": "user", "content": content}]}
        error = error_of(real.send("POST", "/v1/chat/completions", raw=json.dumps(asked).encode()))
        assert (error["code"], error["param"]) == ("unsupported_parameter", "messages")


class TestTold:
    """Clients look at these before they offer tools or send an image."""

    def test_are_the_abilities_of_each_model_and_of_auto(self, upstream: Upstream) -> None:
        listed = json.loads(upstream.endpoint.send("GET", "/api/tags").content)["models"]
        told = {one["name"]: one["capabilities"] for one in listed}
        assert told["clever"] == told["auto"] == told["auto:green"] == ["completion", "tools", "vision", "routing"]
        assert told["small"] == told["large"] == ["completion", "routing"]
        assert told[EMBEDDER_NAME] == ["embedding", "routing"]
        for name in ("clever", "auto", "small"):
            shown = upstream.endpoint.send("POST", "/api/show", raw=json.dumps({"model": name}).encode())
            assert json.loads(shown.content)["capabilities"] == told[name]

    def test_are_left_out_where_the_server_is_away(self, upstream: Upstream) -> None:
        upstream.deployment.server.base_url = "http://127.0.0.1:1"
        upstream.deployment.server.save()
        shown = upstream.endpoint.send("POST", "/api/show", raw=b'{"model": "clever"}')
        assert (shown.status_code, json.loads(shown.content)["capabilities"]) == (200, ["completion", "routing"])
