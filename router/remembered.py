"""Embeddings that are kept in a file, so that an evaluation of thousands of prompts embeds each text once."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from router.embedding import Embedder
from router.vectors import Matrix

_SAVE_EVERY = 512  # texts; what a break costs


class RememberedEmbedder:
    """An embedder with a file of what it has embedded before, by the weights' digest and the text's SHA-256.

    Args:
        embedder: where a text goes that is not in the file.
        folder: of the files; one whose file is damaged begins anew.
    """

    def __init__(self, embedder: Embedder, *, folder: Path) -> None:
        self._embedder = embedder
        model = embedder.language_model
        named = hashlib.sha256(f"{model.name} {model.digest}".encode()).hexdigest()[:16]
        self._path = folder / f"embeddings-{named}.npz"
        self._vectors = _read(self._path)

    def embed(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> Matrix:
        """Return one unit vector a text, as rows.

        Raises:
            Whatever `Embedder.embed` raises.
        """
        keys = [_key(text) for text in texts]
        lacking = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        wanted = list(lacking)
        for start in range(0, len(wanted), _SAVE_EVERY):
            batch = wanted[start : start + _SAVE_EVERY]
            self._vectors.update(zip(batch, self._embedder.embed([lacking[key] for key in batch]), strict=True))
            self._write()
            if on_progress is not None:
                on_progress(len(texts) - len(wanted) + start + len(batch))
        return np.stack([self._vectors[key] for key in keys])

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_suffix(f".{os.getpid()}.tmp.npz")
        np.savez(scratch, keys=np.array(list(self._vectors)), matrix=np.stack(list(self._vectors.values())))
        scratch.replace(self._path)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return dict(zip(stored["keys"].tolist(), stored["matrix"], strict=True))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return {}  # none yet, or half written by a process that was killed
