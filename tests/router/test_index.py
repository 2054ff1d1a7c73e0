import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from greenllm.embedded.supervisor import Supervisor
from router.index import IndexStoreError, VectorStore
from router.vectors import DimensionMismatch, Matrix, usual_distance
from tests.benchmarks.inference.asking import eventually
from tests.router.test_vectors import in_double_precision, unit_rows

COUNT = 2000
NAME = "test-vectors"


Expected = list[tuple[Matrix, list[int]]]
Known = tuple[npt.NDArray[np.int64], Matrix]


def open_store(folder: Path, *, url: str = "http://127.0.0.1:1", exact_limit: int = 100_000) -> VectorStore:
    return VectorStore(chroma_url=url, cache_dir=folder, exact_limit=exact_limit)


@pytest.fixture(scope="module", autouse=True)
def _sockets_closed() -> Iterator[None]:
    """Close what Chroma's clients leave open: their own `close` forgets the connections and warns at the end."""
    yield
    if "chromadb" in sys.modules:
        from chromadb.api import ServerAPI
        from chromadb.api.shared_system_client import SharedSystemClient

        for system in SharedSystemClient._identifier_to_system.values():
            system.instance(ServerAPI)._session.close()


def pid_of(services: Supervisor, name: str) -> int | None:
    return next(record.pid for record in services.statuses() if record.name == name)


@pytest.fixture(scope="module")
def known() -> Known:
    """Prompt ids in no order, and a random unit vector for each."""
    return np.random.default_rng(11).permutation(COUNT) + 1, unit_rows(COUNT, seed=12)


@pytest.fixture(scope="module")
def expected(known: Known) -> Expected:
    """Vectors that nobody knows, and the prompts nearest to each by the definition."""
    prompt_ids, matrix = known
    return [(vector, in_double_precision(matrix, prompt_ids, vector, 5)) for vector in unit_rows(200, seed=13)]


@pytest.mark.slow
class TestUnreachableChroma:
    def test_is_told_with_the_address_and_the_remedy(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        said = r"Chroma at http://127\.0\.0\.1:1 cannot be used .*manage.py services start, or set CHROMA_URL"
        vector = unit_rows(1, seed=1)
        with pytest.raises(IndexStoreError, match=said):
            store.write(NAME, [1], vector)
        with pytest.raises(IndexStoreError, match=said):
            store.nearest(NAME, vector[0], 1, 1)
        with pytest.raises(IndexStoreError, match=said):
            store.delete(NAME)


@pytest.mark.slow
class TestVectorStore:
    @pytest.fixture
    def store(self, chroma: str, tmp_path: Path) -> Iterator[VectorStore]:
        made = open_store(tmp_path, url=chroma)
        yield made
        made.delete(NAME)

    def test_reads_what_was_written(self, store: VectorStore, known: Known) -> None:
        prompt_ids, matrix = known
        store.write(NAME, prompt_ids[:5].tolist(), matrix[:5])
        for row in range(5):
            [found] = store.nearest(NAME, matrix[row], 1, 5)
            assert (found.prompt_id, found.squared_distance) == (prompt_ids[row], 0.0)

    def test_replaces_what_stood_under_the_name(self, store: VectorStore, known: Known) -> None:
        _, matrix = known
        store.write(NAME, [1, 2, 3], matrix[:3])
        assert len(store.nearest(NAME, matrix[0], 9, 3)) == 3
        store.write(NAME, [4, 5], matrix[3:5])
        found = [one.prompt_id for one in store.nearest(NAME, matrix[3], 9, 2)]
        assert (found[0], sorted(found)) == (4, [4, 5])

    def test_knows_nothing_of_a_deleted_index(self, store: VectorStore, known: Known) -> None:
        _, matrix = known
        store.write(NAME, [1, 2], matrix[:2])
        store.nearest(NAME, matrix[0], 1, 2)
        store.delete(NAME)
        store.delete(NAME)
        with pytest.raises(IndexStoreError, match=r"does not have the index; build it with manage.py build_index"):
            store.nearest(NAME, matrix[0], 1, 2)

    def test_tells_that_some_vectors_are_gone(
        self, store: VectorStore, chroma: str, tmp_path: Path, known: Known
    ) -> None:
        matrix = known[1]
        store.write(NAME, [1, 2, 3], matrix[:3])
        fresh = open_store(tmp_path / "other", url=chroma)
        with pytest.raises(IndexStoreError, match=r"holds 3 of 4 vectors; build the index again"):
            fresh.nearest(NAME, matrix[0], 1, 4)

    def test_does_not_trust_a_file_of_another_index_of_that_name(
        self, store: VectorStore, chroma: str, tmp_path: Path, known: Known
    ) -> None:
        _, matrix = known
        store.write(NAME, [1, 2, 3], matrix[:3])
        store.nearest(NAME, matrix[0], 1, 3)
        open_store(tmp_path / "elsewhere", url=chroma).write(NAME, [4, 5], matrix[3:5])  # a database made anew
        [found] = open_store(tmp_path, url=chroma).nearest(NAME, matrix[3], 1, 2)
        assert found.prompt_id == 4

    @pytest.mark.parametrize("exact_limit", [100_000, 0], ids=["scanned", "by Chroma"])
    def test_refuses_a_vector_of_another_embedder(
        self, chroma: str, tmp_path: Path, exact_limit: int, known: Known
    ) -> None:
        store = open_store(tmp_path, url=chroma, exact_limit=exact_limit)
        store.write(NAME, [1, 2], known[1][:2])
        with pytest.raises(DimensionMismatch, match=r"manage\.py build_index"):
            store.nearest(NAME, unit_rows(1, seed=1, width=100)[0], 1, 2)


@pytest.mark.slow
class TestExactSearch:
    """Every answer is compared with the definition in double precision: exact search is never wrong."""

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, chroma: str, tmp_path_factory: pytest.TempPathFactory, known: Known) -> Path:
        made = tmp_path_factory.mktemp("exact")
        open_store(made, url=chroma).write("exact", known[0].tolist(), known[1])
        return made

    def check(self, store: VectorStore, expected: Expected) -> None:
        for vector, prompt_ids in expected:
            assert [one.prompt_id for one in store.nearest("exact", vector, 5, COUNT)] == prompt_ids
            assert [one.prompt_id for one in store.nearest("exact", vector, 1, COUNT)] == prompt_ids[:1]

    def test_equals_numpy(self, folder: Path, chroma: str, expected: Expected) -> None:
        self.check(open_store(folder, url=chroma), expected)

    def test_reads_its_file_where_chroma_is_away(self, folder: Path, chroma: str, expected: Expected) -> None:
        self.check(open_store(folder, url=chroma), expected)
        self.check(open_store(folder, url="http://127.0.0.1:1"), expected)

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda path: path.unlink(), id="deleted"),
            pytest.param(lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), id="halved"),
            pytest.param(lambda path: path.write_bytes(b""), id="emptied"),
            pytest.param(lambda path: path.write_bytes(b"no archive"), id="garbage"),
        ],
    )
    def test_reads_chroma_again_where_the_file_is_damaged(
        self, folder: Path, chroma: str, expected: Expected, damage: object
    ) -> None:
        open_store(folder, url=chroma).nearest("exact", expected[0][0], 1, COUNT)
        [path] = folder.glob("exact*.npz")
        damage(path)  # type: ignore[operator]
        self.check(open_store(folder, url=chroma), expected)

    def test_survives_a_restart_of_chroma(
        self, folder: Path, chroma: str, services: Supervisor, expected: Expected
    ) -> None:
        open_store(folder, url=chroma).nearest("exact", expected[0][0], 1, COUNT)
        pid = pid_of(services, "chroma")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: pid_of(services, "chroma") not in {pid, None}, within_s=30)
        services.wait_ready("chroma")
        [path] = folder.glob("exact*.npz")
        path.unlink()
        self.check(open_store(folder, url=chroma), expected)


@pytest.mark.slow
class TestAboveTheLimit:
    def test_chroma_finds_near_duplicates(self, chroma: str, tmp_path: Path, known: Known) -> None:
        prompt_ids, matrix = known
        store = open_store(tmp_path, url=chroma, exact_limit=10)
        store.write("large", prompt_ids.tolist(), matrix)
        noise = unit_rows(50, seed=14) * np.float32(0.05)
        for row in range(50):
            found = store.nearest("large", matrix[row] + noise[row], 5, COUNT)
            assert len(found) == 5
            assert found[0].prompt_id == prompt_ids[row]
            assert found[0].squared_distance == pytest.approx(0.0025, rel=1e-2)
        assert list(tmp_path.iterdir()) == []
        store.delete("large")

    def test_usual_distance_is_that_of_the_scan(self, chroma: str, tmp_path: Path, known: Known) -> None:
        prompt_ids, matrix = known
        store = open_store(tmp_path, url=chroma, exact_limit=10)
        store.write("usual", prompt_ids[:500].tolist(), matrix[:500])
        found = store.usual_distance("usual", prompt_ids[:500].tolist())
        assert found == pytest.approx(usual_distance(matrix[:500]), abs=1e-3)
        store.delete("usual")
