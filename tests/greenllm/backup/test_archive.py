"""The archive of a backup: what is read of it, and what each way to spoil it is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from greenllm.backup.archive import DATABASE, INDEX, SETTINGS, BackupError, IndexFacts, open_archive, vector_row
from tests.greenllm.backup.archives import MANIFEST_FACTS, other_zip, rewritten, stated, write_archive


def read(path: Path) -> bytes:
    with path.open("rb") as file:
        archive = open_archive(file)
        assert archive.manifest.migrations == MANIFEST_FACTS.migrations
        return b"".join(archive.blocks(DATABASE))


def flip(members: dict[str, bytes]) -> None:
    members[DATABASE] = members[DATABASE][:-1] + b"!"


def lengthen(members: dict[str, bytes]) -> None:
    members[DATABASE] += b"!"


def drop_settings(members: dict[str, bytes]) -> None:
    del members[SETTINGS]


def add_file(members: dict[str, bytes]) -> None:
    members["../../etc/passwd"] = b"root"


def add_index(members: dict[str, bytes]) -> None:
    members[INDEX] = b"vectors"


class TestOpenArchive:
    def test_reads_what_was_written(self, tmp_path: Path) -> None:
        content = bytes(range(256)) * 4000  # several blocks
        assert read(write_archive(tmp_path / "a.backup", database=content)) == content

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_tells_one_that_was_cut_short(self, tmp_path: Path, share: float) -> None:
        path = write_archive(tmp_path / "a.backup", database=bytes(5000))
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(BackupError, match="cut short or is damaged"):
            read(path)

    @pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"\x1f\x8b" + bytes(100)])
    def test_tells_another_kind_of_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.backup"
        path.write_bytes(content)
        with pytest.raises(BackupError, match="is no backup of GreenLLM"):
            read(path)

    def test_tells_another_kind_of_zip(self, tmp_path: Path) -> None:
        with pytest.raises(BackupError, match="has no manifest.json: it is no backup"):
            read(other_zip(tmp_path / "a.backup"))

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (flip, "database.dump has another SHA-256"),
            (lengthen, "database.dump is not as large"),
            (drop_settings, "its parts are not those of its manifest"),
            (add_file, "its parts are not those of its manifest"),
            (add_index, "its parts are not those of its manifest"),
            (stated(format="greenllm-study-bundle"), "The format is 'greenllm-study-bundle'"),
            (stated(format_version=2), r"format version 2 \(made by GreenLLM 9.9\); this GreenLLM reads version 1"),
            (stated(parts=[]), "its parts are not those of its manifest"),
            (stated(row_counts=[]), "lacks or misstates"),
            (stated(index={"index_id": 1}), "lacks or misstates"),
            (stated(migrations=None), "lacks or misstates"),
        ],
        ids=lambda one: getattr(one, "__name__", str(one)[:20]),
    )
    def test_tells_what_was_changed(
        self, tmp_path: Path, change: Callable[[dict[str, bytes]], None], told: str
    ) -> None:
        path = rewritten(write_archive(tmp_path / "a.backup"), change=change)
        with pytest.raises(BackupError, match=told):
            read(path)

    @pytest.mark.parametrize(
        ("prompt_count", "dimension", "byte_count"),
        [(2, 3, 39), (2, 3, 60), (3, 3, 40), (2, 4, 40), (0, 3, 0), (2, -2, 0), (1, 10**12, 40)],
    )
    def test_tells_vectors_of_another_size_than_the_manifest_says(
        self, tmp_path: Path, prompt_count: int, dimension: int, byte_count: int
    ) -> None:
        facts = IndexFacts(index_id=1, prompt_count=prompt_count, dimension=dimension)
        path = write_archive(tmp_path / "a.backup", vectors=bytes(byte_count), index=facts)
        with pytest.raises(BackupError, match=f"index.vectors has {byte_count} bytes, and {prompt_count} vectors"):
            read(path)

    def test_takes_vectors_of_the_size_that_the_manifest_says(self, tmp_path: Path) -> None:
        facts = IndexFacts(index_id=1, prompt_count=2, dimension=3)
        assert facts.row_bytes == vector_row(3).itemsize
        assert read(write_archive(tmp_path / "a.backup", vectors=bytes(40), index=facts)) == b"no dump"

    def test_tells_a_byte_that_the_disk_lost(self, tmp_path: Path) -> None:
        path = write_archive(tmp_path / "a.backup", database=bytes(5000))
        content = bytearray(path.read_bytes())
        content[2000] ^= 1
        path.write_bytes(content)
        with pytest.raises(BackupError, match="changed or damaged"):
            read(path)
