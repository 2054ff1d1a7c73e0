"""The short ways to ask simulated OpenAI-compatible servers."""

from collections.abc import Callable

from benchmarks.inference.base import ApiKey
from benchmarks.inference.openai import OpenAIClient
from benchmarks.inference.scripted_openai import ScriptedOpenAI

StartOpenAI = Callable[..., ScriptedOpenAI]


def connect(
    server: ScriptedOpenAI, *, first_token_s: float = 5.0, total_s: float = 5.0, api_key: ApiKey | None = None
) -> OpenAIClient:
    return OpenAIClient(
        server.base_url,
        connect_timeout_s=5.0,
        first_token_timeout_s=first_token_s,
        total_timeout_s=total_s,
        api_key=api_key,
    )
