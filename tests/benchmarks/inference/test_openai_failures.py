"""The OpenAI client against the simulated servers: every way to refuse and to fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from benchmarks.inference.base import (
    AccessRefused,
    ApiKey,
    EmptyPrompt,
    FirstTokenTimedOut,
    GenerationRequest,
    GenerationTimedOut,
    InferenceError,
    ModelMissing,
    PromptTooLong,
    RefusedForNow,
    RequestRefused,
    ServerUnreachable,
    StreamBroken,
    UnsupportedParameter,
)
from benchmarks.inference.openai import OpenAIClient
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer, ScriptedModel
from tests.benchmarks.inference.asking import CHAT, ask, asked_paths, eventually
from tests.benchmarks.inference.asking_openai import StartOpenAI, connect

pytestmark = pytest.mark.slow


@contextmanager
def saying(body: bytes, content_type: str = "application/json") -> Iterator[str]:
    """Run a server that answers everything with the same body; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parameter's name is inherited
            """Keep silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class TestRefusingBeforeSending:
    @pytest.mark.parametrize("text", ["", " \n\t"])
    def test_a_blank_prompt(self, start_openai: StartOpenAI, text: str) -> None:
        server = start_openai()

        with pytest.raises(EmptyPrompt):
            connect(server).generate(ask(text))
        assert server.requests == ()

    def test_no_prompt(self, start_openai: StartOpenAI) -> None:
        with pytest.raises(EmptyPrompt, match="no message"):
            connect(start_openai()).generate(GenerationRequest("tiny:1b", ()))

    @pytest.mark.parametrize("parameters", [{"num_ctx": 2048}, {"extras": {"temprature": 0.1}}])
    def test_a_parameter_that_would_be_ignored(self, start_openai: StartOpenAI, parameters: dict[str, object]) -> None:
        server = start_openai()

        with pytest.raises(UnsupportedParameter, match="vLLM"):
            connect(server).generate(ask(**parameters))
        assert asked_paths(server) == ["/v1/models"]

    def test_a_parameter_before_a_model_is_loaded_with_it(self, start_openai: StartOpenAI) -> None:
        server = start_openai()

        with pytest.raises(UnsupportedParameter):
            connect(server).load("tiny:1b", ask(num_ctx=2048).parameters)
        assert server.loaded == frozenset()

    @pytest.mark.parametrize("flavour", [Flavour.LLAMA_CPP, Flavour.VLLM])
    def test_more_words_than_the_model_can_read(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        server = start_openai(flavour=flavour)

        with pytest.raises(PromptTooLong) as caught:
            connect(server).generate(ask("word " * 65))
        assert caught.value.context_length == CHAT.context_length
        assert "/v1/chat/completions" not in asked_paths(server)

    def test_a_model_that_llama_cpp_would_silently_replace(self, start_openai: StartOpenAI) -> None:
        server = start_openai(flavour=Flavour.LLAMA_CPP)

        with pytest.raises(ModelMissing, match="absent:7b"):
            connect(server).generate(ask(model="absent:7b"))
        assert "/v1/chat/completions" not in asked_paths(server)

    def test_without_the_key_that_is_named(self, start_openai: StartOpenAI) -> None:
        server = start_openai(api_key="sesame")

        with pytest.raises(AccessRefused, match="LAB_KEY.* is not set"):
            connect(server, api_key=ApiKey("LAB_KEY", "")).generate(ask())
        assert server.requests == ()


class TestFailing:
    def test_nobody_listens(self, closed_port: str) -> None:
        client = OpenAIClient(closed_port)

        for call in (client.health, client.list_models, lambda: client.generate(ask())):
            with pytest.raises(ServerUnreachable, match=closed_port):
                call()

    def test_nobody_answers(self, silent_server: str) -> None:
        client = OpenAIClient(silent_server, connect_timeout_s=0.05)

        with pytest.raises(ServerUnreachable, match=r"within 0\.05 s"):
            client.health()

    @pytest.mark.parametrize(
        ("api_key", "remedy"),
        [
            pytest.param(None, "api_key_variable", id="no key"),
            pytest.param(ApiKey("LAB_KEY", "wrong"), "environment variable LAB_KEY", id="a wrong key"),
        ],
    )
    def test_the_server_wants_another_key(self, start_openai: StartOpenAI, api_key: ApiKey | None, remedy: str) -> None:
        client = connect(start_openai(api_key="sesame"), api_key=api_key)

        with pytest.raises(AccessRefused, match=remedy) as caught:
            client.health()
        assert (caught.value.status, caught.value.is_retryable) == (401, False)
        assert "wrong" not in str(caught.value)

    def test_the_model_vanishes(self, start_openai: StartOpenAI) -> None:
        fault = Fault(FaultKind.STATUS, status=404, message="The model `tiny:1b` does not exist.")

        with pytest.raises(ModelMissing):
            connect(start_openai(fault)).generate(ask())

    def test_it_is_no_openai_server(self, start_openai: StartOpenAI) -> None:
        client = OpenAIClient(start_openai().base_url + "/elsewhere")

        with pytest.raises(RequestRefused, match="base URL is that of an OpenAI-compatible server") as caught:
            client.health()
        assert caught.value.status == 404

    @pytest.mark.parametrize(
        "body",
        [b"<html>", b"[]", b'{"data": null}', b'{"data": [{"name": "x"}]}', b'"text"', b"\xff"],
    )
    def test_what_it_says_is_no_list_of_models(self, body: bytes) -> None:
        with saying(body) as address, pytest.raises(StreamBroken, match="not what an OpenAI-compatible server sends"):
            OpenAIClient(address).list_models()

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (400, RequestRefused),
            (403, AccessRefused),
            (429, RefusedForNow),
            (500, RefusedForNow),
            (501, RequestRefused),
            (503, RefusedForNow),
        ],
    )
    @pytest.mark.parametrize("flavour", [Flavour.VLLM, Flavour.LM_STUDIO], ids=["error object", "error text"])
    def test_a_status_tells_whether_to_try_again(
        self, start_openai: StartOpenAI, status: int, expected: type[RequestRefused], flavour: Flavour
    ) -> None:
        server = start_openai(Fault(FaultKind.STATUS, status=status), flavour=flavour)

        with pytest.raises(RequestRefused, match="scripted fault") as caught:
            connect(server).generate(ask())
        assert type(caught.value) is expected
        assert caught.value.status == status
        assert caught.value.is_retryable is (expected is RefusedForNow)
        assert asked_paths(server).count("/v1/chat/completions") == 1

    def test_the_server_refuses_a_parameter(self, start_openai: StartOpenAI) -> None:
        with pytest.raises(UnsupportedParameter) as caught:
            connect(start_openai(Fault(FaultKind.REFUSE_OPTION, message="min_p"))).generate(ask(extras={"min_p": 0.1}))
        assert (caught.value.names, caught.value.status) == (("min_p",), 400)

    @pytest.mark.parametrize("flavour", Flavour)
    def test_the_server_refuses_a_long_prompt(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        # It says its context only when it refuses: the client has seen a longer one.
        server = start_openai(
            Fault(FaultKind.STATUS, status=400, message=_too_long(flavour)),
            flavour=flavour,
            models=[ScriptedModel("tiny:1b", context_length=4096)],
        )

        with pytest.raises(PromptTooLong) as caught:
            connect(server).generate(ask())
        assert (caught.value.prompt_token_count, caught.value.status) == (67, 400)

    def test_the_server_cuts_a_prompt_silently(self, start_openai: StartOpenAI) -> None:
        model = ScriptedModel("tiny:1b", context_length=4)
        client = connect(start_openai(Fault(FaultKind.SILENT_TRUNCATION), models=[model]))

        with pytest.raises(PromptTooLong, match="filled the context"):
            client.generate(ask("one two three four"))

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            (FaultKind.CUT, "closed in the middle"),
            (FaultKind.NO_FINAL_LINE, "without its last line"),
            (FaultKind.GARBAGE, "not what an OpenAI-compatible server sends"),
            (FaultKind.ERROR_LINE, "scripted fault"),
        ],
    )
    def test_the_stream_breaks(self, start_openai: StartOpenAI, kind: FaultKind, reason: str) -> None:
        with pytest.raises(StreamBroken, match=reason) as caught:
            connect(start_openai(Fault(kind))).generate(ask())

        assert caught.value.partial_text == "It"
        assert caught.value.is_retryable

    def test_no_token_comes_in_time(self, start_openai: StartOpenAI) -> None:
        server = start_openai(Fault(FaultKind.HANG))
        client = connect(server, first_token_s=0.5)

        with pytest.raises(FirstTokenTimedOut, match=r"within 0\.5 s") as caught:
            client.generate(ask())
        assert caught.value.is_retryable
        assert eventually(lambda: server.cancelled_count == 1)

    def test_the_answer_stalls(self, start_openai: StartOpenAI) -> None:
        server = start_openai(Fault(FaultKind.STALL))

        with pytest.raises(GenerationTimedOut) as caught:
            connect(server, first_token_s=0.5, total_s=0.8).generate(ask())
        assert caught.value.partial_text == "It"
        assert not caught.value.is_retryable
        assert eventually(lambda: server.cancelled_count == 1)

    def test_the_answer_trickles(self, start_openai: StartOpenAI) -> None:
        def slow(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("word " * 200, seconds_per_token=0.02)

        with pytest.raises(GenerationTimedOut) as caught:
            connect(start_openai(answers=slow), first_token_s=5.0, total_s=0.3).generate(ask())
        assert caught.value.partial_text.count("word") > 1

    @pytest.mark.parametrize(("flavour", "status"), [(Flavour.LLAMA_CPP, 501), (Flavour.VLLM, 400)])
    def test_a_chat_model_does_not_embed(self, start_openai: StartOpenAI, flavour: Flavour, status: int) -> None:
        with pytest.raises(RequestRefused, match="does not support embeddings") as caught:
            connect(start_openai(flavour=flavour)).embed("tiny:1b", ["text"])
        assert (caught.value.status, caught.value.is_retryable) == (status, False)

    def test_a_fault_that_passes_lets_the_next_try_through(self, start_openai: StartOpenAI) -> None:
        client = connect(start_openai(Fault(FaultKind.STATUS, status=503, times=1)))

        with pytest.raises(InferenceError):
            client.generate(ask())
        assert client.generate(ask()).text == "It is four."


def _too_long(flavour: Flavour) -> str:
    return {
        Flavour.LLAMA_CPP: "request (67 tokens) exceeds the available context size (64 tokens), try increasing it",
        Flavour.VLLM: (
            "This model's maximum context length is 64 tokens. However, you requested 8 output tokens and your "
            "prompt contains at least 67 input tokens, for a total of at least 75 tokens."
        ),
        Flavour.LM_STUDIO: (
            "Trying to keep the first 67 tokens when context the overflows. However, the model is loaded with "
            "context length of only 64 tokens, which is not enough."
        ),
        Flavour.OTHER: (
            "This model's maximum context length is 64 tokens. However, you requested 75 tokens (67 in the messages, "
            "8 in the completion). Please reduce the length of the messages or completion."
        ),
    }[flavour]
