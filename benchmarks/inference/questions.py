"""What is checked alike before any server is asked and after any server answered."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from benchmarks.inference.base import ApiKey, ChatMessage, Embeddings, Generation, StreamPiece
from benchmarks.inference.errors import AccessRefused, EmptyPrompt, StreamBroken


def checked_base_url(base_url: str, *, example: str) -> str:
    """Give an address without a trailing slash.

    Raises `ValueError` when it is no HTTP URL.
    """
    address = urlsplit(base_url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise ValueError(f"'{base_url}' is no base URL; give one like {example}")
    return base_url.rstrip("/")


def key_headers(api_key: ApiKey | None, base_url: str) -> dict[str, str]:
    """Give the header that carries the key of a server, none where the server has no key.

    Raises `AccessRefused` when the environment variable that shall hold the key is not set.
    """
    if api_key is None:
        return {}
    if not api_key.value:
        raise AccessRefused(base_url, api_key.variable, status=None)
    return {"Authorization": f"Bearer {api_key.value}"}


def require_question(messages: Sequence[ChatMessage]) -> None:
    """Refuse a conversation that asks nothing.

    Raises `EmptyPrompt`.
    """
    if not messages:
        raise EmptyPrompt("there is no message")
    latest = messages[-1]
    if not (latest.content.strip() or latest.images or latest.role == "tool"):
        raise EmptyPrompt("the latest message is blank")


def require_texts(texts: Sequence[str]) -> None:
    """Refuse to embed nothing.

    Raises `EmptyPrompt`.
    """
    if not texts:
        raise EmptyPrompt("there is no text to embed")
    if any(not text.strip() for text in texts):
        raise EmptyPrompt("a text to embed is blank")


def whole_answer(pieces: Iterable[StreamPiece]) -> Generation:
    """Give the generation that ends a stream.

    Raises `StreamBroken` when there is none.
    """
    for piece in pieces:
        if isinstance(piece, Generation):
            return piece
    raise StreamBroken("it ended without its last line")


def checked_embeddings(
    vectors: list[list[float]],
    texts: Sequence[str],
    *,
    prompt_token_count: int | None,
    duration_ns: int | None,
    load_duration_ns: int | None = None,
) -> Embeddings:
    """Give the vectors of texts once there is one of the same length for each.

    Raises `StreamBroken` when there is not.
    """
    dimensions = {len(vector) for vector in vectors}
    if len(vectors) != len(texts) or len(dimensions) != 1 or 0 in dimensions:
        raise StreamBroken(f"{len(vectors)} vectors of {sorted(dimensions)} numbers for {len(texts)} texts")
    return Embeddings(
        vectors=vectors,
        dimension=len(vectors[0]),
        prompt_token_count=prompt_token_count,
        duration_ns=duration_ns,
        load_duration_ns=load_duration_ns,
    )
