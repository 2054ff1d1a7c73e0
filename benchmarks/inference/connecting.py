"""Make the client that fits an inference server's kind."""

from benchmarks.inference.base import InferenceClient
from benchmarks.inference.ollama import OllamaClient

KINDS = ("ollama",)


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
) -> InferenceClient:
    """Make a client for the server at `base_url`; nothing is sent yet. Times are in seconds.

    Raises `UnknownServerKind` for a kind without a client, `ValueError` for an address that is no HTTP URL.
    """
    if kind == "ollama":
        return OllamaClient(
            base_url,
            connect_timeout_s=connect_timeout_s,
            first_token_timeout_s=first_token_timeout_s,
            total_timeout_s=total_timeout_s,
            keep_alive_s=keep_alive_s,
        )
    raise UnknownServerKind(kind)
