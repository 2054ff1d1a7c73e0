import os
from pathlib import Path

import pytest

from greenllm.embedded.locking import (
    AlreadyRunningError,
    ChildrenAliveError,
    is_locked,
    read_pid,
    take_children_lock,
    take_supervisor_lock,
)
from greenllm.embedded.service import ServiceState
from greenllm.embedded.state import ServiceRecord, SupervisorRecord, read_state, write_state


def test_a_second_supervisor_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.lock"
    first = take_supervisor_lock(path)
    try:
        with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
            take_supervisor_lock(path)
        assert is_locked(path)
    finally:
        os.close(first)

    assert not is_locked(path)
    assert read_pid(path) == os.getpid()


def test_a_folder_never_used_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "supervisor.lock")


def test_waits_for_the_children_of_a_killed_supervisor(tmp_path: Path) -> None:
    path = tmp_path / "children.lock"
    child = take_children_lock(path)
    pauses: list[float] = []

    def let_child_end(seconds: float) -> None:
        pauses.append(seconds)
        os.close(child)

    os.close(take_children_lock(path, pause=let_child_end))

    assert len(pauses) == 1


def test_gives_up_on_children_that_do_not_end(tmp_path: Path) -> None:
    path = tmp_path / "children.lock"
    child = take_children_lock(path)
    clock = iter(range(100))
    try:
        with pytest.raises(ChildrenAliveError, match=r"after 5 s"):
            take_children_lock(path, timeout_s=5.0, monotonic=lambda: float(next(clock)), pause=lambda _seconds: None)
    finally:
        os.close(child)


class TestState:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        service = ServiceRecord("valkey", 7, ServiceState.READY, "2026-01-01T00:00:00+00:00", 2, "a", "l", "")
        record = SupervisorRecord(5, "2026-01-01T00:00:00+00:00", (service,))

        write_state(tmp_path / "services.json", record)

        assert read_state(tmp_path / "services.json") == record

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1, "started_at": "", "services": [{}]}'])
    def test_an_unreadable_file_counts_as_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "services.json").write_text(text)

        assert read_state(tmp_path / "services.json") is None
        assert read_state(tmp_path / "missing.json") is None
