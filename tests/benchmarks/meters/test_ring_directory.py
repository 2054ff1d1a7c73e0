from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.meters.ring import RingUnavailable
from benchmarks.meters.ring_directory import (
    RingDirectory,
    RingDirectoryBusy,
    default_directory,
    remove_stale,
    ring_path,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rings"


@pytest.fixture
def claimed(path: Path) -> Iterator[RingDirectory]:
    directory = RingDirectory(path)
    directory.claim()
    yield directory
    directory.release()


class TestClaim:
    def test_makes_a_directory_for_its_user_alone(self, path: Path, claimed: RingDirectory) -> None:
        assert path.stat().st_mode & 0o777 == 0o700

    def test_takes_over_what_a_dead_sampler_left(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        ring_path(path, "machine").write_text("old")
        (path / "machine.new").write_text("half made")
        directory = RingDirectory(path)

        directory.claim()

        assert list(path.iterdir()) == []
        directory.release()

    def test_is_refused_while_another_sampler_lives(self, path: Path, claimed: RingDirectory) -> None:
        with pytest.raises(RingDirectoryBusy, match="in use"):
            RingDirectory(path).claim()

    @pytest.mark.parametrize("mode", [0o755, 0o770])
    def test_is_refused_for_a_directory_that_others_may_use(self, path: Path, mode: int) -> None:
        path.mkdir()
        path.chmod(mode)

        with pytest.raises(RingUnavailable, match="remove it"):
            RingDirectory(path).claim()

    def test_does_not_follow_a_link(self, path: Path, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.mkdir(mode=0o700)
        path.symlink_to(target)

        with pytest.raises(RingUnavailable):
            RingDirectory(path).claim()

    def test_names_the_remedy_where_nothing_can_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(RingUnavailable, match="able to make directories there"):
            RingDirectory(tmp_path / "missing" / "rings").claim()


class TestRelease:
    def test_removes_the_rings_and_the_directory(self, path: Path, claimed: RingDirectory) -> None:
        ring_path(path, "machine").write_text("ring")

        claimed.release()

        assert not path.exists()

    def test_is_content_with_a_directory_that_is_gone(self, path: Path, claimed: RingDirectory) -> None:
        path.rmdir()

        claimed.release()

        assert not path.exists()

    def test_keeps_files_that_are_not_rings(self, path: Path, claimed: RingDirectory) -> None:
        note = path / "note.txt"
        note.write_text("mine")

        with pytest.raises(OSError, match="not empty"):
            claimed.release()

        assert note.read_text() == "mine"


class TestRemoveStale:
    def test_removes_the_directory_of_a_dead_sampler(self, path: Path) -> None:
        path.mkdir(mode=0o700)

        assert remove_stale(path)
        assert not path.exists()

    def test_leaves_the_directory_of_a_living_one(self, path: Path, claimed: RingDirectory) -> None:
        assert not remove_stale(path)
        assert path.exists()

    def test_is_content_without_a_directory(self, path: Path) -> None:
        assert remove_stale(path)


class TestDefaultDirectory:
    def test_is_in_shared_memory_and_the_user_s_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.getuid", lambda: 1234)
        monkeypatch.delenv("GREENLLM_SHARED_MEMORY")

        assert default_directory("lab") == Path("/dev/shm/greenllm-1234-lab")

    def test_can_be_on_another_tmpfs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.getuid", lambda: 1234)
        monkeypatch.setenv("GREENLLM_SHARED_MEMORY", "/mnt/ram")

        assert default_directory("lab") == Path("/mnt/ram/greenllm-1234-lab")
