"""A simulated Ollama server: the twin of the real one for tests, drills and demonstrations.

It speaks the real wire over real HTTP, so the true client runs against it, but its answers are scripted, a
token is a word, and its durations are made up. Its version says so: nothing of it may count as measured.
"""

from collections.abc import Mapping, Sequence

from benchmarks.inference.scripted_http import ScriptedHandler
from benchmarks.inference.scripted_service import SIMULATED_VERSION, ScriptedService, stage_of
from benchmarks.inference.scripting import (
    AnswerScript,
    Fault,
    FaultKind,
    RecordedRequest,
    ScriptedAnswer,
    ScriptedModel,
    answers_by_prompt,
)

__all__ = [
    "SIMULATED_VERSION",
    "AnswerScript",
    "Fault",
    "FaultKind",
    "RecordedRequest",
    "ScriptedAnswer",
    "ScriptedModel",
    "ScriptedOllama",
    "answers_by_prompt",
]


class ScriptedOllama(ScriptedService):
    """A simulated server on a port of the loopback interface, from `with` to the end of its block.

    `answers` is a script, or a mapping from the latest message to the answer. `faults` strike requests to
    generate, embed or pull: the first one that fits. `library` are the models it can pull. `port` 0 takes any
    free one.
    """

    def __init__(
        self,
        models: Sequence[ScriptedModel],
        *,
        answers: AnswerScript | Mapping[str, str],
        faults: Sequence[Fault] = (),
        library: Sequence[ScriptedModel] = (),
        port: int = 0,
    ) -> None:
        super().__init__(ScriptedHandler, stage_of(models, answers, faults, library), port=port)
