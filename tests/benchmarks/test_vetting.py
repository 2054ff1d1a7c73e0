"""Trying a model before it is measured: what is found out, and what keeps it out."""

import pytest

from benchmarks.inference.base import GenerationParameters, ServerUnreachable, UnsupportedParameter
from benchmarks.inference.connecting import client_for
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.inference.scripting import ScriptedAnswer
from benchmarks.vetting import Findings, Unfit, vet

TINY = ScriptedModel("tiny:1b", digest="a" * 64, context_length=2048)
USUAL = GenerationParameters(seed=42, temperature=0.0, num_ctx=2048, num_predict=256)


def tried(
    answer: ScriptedAnswer,
    *,
    name: str = "tiny:1b",
    model: ScriptedModel = TINY,
    parameters: GenerationParameters = USUAL,
    is_stop_tested: bool = False,
) -> Findings:
    with ScriptedOllama([model], answers=lambda _model, _prompt: answer) as server:
        return vet(
            name=name,
            kind="ollama",
            client=client_for("ollama", server.base_url),
            parameters=parameters,
            is_stop_tested=is_stop_tested,
            clock=iter([10.0, 12.5]).__next__,
        )


class TestVetting:
    def test_tells_version_context_time_and_answer(self) -> None:
        found = tried(ScriptedAnswer("Blue."))
        assert (found.context_length, found.seconds, found.answer) == (2048, 2.5, "Blue.")
        assert "simulated" in found.version
        assert found.stops_by_itself is None
        assert found.notes == ()

    def test_tells_that_an_answer_ends_where_asked(self) -> None:
        assert tried(ScriptedAnswer("Blue."), is_stop_tested=True).stops_by_itself is True

    def test_refuses_one_that_does_not_end(self) -> None:
        endless = ScriptedAnswer("blue " * 300, done_reason="length")
        with pytest.raises(Unfit, match="went on for 256 tokens without an end"):
            tried(endless, is_stop_tested=True)
        assert tried(endless).stops_by_itself is None

    def test_refuses_one_that_says_nothing(self) -> None:
        with pytest.raises(Unfit, match="answered nothing to a short prompt"):
            tried(ScriptedAnswer(""))

    def test_takes_thinking_for_an_answer(self) -> None:
        assert tried(ScriptedAnswer("", thinking="The sky is")).answer == "The sky is"

    def test_refuses_one_that_is_not_listed(self) -> None:
        with pytest.raises(Unfit, match="does not list 'gone'"):
            tried(ScriptedAnswer("Blue."), name="gone")

    def test_refuses_a_context_that_holds_no_answer(self) -> None:
        narrow = ScriptedModel("tiny:1b", context_length=128)
        with pytest.raises(Unfit, match="takes 128 tokens, and an answer alone may have 256"):
            tried(ScriptedAnswer("Blue."), model=narrow)

    def test_notes_a_context_smaller_than_that_of_the_study(self) -> None:
        narrow = ScriptedModel("tiny:1b", context_length=1024)
        assert "1024 tokens, less than the 2048" in tried(ScriptedAnswer("Blue."), model=narrow).notes[0]

    def test_refuses_parameters_that_the_server_does_not_know(self) -> None:
        strange = GenerationParameters(num_predict=16, extras={"warmth": 1.0})
        with pytest.raises(UnsupportedParameter, match="warmth"):
            tried(ScriptedAnswer("Blue."), parameters=strange)

    def test_says_that_nobody_answers(self) -> None:
        with pytest.raises(ServerUnreachable):
            vet(name="tiny:1b", kind="ollama", client=client_for("ollama", "http://127.0.0.1:1"), parameters=USUAL)
