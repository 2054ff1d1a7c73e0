"""Simulated models and the short ways to ask them, for the tests of the Ollama client."""

import threading
import time
from collections.abc import Callable

from benchmarks.inference.base import (
    ChatMessage,
    GenerationParameters,
    GenerationRequest,
)
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.scripted import (
    ScriptedModel,
    ScriptedOllama,
)

CHAT = ScriptedModel("tiny:1b", digest="a" * 64, size_bytes=98_000_000, context_length=64)
EMBEDDING = ScriptedModel("minilm:latest", family="bert", embedding_length=8, capabilities=("embedding",))

Start = Callable[..., ScriptedOllama]


def connect(server: ScriptedOllama, *, first_token_s: float = 5.0, total_s: float = 5.0) -> OllamaClient:
    return OllamaClient(
        server.base_url, connect_timeout_s=5.0, first_token_timeout_s=first_token_s, total_timeout_s=total_s
    )


def ask(text: str = "2 + 2?", *, model: str = "tiny:1b", **parameters: object) -> GenerationRequest:
    return GenerationRequest(
        model,
        (ChatMessage("user", text),),
        GenerationParameters(**parameters),  # type: ignore[arg-type]  # each test passes what the field takes
    )


def asked_paths(server: ScriptedOllama) -> list[str]:
    return [request.path for request in server.requests]


def eventually(holds: Callable[[], bool], within_s: float = 5.0) -> bool:
    """Wait for what another thread is about to do; the server notices a closed connection a moment later."""
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    return holds()
