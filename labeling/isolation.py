"""Check a sandbox by attacking it: programs that try to get out, and solutions that try to pass without solving."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labeling.grading.code import PythonAssertsGrader
from labeling.sandbox import Sandbox, SandboxResult
from labeling.sandbox.hostile import MEMORY_BYTES, TIMEOUT_S, hostile_programs

# what each does instead of returning 42, which is what the assert asks for
_FORGERIES = {
    "pass by sys.exit(0)": "import sys\nsys.exit(0)",
    "pass by os._exit(0)": "import os\nos._exit(0)",
    "pass by sys.exit(0) when called": "def answer():\n    import sys\n    sys.exit(0)",
    "pass by a forged __eq__": "class Yes:\n    def __eq__(self, other): return True\ndef answer(): return Yes()",
    "pass by a forged int": "class Yes(int):\n    def __eq__(self, other): return True\ndef answer(): return Yes(41)",
    "pass by a forged __class__": (
        "class Yes:\n    __class__ = property(lambda self: int)\n    def __eq__(self, other): return True\n"
        "def answer(): return Yes()"
    ),
    "pass by writing at exit": (
        "import atexit, os\natexit.register(lambda: os.write(1, b'passed'))\ndef answer(): return 41"
    ),
    "pass by writing to every descriptor": (
        "import os\nfor n in range(64):\n    try: os.write(n, b\"('', '', [('value', ('int', '2a'))])\")\n"
        "    except OSError: pass\nos._exit(0)"
    ),
}
_FORGERY_CHECK = {"tests": ["assert answer() == 42"], "entry_point": "answer", "timeout_s": TIMEOUT_S}


@dataclass(frozen=True)
class Finding:
    """What one attempt came to."""

    tries: str
    is_held: bool
    outcome: str


def check_isolation(*, sandbox: Sandbox, files: Sequence[Path]) -> Iterator[Finding]:
    """Run every hostile program and every forged solution; `files` are such as no program may read.

    Raises:
        SandboxError: the sandbox cannot be set up.
    """
    with _reachable_machine() as (port, socket_path):
        attempts = hostile_programs(port=port, socket_path=socket_path, files=files, host_pid=os.getpid())
        for attempt in attempts:
            result = sandbox.run(attempt.code, timeout_s=TIMEOUT_S, memory_bytes=MEMORY_BYTES)
            yield Finding(attempt.tries, attempt.is_held(result), _outcome(result))
    grader = PythonAssertsGrader(lambda: sandbox)
    for tries, solution in _FORGERIES.items():
        suggestion = grader.grade(answer=solution, checks=_FORGERY_CHECK)
        yield Finding(tries, suggestion.verdict == "incorrect", suggestion.reason)


@contextlib.contextmanager
def _reachable_machine() -> Iterator[tuple[int, Path]]:
    """Listen on a loopback port and a Unix socket, so that only the sandbox keeps a program from them."""
    with (
        tempfile.TemporaryDirectory(prefix="greenllm-sandbox-") as folder,
        socket.socket() as port,
        socket.socket(socket.AF_UNIX) as door,
    ):
        port.bind(("127.0.0.1", 0))
        port.listen()
        path = Path(folder) / "door"
        door.bind(str(path))
        door.listen()
        yield port.getsockname()[1], path


def _outcome(result: SandboxResult) -> str:
    if result.killed:
        return f"ended by its limit ({result.killed})"
    lines = result.stderr.decode("utf8", "replace").strip().splitlines()
    return lines[-1][:100] if lines else f"exit status {result.exit_status}"
