"""Make the client that fits an inference server's kind, and judge parameters by the kind alone."""

from benchmarks.inference.base import ApiKey, GenerationParameters, InferenceClient
from benchmarks.inference.interruption import Interruption
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.openai_parameters import require_some_flavour
from benchmarks.inference.options import require_supported, wire_options

KINDS = ("ollama", "openai")

_DEFAULT_NUM_CTX = 2048


class UnknownServerKind(ValueError):
    """No client speaks this kind of server."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"There is no client for inference servers of the kind '{kind}'; known kinds: {', '.join(KINDS)}."
        )
        self.kind = kind


def client_for(
    kind: str,
    base_url: str,
    *,
    connect_timeout_s: float = 5.0,
    first_token_timeout_s: float = 120.0,
    total_timeout_s: float = 600.0,
    keep_alive_s: float | None = None,
    api_key: ApiKey | None = None,
    interruption: Interruption | None = None,
) -> InferenceClient:
    """Make a client for the server at `base_url`; nothing is sent yet. Times are in seconds.

    `keep_alive_s` is for Ollama alone: other servers do not take it from a request. `interruption` ends from another
    thread whatever the client waits for.

    Raises `UnknownServerKind` for a kind without a client, `ValueError` for an address that is no HTTP URL.
    """
    if kind == "ollama":
        return OllamaClient(
            base_url,
            connect_timeout_s=connect_timeout_s,
            first_token_timeout_s=first_token_timeout_s,
            total_timeout_s=total_timeout_s,
            keep_alive_s=keep_alive_s,
            api_key=api_key,
            interruption=interruption,
        )
    if kind == "openai":
        from benchmarks.inference.openai import OpenAIClient  # half a second to import, which few commands need

        return OpenAIClient(
            base_url,
            connect_timeout_s=connect_timeout_s,
            first_token_timeout_s=first_token_timeout_s,
            total_timeout_s=total_timeout_s,
            api_key=api_key,
            interruption=interruption,
        )
    raise UnknownServerKind(kind)


def require_parameters(kind: str, parameters: GenerationParameters, version: str | None) -> None:
    """Refuse parameters that a server of this kind and version would ignore.

    `version` is what the server's health says; without one, a server counts as one of today.

    Raises `UnsupportedParameter` with every refused name, `RequestRefused` for a value that would be replaced,
    `UnknownServerKind` for a kind without a client.
    """
    if kind == "ollama":
        require_supported(wire_options(parameters), version)
    elif kind == "openai":
        require_some_flavour(parameters, version)
    else:
        raise UnknownServerKind(kind)


def usual_num_ctx(kind: str) -> int | None:
    """Give the context to ask a kind of server for, in tokens; None where only the server itself can set it."""
    return _DEFAULT_NUM_CTX if kind == "ollama" else None


def usual_base_url(kind: str, base_url: str) -> str:
    """Give the one form of an address under which a server is known: the OpenAI wire's `/v1` may be left out."""
    base_url = base_url.rstrip("/")
    return base_url.removesuffix("/v1") if kind == "openai" else base_url
