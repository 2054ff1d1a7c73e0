"""The JSON of the simulated OpenAI-compatible servers: the same script in the words of each of them."""

import base64
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.inference.demands import TOOLS, VISION, ToolCallPiece
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted_service import SIMULATED_VERSION
from benchmarks.inference.scripted_shapes import (
    MADE_UP_NS_PER_TOKEN,
    Json,
    as_items,
    logprobs_asked,
    word_vector,
    words_of,
)
from benchmarks.inference.scripting import ScriptedAnswer, ScriptedModel
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

CREATED = 1_767_225_600  # 2026-01-01
_OWNERS = {Flavour.LLAMA_CPP: "llamacpp", Flavour.VLLM: "vllm", Flavour.LM_STUDIO: "organization_owner"}
_MADE_UP_PARAMETER_COUNT = 134_515_008
_MADE_UP_MS_PER_TOKEN = MADE_UP_NS_PER_TOKEN / NANOSECONDS_PER_MILLISECOND


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """A request to generate, read from its body."""

    flavour: Flavour
    model: str
    texts: tuple[str, ...]
    max_tokens: int | None
    is_streamed: bool
    wants_usage: bool
    is_routed: bool = False
    top_logprobs: int | None = None

    @property
    def token_count(self) -> int:
        """Give the length of the prompt in the tokens of the simulation, its words."""
        return sum(len(text.split()) for text in self.texts)

    def chunk(self, choices: Sequence[Json], figures: Json) -> Json:
        """Make one event of a stream."""
        return {**self._frame("chat.completion.chunk"), "choices": choices, **figures}

    def whole(self, message: Json, finish_reason: str, figures: Json) -> Json:
        """Make the one answer of a request that wants no stream."""
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
        return {**self._frame("chat.completion"), "choices": [choice], **figures}

    def _frame(self, kind: str) -> Json:
        return {
            "id": "chatcmpl-simulated",
            "object": kind,
            "created": CREATED,
            "model": self.model,
            "system_fingerprint": SIMULATED_VERSION,
        }


def read_chat(flavour: Flavour, model: ScriptedModel, body: Json, *, chosen: str = "") -> ChatQuestion:
    """Read the body of `/v1/chat/completions`; with `chosen` a GreenLLM router answers `auto` by that model."""
    messages = [message for message in as_items(body.get("messages")) if isinstance(message, dict)]
    limit = body.get("max_tokens")
    stream_options = body.get("stream_options")
    return ChatQuestion(
        flavour=flavour,
        model=chosen if chosen and model.name == "auto" else model.name,
        texts=tuple(_text_of(message.get("content")) for message in messages),
        max_tokens=limit if isinstance(limit, int) else None,
        is_streamed=body.get("stream") is True,
        wants_usage=isinstance(stream_options, dict) and stream_options.get("include_usage") is True,
        is_routed=bool(chosen),
        top_logprobs=None if flavour is Flavour.LM_STUDIO else logprobs_asked(body),
    )


def chat_chunks(question: ChatQuestion, answer: ScriptedAnswer, *, prompt_token_count: int) -> Iterator[Json]:
    """Make the events of a streamed answer: role, thinking, text word by word, the reason, the counts."""
    yield question.chunk([_choice({"role": "assistant", "content": None})], {})
    thought = "reasoning" if question.flavour is Flavour.VLLM else "reasoning_content"
    for token in words_of(answer.thinking):
        yield question.chunk([_choice({thought: token})], {})
    sent = _sent_tokens(question, answer)
    for token in sent:
        likely = answer.likely_tokens(token, count=question.top_logprobs)
        told = {"logprobs": {"content": likely}} if likely else {}
        yield question.chunk([{**_choice({"content": token}), **told}], {})
    for delta in _call_deltas(answer):
        yield question.chunk([_choice({"tool_calls": [delta]})], {})
    yield question.chunk([_choice({}, _reason(answer, sent))], {})
    if question.wants_usage and answer.reports_figures:
        routed = {"greenllm": {"request_id": "simulated-request", "model": question.model}}
        figures = _figures(question.flavour, prompt_token_count, len(sent))
        yield question.chunk([], {**figures, **(routed if question.is_routed else {})})


def whole_chat(question: ChatQuestion, answer: ScriptedAnswer, *, prompt_token_count: int) -> Json:
    """Make an answer that is not streamed."""
    sent = _sent_tokens(question, answer)
    figures = _figures(question.flavour, prompt_token_count, len(sent)) if answer.reports_figures else {}
    called = {"tool_calls": [call.on_openai() for call in answer.tool_calls]} if answer.tool_calls else {}
    return question.whole({"content": "".join(sent), **called}, _reason(answer, sent), figures)


def listed(
    flavour: Flavour, model: ScriptedModel, *, is_router: bool, is_loaded: bool, is_greenllm: bool = False
) -> Json:
    """Make one entry of `/v1/models`."""
    entry: dict[str, object] = {
        "id": model.name,
        "object": "model",
        "created": CREATED,
        "owned_by": "greenllm" if is_greenllm else _OWNERS.get(flavour, "simulated"),
    }
    if flavour is Flavour.VLLM:
        entry["max_model_len"] = model.context_length
    if flavour is Flavour.LLAMA_CPP and (is_loaded or not is_router):
        entry["meta"] = {
            "n_ctx": model.context_length,
            "n_ctx_train": model.context_length,
            "n_embd": model.embedding_length,
            "n_params": _MADE_UP_PARAMETER_COUNT,
            "size": model.size_bytes,
            "ftype": model.quantization,
        }
    if is_router:
        entry["status"] = {"value": "loaded" if is_loaded else "unloaded"}
    return entry


def studio_listed(model: ScriptedModel, *, is_loaded: bool) -> Json:
    """Make one entry of LM Studio's `/api/v0/models`."""
    entry: dict[str, object] = {
        "id": model.name,
        "object": "model",
        "type": _studio_type(model),
        "arch": model.family,
        "quantization": model.quantization,
        "state": "loaded" if is_loaded else "not-loaded",
        "max_context_length": model.context_length * 2,
    }
    if is_loaded:
        entry["loaded_context_length"] = model.context_length
    return entry


def properties(model: ScriptedModel) -> Json:
    """Make the answer of llama.cpp's `/props`."""
    return {
        "default_generation_settings": {"n_ctx": model.context_length},
        "build_info": SIMULATED_VERSION,
        "modalities": {"vision": VISION in model.capabilities, "audio": False},
        "chat_template_caps": {"supports_tools": TOOLS in model.capabilities},
    }


def embedded_texts(model: ScriptedModel, texts: Sequence[str], *, as_base64: bool) -> Json:
    """Make the answer of `/v1/embeddings`."""
    count = sum(len(text.split()) for text in texts)
    return {
        "object": "list",
        "model": model.name,
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(text, model, as_base64=as_base64)}
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def too_long(flavour: Flavour, prompt_tokens: int, context: int) -> str:
    """Refuse a prompt in the words of the server."""
    return {
        Flavour.LLAMA_CPP: (
            f"request ({prompt_tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
        ),
        Flavour.VLLM: (
            f"This model's maximum context length is {context} tokens. However, your request has {prompt_tokens} "
            "input tokens. Please reduce the length of the input messages."
        ),
        Flavour.LM_STUDIO: (
            f"Trying to keep the first {prompt_tokens} tokens when context the overflows. However, the model is "
            f"loaded with context length of only {context} tokens, which is not enough."
        ),
        Flavour.OTHER: (
            f"This model's maximum context length is {context} tokens. However, your messages resulted in "
            f"{prompt_tokens} tokens. Please reduce the length of the messages."
        ),
    }[flavour]


def _studio_type(model: ScriptedModel) -> str:
    if "completion" not in model.capabilities:
        return "embeddings"
    return "vlm" if VISION in model.capabilities else "llm"


def _choice(delta: Json, finish_reason: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _sent_tokens(question: ChatQuestion, answer: ScriptedAnswer) -> list[str]:
    return words_of(answer.text)[: question.max_tokens]


def _reason(answer: ScriptedAnswer, sent: Sequence[str]) -> str:
    if len(sent) < len(words_of(answer.text)):
        return "length"
    return "tool_calls" if answer.tool_calls else answer.done_reason


def _text_of(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content or "")


def _call_deltas(answer: ScriptedAnswer) -> Iterator[Json]:
    """Make the pieces of the calls: id and name, then the arguments in two pieces."""
    for index, call in enumerate(answer.tool_calls):
        middle = len(call.arguments) // 2
        yield ToolCallPiece(index, call.id, call.name, "").delta
        for part in (call.arguments[:middle], call.arguments[middle:]):
            yield ToolCallPiece(index, "", "", part).delta


def _figures(flavour: Flavour, prompt_tokens: int, output_tokens: int) -> Json:
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
    }
    if flavour is not Flavour.LLAMA_CPP:
        return {"usage": usage}
    timings: Mapping[str, object] = {
        "prompt_n": prompt_tokens,
        "prompt_ms": prompt_tokens * _MADE_UP_MS_PER_TOKEN,
        "predicted_n": output_tokens,
        "predicted_ms": output_tokens * _MADE_UP_MS_PER_TOKEN,
    }
    return {"usage": usage, "timings": timings}


def _vector(text: str, model: ScriptedModel, *, as_base64: bool) -> list[float] | str:
    vector = word_vector(text, model.embedding_length)
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if as_base64 else vector
