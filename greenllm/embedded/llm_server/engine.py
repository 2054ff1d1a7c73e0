"""One loaded model in llama.cpp: generate and embed. Every call blocks, and only one may run at a time."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenllm.embedded.llm_server.facts import ModelFacts
from greenllm.embedded.llm_server.options import Sampling
from greenllm.embedded.llm_server.orders import GenerationOrder, JsonObject
from greenllm.embedded.llm_server.refusals import (
    GenerationFailedError,
    ModelUnusableError,
    RequestRefusedError,
)

# A long prompt is read in batches of this many tokens, and only between two of them can it be given up.
# 128 reads as fast as 512 on one thread; 64 is a third slower.
_BATCH_TOKENS = 128
# Why a generation ended whose client had left.
CANCELLED = "cancelled"

_TOO_LARGE = re.compile(r"input \((\d+) tokens\) is too large")


class PromptTooLongError(RequestRefusedError):
    """The prompt does not fit into the context."""

    def __init__(self, prompt_tokens: int, context: int) -> None:
        self.prompt_tokens = prompt_tokens
        super().__init__(
            f"the prompt has {prompt_tokens} tokens and the context only {context}; shorten it or set a larger num_ctx"
        )


@dataclass(frozen=True)
class Completion:
    """How a generation ended, with its token counts and its durations in nanoseconds."""

    reason: str  # stop, length or CANCELLED
    prompt_tokens: int
    prompt_ns: int
    output_tokens: int
    output_ns: int
    logprobs: tuple[JsonObject, ...] = ()  # of each token, where they were asked for


class Engine:
    """A model in memory."""

    def __init__(self, path: Path, facts: ModelFacts, *, context: int, threads: int) -> None:
        """Load the file; `context` counts tokens, and llama.cpp rounds it up to a multiple of 256.

        Raises:
            ModelUnusableError: llama.cpp refuses the file, or memory is short.
        """
        import xllamacpp  # 100 MB of native code that only a loaded model needs

        self.context = context
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        # An embedder reads a text in one piece.
        parameters.n_batch = parameters.n_ubatch = context if facts.is_embedder else _BATCH_TOKENS
        parameters.embedding = facts.is_embedder
        parameters.verbosity = 0
        parameters.ui = False
        parameters.n_threads_http = 1
        parameters.cache_ram_mib = 0  # remembered prompts would make the energy of a request depend on history
        # The binding always opens an HTTP server of its own. A socket in a private folder, gone before anyone
        # could ask it, keeps that server from being an unwatched second entrance.
        with tempfile.TemporaryDirectory(prefix="greenllm-llm-") as folder:
            parameters.hostnames = [str(Path(folder) / "closed.sock")]
            try:
                self._server = xllamacpp.Server(parameters)
            except (RuntimeError, ValueError, MemoryError) as error:
                raise ModelUnusableError(f"llama.cpp cannot load {path}: {error}") from error

    def generate(
        self, order: GenerationOrder, on_text: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Completion:
        """Generate an answer, handing on each piece of text; ends within a token of `is_cancelled`.

        Raises:
            PromptTooLongError: the prompt does not fit into the context.
            RequestRefusedError: llama.cpp refuses the request, for example its JSON schema.
            GenerationFailedError: llama.cpp failed.
        """
        request = _sampling_request(order.sampling, self.context)
        if order.top_logprobs is not None:
            request["n_probs"] = max(order.top_logprobs, 1)  # 0 would ask for none at all
        listener = _Listener(self.context, on_text, is_cancelled)
        if order.raw_prompt is None:
            request["messages"] = [{"role": message.role, "content": message.content} for message in order.messages]
            if order.schema is not None:
                request["response_format"] = {"type": "json_schema", "json_schema": {"schema": order.schema}}
            call = self._server.handle_chat_completions
        else:
            request["prompt"] = order.raw_prompt
            if order.schema is not None:
                request["json_schema"] = order.schema
            call = self._server.handle_completions
        try:
            call(request, listener.hear)
        except ValueError as error:
            raise RequestRefusedError(str(error)) from error
        return listener.completion()

    def embed(self, text: str, *, truncates: bool) -> tuple[list[float], int]:
        """Return the embedding of a text, of length one, and its number of tokens.

        A text that is too long is cut at its end when `truncates`, at a character rather than a token, so that up
        to a few per cent of the context may stay unused.

        Raises:
            PromptTooLongError: the text does not fit and may not be cut.
            GenerationFailedError: llama.cpp failed.
        """
        while True:
            try:
                return self._embed_whole(text)
            except PromptTooLongError as error:
                if not truncates:
                    raise
                kept = min(len(text) - 1, len(text) * self.context // error.prompt_tokens)
                text = text[:kept]

    def _embed_whole(self, text: str) -> tuple[list[float], int]:
        answer = self._server.handle_embeddings({"input": text})
        if "error" in answer:
            _raise_error(answer["error"], self.context)
        numbers: list[float] = answer["data"][0]["embedding"]
        return numbers, int(answer["usage"]["prompt_tokens"])


class _Listener:
    """Hears the chunks of one streamed generation, in a thread of llama.cpp's."""

    def __init__(self, context: int, on_text: Callable[[str], None], is_cancelled: Callable[[], bool]) -> None:
        self._context = context
        self._on_text = on_text
        self._is_cancelled = is_cancelled
        self._error: dict[str, Any] | None = None  # llama.cpp's JSON
        self._reason = ""
        self._usage: dict[str, Any] | None = None  # llama.cpp's JSON
        self._timings: dict[str, Any] = {}  # llama.cpp's JSON
        self._was_cancelled = False
        self._logprobs: list[JsonObject] = []

    def hear(self, chunk: dict[str, Any]) -> bool:
        """Take one chunk; returning True ends the generation. It must not raise: the binding would go on."""
        if "error" in chunk:
            self._error = chunk["error"]
            return True
        if self._is_cancelled():
            self._was_cancelled = True
            return True
        for choice in chunk.get("choices", []):
            text = choice["delta"].get("content") if "delta" in choice else choice.get("text")
            self._reason = choice.get("finish_reason") or self._reason
            if text:
                self._on_text(text)
            if told := choice.get("logprobs"):
                self._logprobs.extend(told.get("content") or ())
        if chunk.get("usage"):
            self._usage = chunk["usage"]
            self._timings = chunk["timings"]
        return False

    def completion(self) -> Completion:
        if self._error is not None:
            _raise_error(self._error, self._context)
        if self._was_cancelled:
            return Completion(CANCELLED, 0, 0, 0, 0)
        if self._usage is None:
            raise GenerationFailedError("llama.cpp ended without a final count")
        return Completion(
            reason=self._reason,
            prompt_tokens=int(self._usage["prompt_tokens"]),
            prompt_ns=round(self._timings["prompt_ms"] * 1e6),
            output_tokens=int(self._usage["completion_tokens"]),
            output_ns=round(self._timings["predicted_ms"] * 1e6),
            logprobs=tuple(self._logprobs),
        )


def _sampling_request(sampling: Sampling, context: int) -> JsonObject:
    return {
        "seed": sampling.seed,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "typical_p": sampling.typical_p,
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop),
        "repeat_penalty": sampling.repeat_penalty,
        "repeat_last_n": context if sampling.repeat_window < 0 else sampling.repeat_window,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        # Reusing the former prompt's state would make a request cheaper than it is.
        "cache_prompt": False,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # a chunk after each batch of a long prompt, as a chance to cancel
    }


def _raise_error(error: dict[str, Any], context: int) -> None:  # llama.cpp's JSON
    message = str(error.get("message", error))
    too_large = _TOO_LARGE.search(message)
    if too_large:
        raise PromptTooLongError(int(too_large.group(1)), context)
    if error.get("type") == "exceed_context_size_error":
        raise PromptTooLongError(int(error["n_prompt_tokens"]), int(error["n_ctx"]))
    if error.get("code") == 400:
        raise RequestRefusedError(message)
    raise GenerationFailedError(message)
