"""A whole installation of GreenLLM in a folder of its own, run as a person would run it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from greenllm.embedded.addresses import EmbeddedLayout
from tests.environment import ROOT, test_environment, use_prepared_models
from tests.processes import processes_of

START_TIMEOUT_S = 240.0  # other tests may keep the machine busy meanwhile


@dataclass
class Installation:
    """A folder with its environment, and the command that runs in it."""

    var_dir: Path
    env: dict[str, str]
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.env['GREENLLM_WEB_PORT']}"

    @property
    def api_key(self) -> str:
        return (self.var_dir / "api-key").read_text(encoding="ascii").strip()

    @property
    def log(self) -> str:
        path = self.var_dir / "command.log"
        return path.read_text(encoding="utf8") if path.exists() else ""

    def manage(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return self._run([str(ROOT / "manage.py"), *arguments], check=check)

    def manage_all(self, *commands: Sequence[str]) -> list[str]:
        """Run commands one after the other in one process, which is quicker; return what each wrote."""
        told = self._run(["-m", "tests.chain.commands"], given=json.dumps(commands), timeout_s=1200)
        assert told.returncode == 0, told.stderr
        written: list[str] = json.loads(told.stdout)
        return written

    def _run(
        self, arguments: Sequence[str], *, given: str = "", check: bool = False, timeout_s: float = 300
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.env,
            cwd=ROOT,
            input=given,
            capture_output=True,
            text=True,
            check=check,
            timeout=timeout_s,
        )

    def start(self, *arguments: str) -> None:
        """Run a command in the background; what it writes is in `log`."""
        with (self.var_dir / "command.log").open("a", encoding="utf8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", str(ROOT / "manage.py"), *arguments],
                env=self.env,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def wait_for_log(self, text: str, timeout_s: float) -> None:
        self.wait_until(lambda: text in self.log, timeout_s, f"{text!r} in the log")

    def wait_until(self, is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < deadline, f"no {what} after {timeout_s:.0f} s:\n{self.log}"
            assert self.process is None or self.process.poll() is None, f"it ended before {what}:\n{self.log}"
            time.sleep(0.1)

    def stop(self) -> int:
        """Press Ctrl-C and wait; return the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def processes(self) -> list[psutil.Process]:
        """Return every process that belongs to this installation, found by its environment."""
        return processes_of(self.var_dir)

    def process_with(self, *words: str) -> psutil.Process:
        """Return the one process whose command line has all the words."""
        found = [one for one in self.processes() if all(word in " ".join(one.cmdline()) for word in words)]
        assert len(found) == 1, f"{words}: {found}"
        return found[0]


def rows(place: Installation, query: str) -> list[tuple[Any, ...]]:
    """Ask an installation's own Postgres."""
    layout = EmbeddedLayout(place.var_dir)
    with psycopg.connect(host=str(layout.postgres_socket_dir), user="greenllm", dbname="greenllm") as connection:
        return connection.execute(query.encode()).fetchall()


@contextmanager
def installation(var_dir: Path, **env: str) -> Iterator[Installation]:
    """Give an installation, and leave no process of it behind."""
    use_prepared_models(var_dir)
    made = Installation(var_dir, {**os.environ, **test_environment(var_dir), "GREENLLM_ANONYMOUS_ACCESS": "", **env})
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.send_signal(signal.SIGTERM)
            try:
                made.process.wait(30)
            except subprocess.TimeoutExpired:
                made.process.kill()
        for process in made.processes():
            process.kill()
