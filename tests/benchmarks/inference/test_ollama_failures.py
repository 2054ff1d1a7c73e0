"""The Ollama client against the simulated server: every way to refuse and to fail."""

import pytest

from benchmarks.inference.base import (
    AccessRefused,
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
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.scripted import (
    Fault,
    FaultKind,
    ScriptedAnswer,
)
from tests.benchmarks.inference.asking import CHAT, Start, ask, asked_paths, connect, eventually

pytestmark = pytest.mark.slow


class TestRefusingBeforeSending:
    @pytest.mark.parametrize("text", ["", " \n\t"])
    def test_a_blank_prompt(self, start: Start, text: str) -> None:
        server = start()

        with pytest.raises(EmptyPrompt):
            connect(server).generate(ask(text))
        assert server.requests == ()

    def test_no_prompt(self, start: Start) -> None:
        with pytest.raises(EmptyPrompt, match="no message"):
            connect(start()).generate(GenerationRequest("tiny:1b", ()))

    def test_an_unknown_parameter(self, start: Start) -> None:
        server = start()

        with pytest.raises(UnsupportedParameter, match="temprature"):
            connect(server).generate(ask(extras={"temprature": 0.1}))
        assert server.requests == ()

    def test_a_removed_parameter_after_asking_for_the_version(self, start: Start) -> None:
        server = start()

        with pytest.raises(UnsupportedParameter, match="mirostat"):
            connect(server).generate(ask(extras={"mirostat": 1}))
        assert asked_paths(server) == ["/api/version"]

    def test_more_words_than_the_requested_context(self, start: Start) -> None:
        server = start()

        with pytest.raises(PromptTooLong):
            connect(server).generate(ask("word " * 9, num_ctx=8))
        assert server.requests == ()

    def test_more_words_than_the_model_can_read(self, start: Start) -> None:
        server = start()

        with pytest.raises(PromptTooLong) as caught:
            connect(server).generate(ask("word " * 65, num_ctx=4096))
        assert caught.value.context_length == CHAT.context_length
        assert "/api/chat" not in asked_paths(server)


class TestFailing:
    def test_nobody_listens(self, closed_port: str) -> None:
        client = OllamaClient(closed_port)

        for call in (client.health, client.list_models, lambda: client.generate(ask())):
            with pytest.raises(ServerUnreachable, match=closed_port):
                call()

    def test_nobody_answers(self, silent_server: str) -> None:
        client = OllamaClient(silent_server, connect_timeout_s=0.05)

        with pytest.raises(ServerUnreachable, match=r"within 0\.05 s"):
            client.health()

    def test_the_model_is_missing(self, start: Start) -> None:
        with pytest.raises(ModelMissing) as caught:
            connect(start()).generate(ask(model="absent:7b"))
        assert not caught.value.is_retryable

    def test_the_model_vanishes(self, start: Start) -> None:
        fault = Fault(FaultKind.STATUS, status=404, message='model "tiny:1b" not found, try pulling it first')

        with pytest.raises(ModelMissing):
            connect(start(fault)).generate(ask())

    def test_it_is_no_ollama_server(self, start: Start) -> None:
        client = OllamaClient(start().base_url + "/elsewhere")

        with pytest.raises(RequestRefused, match="base URL") as caught:
            client.health()
        assert caught.value.status == 404

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (400, RequestRefused),
            (403, AccessRefused),
            (429, RefusedForNow),
            (500, RefusedForNow),
            (503, RefusedForNow),
        ],
    )
    def test_a_status_tells_whether_to_try_again(
        self, start: Start, status: int, expected: type[RequestRefused]
    ) -> None:
        with pytest.raises(RequestRefused, match="scripted fault") as caught:
            connect(start(Fault(FaultKind.STATUS, status=status))).generate(ask())

        assert type(caught.value) is expected
        assert caught.value.status == status
        assert caught.value.is_retryable is (expected is RefusedForNow)

    def test_an_option_of_the_wrong_type_stays_wrong(self, start: Start) -> None:
        fault = Fault(FaultKind.STATUS, status=500, message='option "seed" must be of type integer')

        with pytest.raises(RequestRefused) as caught:
            connect(start(fault)).generate(ask(seed=1))
        assert not caught.value.is_retryable

    def test_the_server_refuses_a_parameter(self, start: Start) -> None:
        with pytest.raises(UnsupportedParameter) as caught:
            connect(start(Fault(FaultKind.REFUSE_OPTION, message="min_p"))).generate(ask(extras={"min_p": 0.1}))
        assert (caught.value.names, caught.value.status) == (("min_p",), 400)

    def test_the_server_refuses_a_long_prompt(self, start: Start) -> None:
        message = "request (67 tokens) exceeds the available context size (64 tokens)"

        with pytest.raises(PromptTooLong) as caught:
            connect(start(Fault(FaultKind.STATUS, status=400, message=message))).generate(ask())
        assert (caught.value.prompt_token_count, caught.value.status) == (67, 400)

    def test_the_server_cuts_a_prompt_silently(self, start: Start) -> None:
        # Four words pass the count of words; the server then says that it read four tokens of four.
        client = connect(start(Fault(FaultKind.SILENT_TRUNCATION)))

        with pytest.raises(PromptTooLong, match="filled the context"):
            client.generate(ask("one two three four", num_ctx=4))

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            (FaultKind.CUT, "closed in the middle"),
            (FaultKind.NO_FINAL_LINE, "without its last line"),
            (FaultKind.GARBAGE, "not what an Ollama server sends"),
            (FaultKind.ERROR_LINE, "scripted fault"),
        ],
    )
    def test_the_stream_breaks(self, start: Start, kind: FaultKind, reason: str) -> None:
        with pytest.raises(StreamBroken, match=reason) as caught:
            connect(start(Fault(kind))).generate(ask())

        assert caught.value.partial_text == "It"
        assert caught.value.is_retryable

    def test_no_token_comes_in_time(self, start: Start) -> None:
        server = start(Fault(FaultKind.HANG))

        with pytest.raises(FirstTokenTimedOut, match=r"within 0\.1 s") as caught:
            connect(server, first_token_s=0.1).generate(ask())
        assert caught.value.is_retryable
        assert eventually(lambda: server.cancelled_count == 1)

    def test_the_answer_stalls(self, start: Start) -> None:
        server = start(Fault(FaultKind.STALL))

        with pytest.raises(GenerationTimedOut) as caught:
            connect(server, first_token_s=0.1, total_s=0.2).generate(ask())
        assert caught.value.partial_text == "It"
        assert not caught.value.is_retryable
        assert eventually(lambda: server.cancelled_count == 1)

    def test_the_answer_trickles(self, start: Start) -> None:
        def slow(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("word " * 200, seconds_per_token=0.02)

        with pytest.raises(GenerationTimedOut) as caught:
            connect(start(answers=slow), first_token_s=5.0, total_s=0.2).generate(ask())
        assert caught.value.partial_text.count("word") > 1

    def test_a_fault_that_passes_lets_the_next_try_through(self, start: Start) -> None:
        client = connect(start(Fault(FaultKind.STATUS, status=503, times=1)))

        with pytest.raises(InferenceError):
            client.generate(ask())
        assert client.generate(ask()).text == "It is four."
