"""One supervised child: a state machine that is advanced with the time as an argument."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.service import Service, ServiceState
from greenllm.embedded.spawning import latest_lines, spawn

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0  # a part that waits for another one shall be there soon after it
HEALTHY_AFTER_S = 60.0


class ServiceFailedError(EmbeddedError):
    """A service ended before it was ever ready, or one of its steps failed."""


class SupervisedChild:
    """Starts one service, notices when it ends and starts it again; only one thread may call `advance`."""

    def __init__(
        self,
        service: Service,
        *,
        lock_fds: Sequence[int] = (),
        start: Callable[..., subprocess.Popen[bytes]] = spawn,
        report: Callable[[Service, ServiceState, str], None] = lambda _service, _state, _detail: None,
    ) -> None:
        self.service = service
        self.state = ServiceState.WAITING
        self.since = datetime.now(UTC)
        self.restart_count = 0
        self.failure: EmbeddedError | None = None
        self._lock_fds = tuple(lock_fds) if service.holds_lock else ()
        self._start = start
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._was_ready = False
        self._prepared = False
        self._pause_s = FIRST_PAUSE_S
        self._not_before_s = 0.0
        self._started_at_s = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def advance(self, now_s: float) -> None:
        """Do the next step that is due at `now_s`, a monotonic time in seconds; never blocks for long."""
        try:
            if self.state is ServiceState.WAITING and now_s >= self._not_before_s:
                self._begin(now_s)
            elif self.state is ServiceState.SETTING_UP:
                self._watch_setup(now_s)
            elif self.state is ServiceState.STARTING:
                self._watch_start(now_s)
            elif self.state is ServiceState.READY:
                self._watch_run(now_s)
        except EmbeddedError as error:
            self._give_up_or_retry(now_s, error)
        except OSError as error:
            self._give_up_or_retry(now_s, ServiceFailedError(f"{self.service.name} cannot start: {error}"))

    def ask_to_stop(self) -> None:
        """Send the service its stop signal, if it runs; `advance` must not be called any more."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(self.service.stop_signal)

    def await_end(self, timeout_s: float) -> None:
        """Wait until the service has ended; after `timeout_s` seconds kill it and what it started."""
        if self._process:
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        if self.state is not ServiceState.FAILED:
            self._enter(ServiceState.STOPPED, "")

    def _begin(self, now_s: float) -> None:
        if not self._prepared:
            self.service.prepare()
            self._prepared = True
            setup_argv = self.service.setup_argv()
            if setup_argv is not None:
                self._process = self._spawn(setup_argv)
                self._enter(ServiceState.SETTING_UP, "")
                return
        self._run(now_s)

    def _run(self, now_s: float) -> None:
        self._process = self._spawn(self.service.argv)
        self._started_at_s = now_s
        self._enter(ServiceState.STARTING, "")

    def _spawn(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        service = self.service
        return self._start(
            argv,
            log_path=service.log_path,
            death_signal=service.death_signal,
            isolation=service.isolation,
            env=service.env,
            cwd=service.cwd,
            pass_fds=self._lock_fds,
        )

    def _watch_setup(self, now_s: float) -> None:
        code = self._exit_code()
        if code is None:
            return
        if code != 0:
            raise ServiceFailedError(self._ended(code, "could not be set up"))
        self.service.after_setup()
        self._run(now_s)

    def _watch_start(self, now_s: float) -> None:
        code = self._exit_code()
        if code is not None:
            raise ServiceFailedError(self._ended(code, "ended while it started"))
        if now_s - self._started_at_s < self.service.settle_s or not self.service.is_ready():
            return
        if not self._was_ready:
            self.service.finish()
            self._was_ready = True
        self._enter(ServiceState.READY, f"after {now_s - self._started_at_s:.1f} s")

    def _watch_run(self, now_s: float) -> None:
        if now_s - self._started_at_s >= HEALTHY_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        code = self._exit_code()
        if code is not None:
            raise ServiceFailedError(self._ended(code, "ended"))

    def _give_up_or_retry(self, now_s: float, error: EmbeddedError) -> None:
        """Fail for good when the service never worked, else start it again after a pause that doubles."""
        self.failure = error
        self._kill()
        if not self._was_ready:
            self._enter(ServiceState.FAILED, str(error))
            return
        self.restart_count += 1
        self._not_before_s = now_s + self._pause_s
        self._enter(ServiceState.WAITING, f"{error}\nStarting it again in {self._pause_s:g} s.")
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _kill(self) -> None:
        if self._process:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            self._process = None

    def _exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def _ended(self, code: int, what: str) -> str:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = latest_lines(self.service.log_path)
        advice = f"\n{self.service.remedy}" if self.service.remedy else ""
        return f"{self.service.name} {what} ({how}). End of {self.service.log_path}:\n{lines}{advice}"

    def _enter(self, state: ServiceState, detail: str) -> None:
        self.state = state
        self.since = datetime.now(UTC)
        self._report(self.service, state, detail)
