"""The script of a simulated server: models, answers, what shall go wrong, and what it was asked."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.inference.demands import ToolCall


class FaultKind(StrEnum):
    """What can go wrong in a scripted request to generate, embed or pull."""

    DELAY = "delay"
    """Answer late, by `seconds`."""
    HANG = "hang"
    """Send nothing at all until the client leaves."""
    STALL = "stall"
    """Send the first token, then nothing until the client leaves."""
    CUT = "cut"
    """Close the connection in the middle of the stream."""
    NO_FINAL_LINE = "no_final_line"
    """End the stream properly but without its last line."""
    GARBAGE = "garbage"
    """Send a line that is no JSON after the first token."""
    ERROR_LINE = "error_line"
    """Send `message` as an error line after the first token."""
    STATUS = "status"
    """Refuse with the HTTP status `status` and `message`."""
    REFUSE_OPTION = "refuse_option"
    """Refuse with 400 a request that has the option named by `message`."""
    SILENT_TRUNCATION = "silent_truncation"
    """Cut a prompt that is too long instead of refusing it, as a real Ollama does."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for the next `times` requests that it fits, or for all of them when `times` is None."""

    kind: FaultKind
    model: str | None = None
    times: int | None = None
    seconds: float = 0.0
    status: int = 500
    message: str = "scripted fault"


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """A model that the simulated server claims to have."""

    name: str
    digest: str = "0" * 64
    size_bytes: int = 1_000_000
    family: str = "llama"
    parameter_size: str = "135M"
    quantization: str = "Q4_1"
    context_length: int = 2048
    embedding_length: int = 384
    capabilities: tuple[str, ...] = ("completion",)


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """What to answer; every word is sent as one token, `seconds_per_token` apart.

    `gate` holds everything after the first token back until it is set. `margin_nats` is by how much each token of the
    text beats the next best, told to whoever asks for log probabilities; None: the server knows none.
    """

    text: str
    thinking: str = ""
    done_reason: str = "stop"
    seconds_per_token: float = 0.0
    reports_figures: bool = True
    gate: threading.Event | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    margin_nats: float | None = None

    def likely_tokens(self, token: str, *, count: int | None) -> list[dict[str, object]]:
        """Give what a server tells of one token with so many of the likeliest (None: nothing is asked for)."""
        if count is None or self.margin_nats is None:
            return []
        likely = [{"token": token, "logprob": -0.5}, {"token": "?", "logprob": -0.5 - self.margin_nats}]
        return [{"token": token, "logprob": -0.5, "top_logprobs": likely[:count]}]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it came in; the names of its headers are in small letters, their values are not kept."""

    path: str
    body: Mapping[str, object]
    headers: frozenset[str] = frozenset()


AnswerScript = Callable[[str, str], ScriptedAnswer]
"""Gives the answer for a model's name and the latest message."""


def answers_by_prompt(answers: Mapping[str, str], otherwise: str = "I do not know.") -> AnswerScript:
    """Make a script that looks the latest message up, the same for every model."""

    def script(_model: str, prompt: str) -> ScriptedAnswer:
        return ScriptedAnswer(answers.get(prompt, otherwise))

    return script


class Stage:
    """What the threads of one simulated server share: the script and the record of the play."""

    def __init__(
        self,
        models: Sequence[ScriptedModel],
        script: AnswerScript,
        faults: Sequence[Fault],
        library: Sequence[ScriptedModel] = (),
    ) -> None:
        self.models = {model.name: model for model in models}
        self._library = {model.name: model for model in library}
        self.script = script
        self.stopped = threading.Event()
        self._faults = tuple(faults)
        self._used: Counter[int] = Counter()
        self._requests: list[RecordedRequest] = []
        self._loaded: set[str] = set()
        self._cancelled_count = 0
        self._lock = threading.Lock()

    def record(self, request: RecordedRequest) -> None:
        """Keep a request for the record."""
        with self._lock:
            self._requests.append(request)

    def fetch(self, name: str) -> ScriptedModel | None:
        """Take a model from the library among those the server has; None where nobody has it."""
        with self._lock:
            found = self._library.get(name) or self.models.get(name)
            if found is not None:
                self.models = {**self.models, name: found}
            return found

    def note_cancelled(self) -> None:
        """Count an answer that the client did not wait for."""
        with self._lock:
            self._cancelled_count += 1

    def note_loaded(self, model: str, *, is_loaded: bool) -> bool:
        """Note that a model is in memory, or no longer; say whether that is news."""
        with self._lock:
            is_news = is_loaded != (model in self._loaded)
            (self._loaded.add if is_loaded else self._loaded.discard)(model)
            return is_news

    def next_fault(self, model: str, options: Mapping[str, object]) -> Fault | None:
        """Use up the first fault that fits the request and has not struck often enough."""
        with self._lock:
            for position, fault in enumerate(self._faults):
                if fault.model not in {None, model}:
                    continue
                if fault.kind is FaultKind.REFUSE_OPTION and fault.message not in options:
                    continue
                if fault.times is not None and self._used[position] >= fault.times:
                    continue
                self._used[position] += 1
                return fault
        return None

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Give what was asked so far, in order."""
        with self._lock:
            return tuple(self._requests)

    @property
    def loaded(self) -> frozenset[str]:
        """Give the names of the models in memory."""
        with self._lock:
            return frozenset(self._loaded)

    @property
    def cancelled_count(self) -> int:
        """Give how many answers the client left before their end."""
        with self._lock:
            return self._cancelled_count
