"""Turn texts into unit vectors with the federation's embedder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.inference.base import InferenceClient, PromptTooLong
from benchmarks.models import LanguageModel
from router.vectors import Matrix, UnusableEmbedding, to_unit_length

_BATCH = 32
_SHORTEST_BEGINNING = 64  # characters; an embedder that takes less than that is no embedder


@dataclass(frozen=True)
class Embedder:
    """An embedding model and the server that runs it."""

    language_model: LanguageModel
    client: InferenceClient

    def embed(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> Matrix:
        """Return one unit vector a text, as rows; of a text longer than the embedder's context, of its beginning.

        Raises:
            InferenceError: the server cannot be asked.
            UnusableEmbedding: it returned something that is no embedding.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            try:
                vectors.extend(self._ask(batch))
            except PromptTooLong:
                vectors.extend(self._beginning(text) for text in batch)
            if on_progress is not None:
                on_progress(len(vectors))
        return to_unit_length(vectors)

    def _ask(self, texts: list[str]) -> list[list[float]]:
        embedded = self.client.embed(self.language_model.name, texts)
        if len(embedded.vectors) != len(texts):
            raise UnusableEmbedding(f"The embedder returned {len(embedded.vectors)} vectors for {len(texts)} texts.")
        return embedded.vectors

    def _beginning(self, text: str) -> list[float]:
        """Embed as much of the beginning as the embedder takes: what kind of task it is stands early."""
        while True:
            try:
                return self._ask([text])[0]
            except PromptTooLong:
                if len(text) < _SHORTEST_BEGINNING:
                    raise
                text = text[: len(text) // 2]
