"""Simulated llama.cpp, vLLM, LM Studio and other OpenAI-compatible servers: twins of the real ones.

They speak the real wire over real HTTP, so the true client runs against them, but their answers are scripted, a
token is a word, and durations are made up. Each answer is marked as simulated: nothing of it may count as measured.
"""

from collections.abc import Mapping, Sequence

from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted_openai_http import OpenAITraits, ScriptedOpenAIHandler
from benchmarks.inference.scripted_service import ScriptedService, stage_of
from benchmarks.inference.scripting import AnswerScript, Fault, ScriptedModel


class ScriptedOpenAI(ScriptedService):
    """A simulated server on a port of the loopback interface, from `with` to the end of its block.

    `answers`, `faults` and `port` are as for `ScriptedOllama`. `flavour` says which server it plays, `is_router`
    makes llama.cpp one that loads models by itself, `api_key` is what it wants to be shown. With `chosen` it plays a
    GreenLLM router: what is asked of the model `auto` is answered by that one.
    """

    def __init__(
        self,
        models: Sequence[ScriptedModel],
        *,
        flavour: Flavour,
        answers: AnswerScript | Mapping[str, str],
        faults: Sequence[Fault] = (),
        is_router: bool = False,
        api_key: str = "",
        chosen: str = "",
        port: int = 0,
    ) -> None:
        traits = OpenAITraits(flavour, is_router=is_router, api_key=api_key, chosen=chosen)
        handler = type("Handler", (ScriptedOpenAIHandler,), {"traits": traits})
        super().__init__(handler, stage_of(models, answers, faults), port=port)
