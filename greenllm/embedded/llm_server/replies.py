"""The JSON of Ollama's protocol."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from greenllm.embedded.llm_server.desk import Embedded, Finished
from greenllm.embedded.llm_server.library import Model
from greenllm.embedded.llm_server.orders import JsonObject
from greenllm.embedded.llm_server.residents import Resident

# What Ollama puts where a model never expires.
_NEVER = "2318-01-01T00:00:00Z"


def moment(at: datetime) -> str:
    """Write a moment as RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def details(model: Model) -> JsonObject:
    """Describe a model in short."""
    facts = model.facts
    return {
        "parent_model": "",
        "format": "gguf",
        "family": facts.architecture,
        "families": [facts.architecture],
        "parameter_size": facts.parameter_size,
        "quantization_level": facts.quantization,
    }


def tag(model: Model) -> JsonObject:
    """Describe a model as one item of GET /api/tags; `size` is in bytes."""
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": model.facts.modified_at,
        "size": model.facts.size_bytes,
        "digest": model.facts.sha256,
        "details": details(model),
        "capabilities": capabilities(model),
    }


def capabilities(model: Model) -> list[str]:
    """Say what a model is good for."""
    return ["embedding"] if model.facts.is_embedder else ["completion"]


def show(model: Model) -> JsonObject:
    """Describe a model in full, as POST /api/show does."""
    facts = model.facts
    return {
        "modelfile": f"FROM {model.path}\n",
        "parameters": "",
        "template": facts.chat_template,
        "details": details(model),
        "model_info": {**facts.metadata, "general.parameter_count": facts.parameter_count},
        "capabilities": capabilities(model),
        "modified_at": facts.modified_at,
    }


def loaded(resident: Resident) -> JsonObject:
    """Describe a model in memory as one item of GET /api/ps; nothing lies on a graphics card."""
    model = resident.model
    return {
        "name": model.name,
        "model": model.name,
        "size": model.facts.size_bytes,
        "digest": model.facts.sha256,
        "details": details(model),
        "expires_at": _NEVER if resident.expires_at is None else moment(resident.expires_at),
        "size_vram": 0,
        "context_length": resident.context,
    }


def piece(text: str, *, is_chat: bool) -> JsonObject:
    """Return the part of a line that carries text."""
    return {"message": {"role": "assistant", "content": text}} if is_chat else {"response": text}


def line(model_name: str, text: str, at: datetime, *, is_chat: bool) -> JsonObject:
    """Return one line of a streamed answer."""
    return {"model": model_name, "created_at": moment(at), **piece(text, is_chat=is_chat), "done": False}


def ending(
    model_name: str, text: str, at: datetime, reason: str, figures: dict[str, int], *, is_chat: bool
) -> JsonObject:
    """Return the last line of an answer; figures that are zero are left out, as Ollama does."""
    return {
        **line(model_name, text, at, is_chat=is_chat),
        "done": True,
        "done_reason": reason,
        **{name: figure for name, figure in figures.items() if figure},
    }


def logprobs(told: Iterable[Mapping[str, Any]], count: int) -> list[JsonObject]:  # llama.cpp's JSON
    """Return how likely each token was, and the likeliest ones at its place; a streamed answer has all at its end."""
    found = []
    for one in told:
        token: JsonObject = {"token": one["token"], "logprob": one["logprob"]}
        if count:
            likely = one.get("top_logprobs") or ()
            token["top_logprobs"] = [{"token": each["token"], "logprob": each["logprob"]} for each in likely]
        found.append(token)
    return found


def figures(finished: Finished, total_ns: int) -> dict[str, int]:
    """Return the counts and the durations (nanoseconds) of a generation."""
    completion = finished.completion
    return {
        "total_duration": total_ns,
        "load_duration": finished.load_ns,
        "prompt_eval_count": completion.prompt_tokens,
        "prompt_eval_duration": completion.prompt_ns,
        "eval_count": completion.output_tokens,
        "eval_duration": completion.output_ns,
    }


def embeddings(model_name: str, embedded: Embedded, total_ns: int) -> JsonObject:
    """Return the answer of POST /api/embed; durations are in nanoseconds."""
    return {
        "model": model_name,
        "embeddings": embedded.embeddings,
        "total_duration": total_ns,
        "load_duration": embedded.load_ns,
        "prompt_eval_count": embedded.prompt_tokens,
    }
