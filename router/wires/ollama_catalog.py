"""What the Ollama wire tells of models: the list, one of them, those in memory. Pure.

Source: `docs/api.md` and `api/types.go` of Ollama. What nobody knows is empty or left out.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ROUTER_FAMILY = "greenllm"


@dataclass(frozen=True)
class OfferedModel:
    """One model as clients see it.

    Args:
        name: by which it is asked for.
        modified_at: when it was added, as RFC 3339 has it.
        digest: of its weights; empty where its server tells none.
        size_bytes: None where its server tells none; of a model in memory how much of that it takes.
        context_length: in tokens.
        embedding_length: how many numbers its vectors have.
        capabilities: in Ollama's words, and `routing`, by which another router knows that this is one.
    """

    name: str
    modified_at: str
    digest: str = ""
    size_bytes: int | None = None
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    file_format: str = ""
    context_length: int | None = None
    embedding_length: int | None = None
    capabilities: tuple[str, ...] = ("completion",)


@dataclass(frozen=True)
class RunningModel:
    """One model in the memory of its server, with what only that knows: bytes on graphics cards, and until when.

    `expires_at` is as RFC 3339 has it; empty and None are what the server does not tell.
    """

    model: OfferedModel
    size_vram_bytes: int | None = None
    expires_at: str = ""


def router_digest(name: str) -> str:
    """Return what stands for the digest of a name that has no weights: clients tell models apart by it."""
    return hashlib.sha256(f"greenllm:{name}".encode()).hexdigest()


def tag_list(models: Iterable[OfferedModel]) -> dict[str, Any]:
    """Return the body of `/api/tags`."""
    return {
        "models": [{**_entry(model), "modified_at": model.modified_at, "capabilities": list(model.capabilities)}
                   for model in models]
    }  # fmt: skip


def running_list(models: Iterable[RunningModel]) -> dict[str, Any]:
    """Return the body of `/api/ps`."""
    return {"models": [_running(one) for one in models]}


def shown_model(model: OfferedModel) -> dict[str, Any]:
    """Return the body of `/api/show`."""
    architecture = model.family or "unknown"
    facts = {"context_length": model.context_length, "embedding_length": model.embedding_length}
    return {
        "license": "",
        "modelfile": f"# Served by GreenLLM.\nFROM {model.name}\n",
        "parameters": "",
        "template": "",
        "details": _details(model),
        "model_info": {
            "general.architecture": architecture,
            **{f"{architecture}.{name}": fact for name, fact in facts.items() if fact is not None},
        },
        "capabilities": list(model.capabilities),
        "modified_at": model.modified_at,
    }


def _running(one: RunningModel) -> dict[str, Any]:
    told = {
        "expires_at": one.expires_at or None,
        "size_vram": one.size_vram_bytes,
        "context_length": one.model.context_length,
    }
    return {**_entry(one.model), **{name: value for name, value in told.items() if value is not None}}


def _entry(model: OfferedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "size": model.size_bytes or 0,
        "digest": model.digest,
        "details": _details(model),
    }


def _details(model: OfferedModel) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": model.file_format,
        "family": model.family,
        "families": [model.family] if model.family else [],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }
