import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from greenllm.embedded.child import ServiceFailedError, SupervisedChild
from greenllm.embedded.service import Service, ServiceState


class ScriptedProcess:
    """Stands for a started process; the test decides when it ends."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        self.pid = 4242
        self.code: int | None = None
        self.signals: list[int] = []

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None:
            raise subprocess.TimeoutExpired(self.argv, timeout or 0)
        return self.code

    def send_signal(self, number: int) -> None:
        self.signals.append(number)

    def kill(self) -> None:
        self.code = -9


class Stage:
    """One child over scripted processes."""

    def __init__(self, tmp_path: Path, **details: Any) -> None:
        self.started: list[ScriptedProcess] = []
        self.is_ready = True
        self.child = SupervisedChild(
            Service(
                name="thing",
                argv=("serve",),
                address="",
                log_path=tmp_path / "thing.log",
                is_ready=lambda: self.is_ready,
                **details,
            ),
            start=self.start,
        )

    def start(self, argv: Sequence[str], **_options: object) -> Any:
        self.started.append(ScriptedProcess(argv))
        return self.started[-1]

    def make_ready(self) -> None:
        self.child.advance(0.0)
        self.child.advance(0.0)
        assert self.child.state is ServiceState.READY

    def crash_and_measure_pause(self, now_s: float) -> float:
        """End the running process and return the seconds until the next one is started."""
        self.started[-1].code = 1
        count = len(self.started)
        self.child.advance(now_s)
        waited_s = 0.0
        while len(self.started) == count:
            waited_s += 0.25
            self.child.advance(now_s + waited_s)
        self.child.advance(now_s + waited_s)
        return waited_s


class TestSupervisedChild:
    def test_waits_for_the_service_to_answer(self, tmp_path: Path) -> None:
        stage = Stage(tmp_path)
        stage.is_ready = False

        stage.child.advance(0.0)
        stage.child.advance(1.0)
        assert stage.child.state is ServiceState.STARTING
        stage.is_ready = True
        stage.child.advance(2.0)

        assert stage.child.state is ServiceState.READY

    def test_a_program_that_cannot_be_asked_must_run_for_a_while(self, tmp_path: Path) -> None:
        stage = Stage(tmp_path, settle_s=1.0)

        stage.child.advance(0.0)
        stage.child.advance(0.9)
        assert stage.child.state is ServiceState.STARTING
        stage.child.advance(1.0)

        assert stage.child.state is ServiceState.READY

    def test_sets_up_once_before_it_serves(self, tmp_path: Path) -> None:
        done: list[str] = []
        stage = Stage(tmp_path, setup_argv=lambda: ("initialise",), after_setup=lambda: done.append("renamed"))

        stage.child.advance(0.0)
        assert stage.child.state is ServiceState.SETTING_UP
        stage.started[0].code = 0
        stage.child.advance(1.0)

        assert [process.argv for process in stage.started] == [("initialise",), ("serve",)]
        assert done == ["renamed"]

    def test_fails_for_good_when_it_ends_before_it_was_ever_ready(self, tmp_path: Path) -> None:
        stage = Stage(tmp_path, remedy="Set THING_URL.")
        stage.is_ready = False
        (tmp_path / "thing.log").write_text("\n".join(f"line {number}" for number in range(40)))

        stage.child.advance(0.0)
        stage.started[0].code = 3
        stage.child.advance(1.0)
        stage.child.advance(100.0)

        assert stage.child.state is ServiceState.FAILED
        assert len(stage.started) == 1
        text = str(stage.child.failure)
        assert "exit code 3" in text
        assert "Set THING_URL." in text
        assert "line 25\n" in text
        assert "line 24\n" not in text

    def test_starts_again_after_pauses_that_double_up_to_ten_seconds(self, tmp_path: Path) -> None:
        stage = Stage(tmp_path)
        stage.make_ready()

        pauses: list[float] = []
        now_s = 1.0
        for _crash in range(8):
            pauses.append(stage.crash_and_measure_pause(now_s))
            now_s += pauses[-1] + 1.0

        assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
        assert stage.child.restart_count == 8

    def test_a_minute_of_health_resets_the_pause(self, tmp_path: Path) -> None:
        stage = Stage(tmp_path)
        stage.make_ready()
        assert stage.crash_and_measure_pause(10.0) == 0.5
        assert stage.crash_and_measure_pause(20.0) == 1.0

        assert stage.crash_and_measure_pause(100.0) == 0.5

    def test_stops_with_the_services_own_signal(self, tmp_path: Path) -> None:
        stage = Stage(tmp_path, stop_signal=signal.SIGINT)
        stage.make_ready()

        stage.child.ask_to_stop()
        stage.started[0].code = 0
        stage.child.await_end(1.0)

        assert stage.started[0].signals == [signal.SIGINT]
        assert stage.child.state is ServiceState.STOPPED

    def test_a_failing_last_step_of_the_start_is_a_failure(self, tmp_path: Path) -> None:
        def refuse() -> None:
            raise ServiceFailedError("no database")

        stage = Stage(tmp_path, finish=refuse)

        stage.child.advance(0.0)
        stage.child.advance(0.0)

        assert stage.child.state is ServiceState.FAILED
        assert str(stage.child.failure) == "no database"
        assert stage.started[0].code == -9


@pytest.mark.parametrize("holds_lock", [True, False])
def test_only_data_services_inherit_the_lock(tmp_path: Path, holds_lock: bool) -> None:
    given: list[Sequence[int]] = []

    def start(argv: Sequence[str], *, pass_fds: Sequence[int], **_options: object) -> Any:
        given.append(pass_fds)
        return ScriptedProcess(argv)

    service = Service("thing", ("serve",), "", tmp_path / "log", lambda: True, holds_lock=holds_lock)
    SupervisedChild(service, lock_fds=(7,), start=start).advance(0.0)

    assert given == [(7,) if holds_lock else ()]
