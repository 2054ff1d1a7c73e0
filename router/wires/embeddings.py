"""Embeddings on the OpenAI wire: requests read, answers written. Pure."""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from router.wires.fields import WireError, read_model, read_object, read_texts, refuse_unless

_MOST_TEXTS = 2048
_FORMATS = ("float", "base64")


@dataclass(frozen=True)
class EmbeddingsRequest:
    """Texts to embed, and whether their vectors go as base64."""

    model: str
    texts: tuple[str, ...]
    is_base64: bool


def parse_embeddings_request(body: bytes) -> EmbeddingsRequest:
    """Read the body of `/v1/embeddings`.

    Raises:
        WireError: it is not JSON, a field is wrong or missing, or one is not supported; the error names it.
    """
    record = read_object(body)
    refuse_unless(record, {"dimensions": (None,)})
    model = read_model(record.get("model"), "/v1/models")
    texts = read_texts(record.get("input"), "input")
    if len(texts) > _MOST_TEXTS:
        raise WireError(f"'input' has more than {_MOST_TEXTS} texts.", param="input")
    if not all(text.strip() for text in texts):
        raise WireError("'input' has an empty text.", param="input")
    encoding = record.get("encoding_format") or "float"
    if encoding not in _FORMATS:
        raise WireError(f"'encoding_format' must be one of {', '.join(_FORMATS)}.", param="encoding_format")
    return EmbeddingsRequest(model, texts, is_base64=encoding == "base64")


def embeddings_answer(
    *, model: str, vectors: Sequence[Sequence[float]], prompt_token_count: int | None, is_base64: bool
) -> dict[str, Any]:
    """Return the body of an answer; clients need a number of tokens, so that one that was not reported is 0."""
    tokens = prompt_token_count or 0
    return {
        "object": "list",
        "model": model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": packed_vector(vector) if is_base64 else list(vector),
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def packed_vector(vector: Sequence[float]) -> str:
    """Return a vector as base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
