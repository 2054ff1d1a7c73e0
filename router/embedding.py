"""Turn texts into unit vectors with the federation's embedder."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from benchmarks.inference.base import InferenceClient, PromptTooLong
from benchmarks.models import LanguageModel
from router.vectors import Matrix, UnusableEmbedding, to_unit_length

_BATCH = 32
_SHORTEST_BEGINNING = 64  # characters; an embedder that takes less than that is no embedder


_LOOK_AGAIN_S = 60.0


class EmbedderMismatch(LookupError):
    """The embedder of today is not the one that built the index."""


class WeightsWatch:
    """Looks from time to time whether a server still runs the weights that the federation knows under a name.

    Weights under a known name can change in place: a new pull, another file, a database that moved to a new machine.
    Their vectors would be compared with those of the old ones, and nothing but worse choices would show it. A server
    that tells no digests cannot be watched.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: tuple[int, float] | None = None  # the model whose weights were the same, and when

    def require_same(self, model: LanguageModel, client: InferenceClient) -> None:
        """Compare the digests, once a minute.

        Raises:
            EmbedderMismatch: the server has other weights.
            InferenceError: it cannot be asked.
        """
        now = self._clock()
        if not model.digest or (self._seen is not None and self._seen[0] == model.pk and now < self._seen[1]):
            return
        names = {model.name, f"{model.name}:latest"}
        digests = {one.digest for one in client.list_models() if one.name in names and one.digest}
        if digests and model.digest not in digests:
            raise EmbedderMismatch(
                f"The server has other weights of {model.name} ({min(digests)[:12]}) than the federation knows "
                f"({model.digest[:12]}): their vectors cannot be compared with those of the index. Add it anew with "
                f"manage.py add_model {model.name}, then build the index again with manage.py build_index."
            )
        self._seen = (model.pk, now + _LOOK_AGAIN_S)


@dataclass(frozen=True)
class Embedder:
    """An embedding model and the server that runs it; with a watch it refuses other weights under the same name.

    The server is asked within `waiting`, in which a thread gives back what others need meanwhile.
    """

    language_model: LanguageModel
    client: InferenceClient
    watch: WeightsWatch | None = None
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext

    def embed(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> Matrix:
        """Return one unit vector a text, as rows; of a text longer than the embedder's context, of its beginning.

        Raises:
            InferenceError: the server cannot be asked.
            UnusableEmbedding: it returned something that is no embedding.
            EmbedderMismatch: it has other weights than the federation knows.
        """
        with self.waiting():
            return self._embed(texts, on_progress)

    def _embed(self, texts: Sequence[str], on_progress: Callable[[int], None] | None) -> Matrix:
        if self.watch is not None:
            self.watch.require_same(self.language_model, self.client)
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
