"""The installation of the drill: a folder of its own, on a small tmpfs where mounts are allowed, and two twins."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.service import ServiceState
from greenllm.embedded.state import ServiceRecord, read_state
from tests.drill.moving import INSTALL, Clocks, find_library
from tests.environment import ROOT, free_port, test_environment
from tests.processes import processes_of

MACHINE = "drill"
TMPFS_BYTES = 3 << 30  # what may be used at most, and the services want 2 GiB free; in fact it holds a few hundred MB
RETURN_TIMEOUT_S = 60.0
_POLL_S = 0.05


class DrillError(Exception):
    """The drill cannot go on: a part did not come back, or a command failed."""


@dataclass
class Place:
    """A folder with its environment, what runs there, and how to reach it."""

    var_dir: Path
    is_on_tmpfs: bool
    env: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    llm_port: int = field(default_factory=free_port)
    clocks: Clocks | None = None
    no_clocks: str = INSTALL  # why there are none

    def __post_init__(self) -> None:
        self.env = {**os.environ, **test_environment(self.var_dir)}
        for name in ("DATABASE_URL", "REDIS_URL", "CHROMA_URL", "SECRET_KEY"):
            self.env.pop(name, None)
        self.env |= {
            "GREENLLM_MACHINE": MACHINE,
            "GREENLLM_DATABASE_POOL": "20",
            "GREENLLM_FIRST_TOKEN_TIMEOUT_S": "10",  # a server that hangs is given up soon,
            "GREENLLM_GENERATION_TIMEOUT_S": "20",  # also while a study has it load a model
            "GREENLLM_MEASURE_EVERY": "0",
            "OLLAMA_HOST": f"http://127.0.0.1:{self.llm_port}",
            "PYTHONWARNINGS": "ignore",
            "LOG_LEVEL": "WARNING",
        }
        library = find_library()
        if library is not None:
            clocks = Clocks(library, self.twins_dir / "clocks")
            clocks.folder.mkdir()
            self.no_clocks = clocks.problem()
            if not self.no_clocks:
                self.clocks = clocks

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.env['GREENLLM_WEB_PORT']}"

    @property
    def layout(self) -> EmbeddedLayout:
        return EmbeddedLayout(self.var_dir)

    @property
    def twins_dir(self) -> Path:
        """Beside the installation, where its full disk does not reach."""
        return self.var_dir.parent / "twins"

    @property
    def board(self) -> Path:
        return self.twins_dir / "board"

    @property
    def orders(self) -> Path:
        return self.twins_dir / "llm-fault"

    def manage(self, *arguments: str) -> str:
        """Run a command to its end; return what it wrote."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if done.returncode:
            raise DrillError(f"manage.py {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def resize_disk(self, size_bytes: int) -> None:
        """Give the drill's own tmpfs another size; what is on it stays.

        Raises:
            DrillError: more is on it, or mounts are not allowed.
        """
        command = ["mount", "-o", f"remount,size={size_bytes}", str(self.var_dir)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise DrillError(f"the tmpfs cannot be resized: {done.stderr.strip()}")

    def start_llm(self) -> None:
        """Start the inference server."""
        self._spawn("llm", [sys.executable, "-m", "tests.drill.llm_twin", str(self.llm_port), str(self.orders)])

    def plug_board_in(self) -> None:
        """Start the simulated board under its link."""
        curve = self.twins_dir / "curve.csv"
        curve.write_text("time_s,power_w\n0,40\n5,60\n10,45\n", encoding="ascii")
        command = ["simulate_board", "--curve", str(curve), "--repeat", "--port-link", str(self.board)]
        self._spawn("board", [sys.executable, str(ROOT / "manage.py"), *command])
        wait_until(self.board.exists, 30, "the simulated board")

    def up(self) -> None:
        """Start the installation as an operator does, and wait for its pages."""
        env = {**self.env, **(self.clocks.environment(self.env) if self.clocks else {})}
        self._spawn("up", [sys.executable, "-u", str(ROOT / "manage.py"), "up"], env=env)
        wait_until(lambda: self._is_ready("web") and self._is_ready("worker"), 180, "web and worker")

    def record(self, name: str) -> ServiceRecord | None:
        """Return what the supervisor says of a part."""
        state = read_state(self.layout.state_path)
        return next((one for one in state.services if one.name == name), None) if state else None

    def pid(self, name: str) -> int:
        """Return the process of a part."""
        record = self.record(name)
        if record is None or record.pid is None:
            raise DrillError(f"{name} does not run")
        return record.pid

    def wait_return(self, name: str, former_pid: int) -> float:
        """Wait until the supervisor has a part ready again in another process; return when that was."""
        wait_until(lambda: self._is_ready(name, besides=former_pid), RETURN_TIMEOUT_S, f"{name} again")
        return time.monotonic()

    def sampler(self) -> psutil.Process | None:
        """Return the sampler of the worker, where one runs."""
        try:
            children = psutil.Process(self.pid("worker")).children()
            return next((one for one in children if "benchmarks.meters.sampler" in " ".join(one.cmdline())), None)
        except (psutil.Error, DrillError):
            return None

    def end(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End something that the drill itself has started."""
        process = self.running.pop(name, None)
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def leftovers(self) -> list[psutil.Process]:
        """Return every living process of this installation, found by its environment."""
        return processes_of(self.var_dir)

    def _is_ready(self, name: str, *, besides: int | None = None) -> bool:
        """Tell whether a part is ready, in another process than one; its record is read once, since it changes."""
        up = self.running.get("up")
        if up is not None and up.poll() is not None:
            raise DrillError(f"manage.py up ended; see {self.twins_dir / 'up.log'}")
        record = self.record(name)
        return record is not None and record.state is ServiceState.READY and record.pid not in (None, besides)

    def _spawn(self, name: str, command: list[str], env: dict[str, str] | None = None) -> None:
        with (self.twins_dir / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(command, env=env or self.env, cwd=ROOT, stdout=log, stderr=log)


def wait_until(is_so: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait for something that another process does.

    Raises:
        DrillError: it did not happen in time.
    """
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise DrillError(f"no {what} after {timeout_s:.0f} s")
        time.sleep(_POLL_S)


def _mounted(folder: Path) -> bool:
    """Put a small tmpfs on a folder; tell whether that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0700", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def place() -> Iterator[Place]:
    """Give a place, and leave nothing of it: no process, no mount, no file."""
    root = Path(tempfile.mkdtemp(prefix="drill-"))
    var_dir = root / "var"
    var_dir.mkdir(mode=0o700)
    (root / "twins").mkdir()
    is_on_tmpfs = _mounted(var_dir)
    made = Place(var_dir, is_on_tmpfs)
    try:
        yield made
    finally:
        made.end("up", signal.SIGTERM)
        for name in list(made.running):
            made.end(name)
        for process in made.leftovers():
            process.kill()
        psutil.wait_procs(made.leftovers(), timeout=10)
        if is_on_tmpfs:
            subprocess.run(["umount", "-l", str(var_dir)], check=False, capture_output=True)
        shutil.rmtree(root, ignore_errors=True)
