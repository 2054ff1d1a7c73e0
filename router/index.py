"""The vectors of the known prompts: stored in Chroma, searched exactly up to a size, then by Chroma's own index.

Chroma's HNSW finds the nearest of 10,000 random vectors only about every second time at its defaults. Up to
`exact_limit` prompts the vectors are therefore read once from Chroma, kept in a file beside the other data, and
scanned. Chroma costs about 2 s to import, so that it is imported only where it is opened.
"""

import os
import shutil
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import numpy.typing as npt

from router.chroma_patience import DECIDING_S, Silence, bound, impatience, is_silence, patience_s
from router.lately import require_time
from router.recent import Recent
from router.vectors import TWIN_DISTANCE, DimensionMismatch, Matrix, Neighbour, nearest, squared_lengths, usual_of

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

_BATCH = 1000
_WRITTEN_AT_ONCE = 5000  # Chroma takes 5,461
_ASKED_AT_ONCE = 100  # vectors in one query
_SEARCHES = 512  # whose neighbours are kept; of 50 each they take some 4 MB
_TWINS_PASSED = 10  # neighbours looked at to find one that is another text
# with 32 links a node found 50 of 50 nearest among 10,000 random vectors
_SMALL = {"ef_search": 2000, "ef_construction": 200, "max_neighbors": 32}
# what is searched at each decision: half the time to build and to search; written to the disk every 50,000 vectors
_LARGE = {"ef_search": 300, "ef_construction": 100, "max_neighbors": 16, "sync_threshold": 50_000}


class IndexStoreError(RuntimeError):
    """Chroma cannot be used; the message tells why and what to do."""


class IndexTooLarge(IndexStoreError):
    """The index has more prompts than are kept in memory."""


@dataclass(frozen=True)
class Loaded:
    """The whole of one index in memory."""

    prompt_ids: npt.NDArray[np.int64]
    matrix: Matrix

    @cached_property
    def lengths(self) -> Matrix:
        """Return the squared lengths of the vectors, worked out once."""
        return squared_lengths(self.matrix)

    @cached_property
    def _found(self) -> Recent[tuple[bytes, int], list[Neighbour]]:
        return Recent(_SEARCHES)

    def nearest(self, vector: npt.NDArray[Any], count: int) -> list[Neighbour]:
        """Return the nearest known prompts, as `router.vectors.nearest` does; those of the latest vectors are kept."""
        asked = (np.asarray(vector, dtype=np.float32).tobytes(), count)
        found = self._found.get(asked)
        if found is None:
            found = nearest(self.matrix, self.prompt_ids, vector, count, lengths=self.lengths)
            self._found.keep(asked, found)
        return list(found)


class VectorStore:
    """The vectors of indexes by collection name; safe to use from several threads.

    Args:
        chroma_url: address of the Chroma server.
        cache_dir: folder for the files that exact search maps; rebuilt from Chroma where absent.
        exact_limit: largest number of prompts that is scanned.
    """

    def __init__(self, *, chroma_url: str, cache_dir: Path, exact_limit: int) -> None:
        self._chroma_url = chroma_url
        self.cache_dir = cache_dir
        self._exact_limit = exact_limit
        self._client: ClientAPI | None = None
        self._loaded: tuple[str, Loaded] | None = None
        self._opened: tuple[str, Collection] | None = None
        self._lock = threading.Lock()
        self._silence = Silence()

    def write(self, collection_name: str, prompt_ids: Sequence[int], matrix: Matrix) -> None:
        """Store an index anew, whatever stood under its name; afterwards Chroma holds exactly these vectors.

        Raises:
            IndexStoreError: Chroma is unreachable, refuses, or holds another number afterwards.
        """
        with _chroma_errors(self._chroma_url):
            client = self._open()
            if collection_name in {collection.name for collection in client.list_collections()}:
                client.delete_collection(collection_name)
            collection = client.create_collection(
                collection_name,
                embedding_function=None,
                configuration={"hnsw": {"space": "l2", **(_SMALL if self.is_held(len(prompt_ids)) else _LARGE)}},
            )
            for start in range(0, len(prompt_ids), _WRITTEN_AT_ONCE):
                collection.upsert(
                    ids=[str(prompt_id) for prompt_id in prompt_ids[start : start + _WRITTEN_AT_ONCE]],
                    embeddings=matrix[start : start + _WRITTEN_AT_ONCE],
                )
            stored = collection.count()
        self._forget(collection_name)
        _require_whole(stored, len(prompt_ids))

    def delete(self, collection_name: str) -> None:
        """Delete an index's vectors; one that is not there is no error.

        Raises:
            IndexStoreError: Chroma is unreachable.
        """
        with _chroma_errors(self._chroma_url):
            client = self._open()
            if collection_name in {collection.name for collection in client.list_collections()}:
                client.delete_collection(collection_name)
        self._forget(collection_name)

    def nearest(self, collection_name: str, vector: npt.NDArray[Any], count: int, prompt_count: int) -> list[Neighbour]:
        """Return the nearest known prompts by squared L2 distance, exactly up to the limit.

        Raises:
            DimensionMismatch: another embedder made the vector.
            IndexStoreError: Chroma is unreachable and nothing is cached, or it holds not all of the index.
        """
        if self.is_held(prompt_count):
            return self._load(collection_name, prompt_count).nearest(vector, count)
        return self._query(collection_name, [vector], count)[0]

    def pages(self, collection_name: str) -> Iterator[tuple[list[int], Matrix]]:
        """Give all vectors of an index as Chroma holds them, with their prompts, a thousand at a time.

        Raises:
            IndexStoreError: Chroma is unreachable or does not have the index.
        """
        with _chroma_errors(self._chroma_url):
            collection = self._open().get_collection(collection_name, embedding_function=None)
            for ids, rows in _pages(collection):
                yield ids, np.asarray(rows, dtype=np.float32)

    def is_held(self, prompt_count: int) -> bool:
        """Tell whether an index of that size is kept in memory and scanned."""
        return prompt_count <= self._exact_limit

    def usual_distance(self, collection_name: str, prompt_ids: Sequence[int]) -> float | None:
        """Return what `router.vectors.usual_distance` does, for an index that is not kept in memory.

        Args:
            collection_name: the index.
            prompt_ids: some of its prompts, whose neighbours are looked up.

        Raises:
            IndexStoreError: Chroma is unreachable.
        """
        nearest_other: list[float] = []
        for start in range(0, len(prompt_ids), _ASKED_AT_ONCE):
            with self._soon():
                found = self._collection(collection_name).get(
                    ids=[str(one) for one in prompt_ids[start : start + _ASKED_AT_ONCE]], include=["embeddings"]
                )
            rows = found["embeddings"] if found["embeddings"] is not None else []
            for near in self._query(collection_name, list(rows), _TWINS_PASSED):
                nearest_other += [one.squared_distance for one in near if one.squared_distance > TWIN_DISTANCE][:1]
        return usual_of(np.array(nearest_other))

    def _query(self, collection_name: str, vectors: Sequence[npt.NDArray[Any]], count: int) -> list[list[Neighbour]]:
        require_time()
        with self._soon():
            found = self._collection(collection_name).query(
                query_embeddings=[np.asarray(vector, dtype=np.float32) for vector in vectors],
                n_results=count,
                include=["distances"],
            )
        return [
            [Neighbour(int(key), float(far)) for key, far in zip(keys, distances, strict=True)]
            for keys, distances in zip(found["ids"], found["distances"] or [], strict=True)
        ]

    def _collection(self, collection_name: str) -> "Collection":
        """Return a collection; it is asked for once, which saves a request at each search."""
        kept = self._opened
        if kept is None or kept[0] != collection_name:
            kept = (collection_name, self._open().get_collection(collection_name, embedding_function=None))
            self._opened = kept
        return kept[1]

    def whole(self, collection_name: str, prompt_count: int) -> Loaded:
        """Return all vectors of an index, kept in memory.

        Raises:
            IndexTooLarge: the index is too large to be kept in memory.
            IndexStoreError: Chroma is unreachable and nothing is cached, or it holds not all of the index.
        """
        if not self.is_held(prompt_count):
            raise IndexTooLarge(
                f"The index has {prompt_count} prompts, more than the {self._exact_limit} that are kept in memory; "
                f"raise GREENLLM_EXACT_SEARCH_LIMIT."
            )
        return self._load(collection_name, prompt_count)

    @contextmanager
    def _soon(self) -> Iterator[None]:
        """Ask Chroma for what a decision waits for, unless it has just left such a question without an answer.

        Raises:
            IndexStoreError: it does not answer soon, or did not a moment ago.
        """
        if self._silence.lasts:
            raise IndexStoreError(f"Chroma at {self._chroma_url} did not answer within {DECIDING_S:g} s a moment ago.")
        with _chroma_errors(self._chroma_url), impatience():
            try:
                yield
            except Exception as error:
                if is_silence(error):
                    self._silence.note()
                raise

    def _open(self) -> "ClientAPI":
        if self._client is None:
            httpx.get(f"{self._chroma_url}/api/v2/heartbeat", timeout=patience_s())  # opening waits for ever
            os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
            import chromadb
            from chromadb.config import Settings

            parts = urlsplit(self._chroma_url)
            client: Any = chromadb.HttpClient(  # Any: its connection is not told
                host=parts.hostname or "127.0.0.1",
                port=parts.port or (443 if parts.scheme == "https" else 80),
                ssl=parts.scheme == "https",
                settings=Settings(anonymized_telemetry=False),
            )
            client._server._session.event_hooks = {"request": [bound]}
            self._client = client
        return self._client

    def known_dir(self, collection_name: str) -> Path:
        """Return the folder for what is known of the prompts of an index that is not held in memory."""
        return self.cache_dir / f"{collection_name}-known"

    def _cache_path(self, collection_name: str) -> Path:
        return self.cache_dir / f"{collection_name}.npz"

    def _forget(self, collection_name: str) -> None:
        with self._lock:
            if self._loaded is not None and self._loaded[0] == collection_name:
                self._loaded = None
            self._opened = None
            self._cache_path(collection_name).unlink(missing_ok=True)
            shutil.rmtree(self.known_dir(collection_name), ignore_errors=True)

    def _load(self, collection_name: str, prompt_count: int) -> Loaded:
        kept = self._loaded
        if kept is not None and kept[0] == collection_name:
            return kept[1]
        require_time("vectors")
        with self._lock:
            if self._loaded is None or self._loaded[0] != collection_name:
                cached = self._read_cache(collection_name)
                # a file of another length is of an index that had this name in an earlier database
                is_usable = cached is not None and len(cached.prompt_ids) == prompt_count
                loaded = cached if cached is not None and is_usable else self._fetch(collection_name, prompt_count)
                self._loaded = (collection_name, loaded)
            return self._loaded[1]

    def _read_cache(self, collection_name: str) -> Loaded | None:
        path = self._cache_path(collection_name)
        try:
            with path.open("rb") as file, np.load(file) as stored:  # numpy leaves a damaged file open
                return Loaded(stored["prompt_ids"], stored["matrix"])
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)  # half written by a process that was killed
            return None

    def _fetch(self, collection_name: str, prompt_count: int) -> Loaded:
        with self._soon():
            collection = self._open().get_collection(collection_name, embedding_function=None)
            ids, rows = _all_vectors(collection)
        _require_whole(len(ids), prompt_count)
        loaded = Loaded(np.asarray(ids, dtype=np.int64), np.asarray(rows, dtype=np.float32))
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        path = self._cache_path(collection_name)
        scratch = path.with_suffix(f".{os.getpid()}.tmp.npz")
        np.savez(scratch, prompt_ids=loaded.prompt_ids, matrix=loaded.matrix)
        scratch.replace(path)
        return loaded


def _require_whole(stored_count: int, prompt_count: int) -> None:
    if stored_count != prompt_count:
        raise IndexStoreError(
            f"Chroma holds {stored_count} of {prompt_count} vectors; build the index again with manage.py build_index."
        )


def _all_vectors(collection: "Collection") -> tuple[list[int], list[Any]]:
    ids: list[int] = []
    rows: list[Any] = []
    for some_ids, some_rows in _pages(collection):
        ids.extend(some_ids)
        rows.extend(some_rows)
    return ids, rows


def _pages(collection: "Collection") -> Iterator[tuple[list[int], Sequence[Any]]]:
    count = 0
    while True:
        page = collection.get(include=["embeddings"], limit=_BATCH, offset=count)
        if not page["ids"]:
            return
        yield [int(key) for key in page["ids"]], page["embeddings"] if page["embeddings"] is not None else []
        count += len(page["ids"])


class _chroma_errors:  # noqa: N801  used like a function
    """Turn whatever Chroma's client raises into one error with a remedy."""

    def __init__(self, chroma_url: str) -> None:
        self._chroma_url = chroma_url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, IndexStoreError):
            return
        from chromadb.errors import InvalidArgumentError, NotFoundError

        if isinstance(error, InvalidArgumentError) and "dimension" in str(error):
            raise DimensionMismatch(f"{error} Build the index again with manage.py build_index.") from error
        if isinstance(error, NotFoundError):
            raise IndexStoreError(
                f"Chroma at {self._chroma_url} does not have the index; build it with manage.py build_index."
            ) from error
        raise IndexStoreError(
            f"Chroma at {self._chroma_url} cannot be used ({type(error).__name__}: {error}). "
            f"Start it with manage.py services start, or set CHROMA_URL."
        ) from error
