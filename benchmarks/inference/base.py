"""The one protocol through which GreenLLM talks to an inference server, and the values that cross it.

What a server does not report is None, never 0. Durations are nanoseconds, sizes are bytes.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal, Protocol, runtime_checkable

from benchmarks.inference.demands import Demands, Image, ToolCall, ToolCallPiece
from benchmarks.inference.errors import (
    AccessRefused,
    EmptyPrompt,
    FirstTokenTimedOut,
    GenerationTimedOut,
    InferenceError,
    ModelMissing,
    PromptTooLong,
    PullFailed,
    RefusedForNow,
    RequestRefused,
    ServerForbidden,
    ServerUnreachable,
    StreamBroken,
    UnsupportedParameter,
)

__all__ = [
    "ROUTING",
    "AccessRefused",
    "ApiKey",
    "ChatMessage",
    "ChatPiece",
    "ChatRole",
    "Embeddings",
    "EmptyPrompt",
    "FirstTokenTimedOut",
    "Generation",
    "GenerationParameters",
    "GenerationRequest",
    "GenerationTimedOut",
    "InferenceClient",
    "InferenceError",
    "LoadResult",
    "LoadedModel",
    "LoadedModelsClient",
    "ModelDescription",
    "ModelMissing",
    "ParameterValue",
    "PromptTooLong",
    "PullFailed",
    "PullProgress",
    "PullingClient",
    "RefusedForNow",
    "RequestRefused",
    "ServerForbidden",
    "ServerHealth",
    "ServerUnreachable",
    "StreamBroken",
    "StreamPiece",
    "TextChunk",
    "UnsupportedParameter",
]

ROUTING = "routing"  # the capability of a GreenLLM router

ChatRole = Literal["system", "user", "assistant", "tool"]
ParameterValue = bool | int | float | str | tuple[str, ...]

_NO_EXTRAS: Mapping[str, ParameterValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key of a server and the environment variable that holds it; `value` is empty where that is not set."""

    variable: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """The server answers; `version` is its own word, after its name where it is of a kind that has several."""

    version: str


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a server tells about one of its models; texts are empty when it does not tell.

    A list of models carries no context length, no embedding length and no capabilities: ask `describe`. The
    capability `routing` marks a model of a GreenLLM router, behind which another one answers.
    """

    name: str
    digest: str
    size_bytes: int | None
    family: str
    parameter_size: str
    quantization: str
    context_length: int | None = None
    embedding_length: int | None = None
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One model in the memory of a server; None and empty is what the server does not tell.

    `size_bytes` is the memory that it takes in all, `size_vram_bytes` how much of that is on graphics cards,
    `context_length` the tokens that it was loaded with, and `expires_at` when the server will forget it.
    """

    name: str
    digest: str = ""
    size_bytes: int | None = None
    size_vram_bytes: int | None = None
    context_length: int | None = None
    expires_at: datetime | None = None
    file_format: str = ""


@dataclass(frozen=True, slots=True)
class GenerationParameters:
    """How to generate; None leaves the choice to the server, `extras` are further options by wire name."""

    seed: int | None = None
    temperature: float | None = None
    num_ctx: int | None = None
    num_predict: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    extras: Mapping[str, ParameterValue] = field(default_factory=lambda: _NO_EXTRAS)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation."""

    role: ChatRole
    content: str
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()  # of an assistant
    tool_call_id: str = ""  # of a tool: which call it answers
    tool_name: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Which model shall answer what, and how.

    `is_margin_wanted` asks for log probabilities where the server gives them; where it does not, and where tools are
    offered, the answer comes without. A study that must have them sets the parameter `top_logprobs` instead.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    parameters: GenerationParameters = field(default_factory=GenerationParameters)
    demands: Demands = field(default_factory=Demands)
    is_margin_wanted: bool = False


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of an answer as it arrives; `is_thinking` marks reasoning that is not part of the answer."""

    text: str
    is_thinking: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished answer.

    `time_to_first_token_ns` is measured by the client from just before the connection opens to the first
    piece of text or thinking, so it holds the model's loading; None when the answer is empty. All other
    figures are the server's own. A GreenLLM router tells which model answered and the id of its request.
    `wire_byte_count` is what went over the wire both ways (HTTP, without what TLS and TCP add), where counted.
    `mean_margin_nats` is how sure the model was of its tokens (`benchmarks.inference.margins`), where it was asked for.
    """

    text: str
    thinking: str | None
    prompt_token_count: int | None
    output_token_count: int | None
    total_duration_ns: int | None
    load_duration_ns: int | None
    prompt_eval_duration_ns: int | None
    eval_duration_ns: int | None
    time_to_first_token_ns: int | None
    done_reason: str | None
    answered_by: str | None = None
    gateway_request_id: str | None = None
    wire_byte_count: int | None = field(default=None, compare=False)
    tool_calls: tuple[ToolCall, ...] = ()
    mean_margin_nats: float | None = None


StreamPiece = TextChunk | Generation
ChatPiece = StreamPiece | ToolCallPiece  # where tools were offered


@dataclass(frozen=True, slots=True)
class LoadResult:
    """How long the client waited until the model was in memory."""

    duration_ns: int


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far the fetching of a model is: what the server does now, and the bytes of the layer it fetches.

    The bytes are None while it fetches no layer.
    """

    step: str
    done_bytes: int | None
    total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector of `dimension` numbers for each text, in the order of the texts."""

    vectors: list[list[float]]
    dimension: int
    prompt_token_count: int | None
    duration_ns: int | None
    load_duration_ns: int | None = None


class InferenceClient(Protocol):
    """A server that generates and embeds; every method raises `InferenceError` and nothing else.

    One client may be used by several threads. It holds no connection between two calls.
    """

    def health(self) -> ServerHealth:
        """Ask the server for its version.

        Raises `ServerUnreachable` when nobody answers within the time to connect.
        """
        ...

    def list_models(self) -> list[ModelDescription]:
        """List the models the server has, sorted by name."""
        ...

    def describe(self, name: str) -> ModelDescription:
        """Tell all that the server knows about one model.

        Raises `ModelMissing` when it has no such model.
        """
        ...

    def load(self, name: str, parameters: GenerationParameters) -> LoadResult:
        """Bring the model into memory with the context it will be asked with, and return when it is there.

        A server without a call for it generates one token instead.

        Raises `ModelMissing`, `UnsupportedParameter`, and `GenerationTimedOut` past the whole budget.
        """
        ...

    def generate(self, request: GenerationRequest) -> Generation:
        """Generate one answer and return it whole.

        Raises `EmptyPrompt`, `UnsupportedParameter` and, where words alone tell it, `PromptTooLong` before
        anything is sent; `ModelMissing`, `RequestRefused`, `PromptTooLong`, `FirstTokenTimedOut`,
        `GenerationTimedOut` and `StreamBroken` afterwards.
        """
        ...

    def stream(self, request: GenerationRequest) -> Generator[StreamPiece, None, None]:
        """Generate one answer piece by piece: `TextChunk`s as they arrive, the whole `Generation` last.

        What is wrong with the request itself is raised by the call, all else while iterating. Closing the
        generator early closes the connection, which makes the server stop.
        """
        ...

    def embed(self, name: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors.

        Raises `EmptyPrompt` for no text or a blank one, and `PromptTooLong` rather than cut a text.
        """
        ...

    def unload(self, name: str) -> None:
        """Ask the server to free the model's memory; a real server needs a moment after it agreed.

        Where the server has no way to do so nothing is asked, and the log says that the model stays.
        """
        ...


@runtime_checkable
class PullingClient(Protocol):
    """A server that fetches models by itself."""

    def pull(self, name: str) -> Iterator[PullProgress]:
        """Fetch a model from the library the server knows; it goes on while there is news.

        Raises `PullFailed` when the server cannot, `GenerationTimedOut` when no news comes.
        """
        ...


@runtime_checkable
class LoadedModelsClient(Protocol):
    """A server that tells which of its models are in memory."""

    def loaded_models(self) -> Mapping[str, LoadedModel]:
        """Return the models in memory now, by the names that `list_models` gives them.

        It waits no longer than `health` does.
        """
        ...
