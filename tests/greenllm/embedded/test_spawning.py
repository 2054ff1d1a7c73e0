import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from greenllm.embedded import launcher
from greenllm.embedded.spawning import Isolation, latest_lines, spawn

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


class TestSpawn:
    def test_the_child_has_a_session_of_its_own_and_a_log(self, tmp_path: Path) -> None:
        log_path = tmp_path / "child.log"
        code = "import os; print(os.getsid(0) == os.getpid(), os.environ['GREETING'])"

        child = spawn([sys.executable, "-c", code], log_path=log_path, env={"GREETING": "hello"})

        assert child.wait(20) == 0
        assert log_path.read_text() == "True hello\n"

    def test_the_child_ends_with_the_thread_that_started_it(self, tmp_path: Path) -> None:
        started: list[subprocess.Popen[bytes]] = []
        may_end = threading.Event()

        def keep() -> None:
            started.append(spawn(SLEEP, log_path=tmp_path / "log", death_signal=signal.SIGTERM))
            may_end.wait()

        keeper = threading.Thread(target=keep)
        keeper.start()
        while latest_lines(tmp_path / "log") != "up":
            keeper.join(0.01)
        assert started[0].poll() is None
        may_end.set()

        assert started[0].wait(20) == -signal.SIGTERM
        keeper.join()

    def test_a_missing_program_is_named_in_the_log(self, tmp_path: Path) -> None:
        child = spawn(["/no/such/server"], log_path=tmp_path / "log")

        assert child.wait(20) == launcher.CANNOT_EXECUTE
        assert "/no/such/server: No such file" in latest_lines(tmp_path / "log")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
    def test_root_can_run_a_child_as_nobody(self, tmp_path: Path) -> None:
        child = spawn(["/usr/bin/id", "-u"], log_path=tmp_path / "log", isolation=Isolation.NOBODY)

        assert child.wait(20) == 0
        assert latest_lines(tmp_path / "log") == "65534"

    def test_a_launcher_without_its_supervisor_starts_nothing(self, tmp_path: Path) -> None:
        asked = [sys.executable, launcher.__file__, "--parent=1", "--death-signal=9"]

        done = subprocess.run([*asked, "--", "/usr/bin/touch", tmp_path / "started"], check=False)

        assert done.returncode == launcher.PARENT_GONE
        assert list(tmp_path.iterdir()) == []


def test_latest_lines_of_a_missing_log() -> None:
    assert latest_lines(Path("/no/such/log")) == "(no log)"
