from collections.abc import Callable
from typing import Any

from tests.clients.served import CLIENTS
from tests.router.endpoint import Endpoint
from tests.router.standins import EMBEDDER_NAME

pytestmark = CLIENTS
AUTO = ["auto", "auto:green", "auto:quality"]
RunNode = Callable[..., Any]


class TestNode:
    def test_openai(self, run_node: RunNode, endpoint: Endpoint, address: str) -> None:
        saw = run_node("openai.js", address, endpoint.secret)
        assert (saw["model"], saw["text"], saw["streamed"]) == ("small", "Five.", "Five.")
        assert saw["gco2e"] > 0
        assert saw["requestId"].startswith("req_")
        assert (saw["dimensions"], saw["names"]) == ([384, 384], [*AUTO, "large", "small"])
        assert saw["errors"] == [
            ["NotFoundError", 404, "model_not_found"],
            ["BadRequestError", 400, "unsupported_parameter"],
        ]

    def test_ollama(self, run_node: RunNode, endpoint: Endpoint, address: str) -> None:
        saw = run_node("ollama.js", address, endpoint.secret)
        assert (saw["model"], saw["text"], saw["streamed"], saw["generated"]) == ("small", "Five.", "Five.", "pass")
        assert saw["gco2e"] > 0
        assert (saw["dimensions"], saw["names"]) == ([384, 384], [*AUTO, "large", "small", EMBEDDER_NAME])
        assert saw["running"] == [[name, True, True, "gguf"] for name in ("large", "small", EMBEDDER_NAME)]
        assert "completion" in saw["capabilities"]
        assert saw["errors"] == [[404, "model 'nobody' not found"]]

    def test_vercel_ai_with_tools_and_a_schema(self, run_node: RunNode, able_endpoint: Endpoint, address: str) -> None:
        saw = run_node("ai_tools.js", address, able_endpoint.secret)
        call = ["add", {"a": 2, "b": 3}]
        assert (saw["called"], saw["streamed"]) == ([call], [call])
        assert (saw["finishReason"], saw["text"], saw["object"]) == ("tool-calls", '{"sum":5}', {"sum": 5})

    def test_vercel_ai(self, run_node: RunNode, endpoint: Endpoint, address: str) -> None:
        saw = run_node("ai.js", address, endpoint.secret)
        assert (saw["text"], saw["streamed"], saw["outputTokens"], saw["dimensions"]) == ("Five.", "Five.", 1, 384)
        [[status, message]] = saw["errors"]
        assert (status, "'nobody'" in message) == (404, True)
