"""Start servers as direct children that die with the thread that started them.

PR_SET_PDEATHSIG fires when the *thread* that forked ends, not the process: call `spawn` only from a thread
that lives as long as the child is wanted.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

from greenllm.embedded import launcher

NOBODY = 65534
_LAUNCHER = Path(launcher.__file__)


class Isolation(StrEnum):
    """As whom a child runs."""

    PLAIN = "plain"
    USER_NAMESPACE = "user-namespace"
    NOBODY = "nobody"


def spawn(
    argv: Sequence[str],
    *,
    log_path: Path,
    death_signal: signal.Signals = signal.SIGTERM,
    isolation: Isolation = Isolation.PLAIN,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, its output appended to a log file.

    A session of its own, so that Ctrl-C in the terminal reaches only the supervisor, which then stops its
    children in order. `env` is added to this process's environment.

    Raises:
        OSError: the log file cannot be opened, or no process can be made.
    """
    command = [sys.executable, "-I", "-S", str(_LAUNCHER), f"--parent={os.getpid()}"]
    command += [f"--death-signal={int(death_signal)}", f"--isolation={isolation}", f"--user={NOBODY}", "--"]
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [*command, *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            pass_fds=tuple(pass_fds),
        )


@cache
def isolation_for_postgres() -> Isolation:
    """Choose how Postgres runs: it refuses to be root, so root needs a namespace or another user."""
    if os.geteuid() != 0:
        return Isolation.PLAIN
    probe = [sys.executable, "-I", "-S", str(_LAUNCHER), f"--parent={os.getpid()}", "--death-signal=9"]
    tried = subprocess.run([*probe, "--isolation=user-namespace", "--", "/bin/true"], check=False, capture_output=True)
    return Isolation.USER_NAMESPACE if tried.returncode == 0 else Isolation.NOBODY


def latest_lines(path: Path, count: int = 15) -> str:
    """Return the end of a log file, or a note when there is none."""
    tail_bytes = 16_384
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - tail_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-count:]) or "(empty log)"
