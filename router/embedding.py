"""Turn texts into unit vectors with the federation's embedder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.inference.base import InferenceClient
from benchmarks.models import LanguageModel
from router.vectors import Matrix, to_unit_length

_BATCH = 32


@dataclass(frozen=True)
class Embedder:
    """An embedding model and the server that runs it."""

    language_model: LanguageModel
    client: InferenceClient

    def embed(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> Matrix:
        """Return one unit vector a text, as rows.

        Raises:
            InferenceError: the server cannot be asked.
            ValueError: it returned something that is no embedding.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            embedded = self.client.embed(self.language_model.name, batch)
            if len(embedded.vectors) != len(batch):
                raise ValueError(f"The embedder returned {len(embedded.vectors)} vectors for {len(batch)} texts.")
            vectors.extend(embedded.vectors)
            if on_progress is not None:
                on_progress(len(vectors))
        return to_unit_length(vectors)
