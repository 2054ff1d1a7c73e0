"""A simulated Ollama server: the twin of the real one for tests, drills and demonstrations.

It speaks the real wire over real HTTP, so the true client runs against it, but its answers are scripted, a
token is a word, and its durations are made up. Its version says so: nothing of it may count as measured.
"""

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from benchmarks.inference.scripted_http import SIMULATED_VERSION, ScriptedServer
from benchmarks.inference.scripting import (
    AnswerScript,
    Fault,
    FaultKind,
    RecordedRequest,
    ScriptedAnswer,
    ScriptedModel,
    Stage,
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


class ScriptedOllama:
    """A simulated server on a port of the loopback interface, from `with` to the end of its block.

    `answers` is a script, or a mapping from the latest message to the answer. `faults` strike requests to
    generate or embed: the first one that fits. `port` 0 takes any free one.
    """

    def __init__(
        self,
        models: Sequence[ScriptedModel],
        *,
        answers: AnswerScript | Mapping[str, str],
        faults: Sequence[Fault] = (),
        port: int = 0,
    ) -> None:
        script = answers_by_prompt(answers) if isinstance(answers, Mapping) else answers
        self._stage = Stage(models, script, faults)
        self._server = ScriptedServer(("127.0.0.1", port), self._stage)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="scripted-ollama"
        )

    @property
    def base_url(self) -> str:
        """Give the address of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Give what the server was asked so far, in order."""
        return self._stage.requests

    @property
    def loaded(self) -> frozenset[str]:
        """Give the names of the models that are in its simulated memory."""
        return self._stage.loaded

    @property
    def cancelled_count(self) -> int:
        """Give how many answers a client left before their end."""
        return self._stage.cancelled_count

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stage.stopped.set()  # ends the faults that wait
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
