"""Programs that try to get out of a sandbox. Each says so where it succeeds; none does harm where it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labeling.sandbox.base import OUTPUT_LIMIT_BYTES, Killed, SandboxResult

GOT_THROUGH = "GOT THROUGH"
MEMORY_BYTES = 512 * 1024 * 1024
TIMEOUT_S = 2.0
PROCESS_LIMIT = 64


@dataclass(frozen=True)
class HostileProgram:
    """One attempt: what it tries, and which limit must end it where nothing else can."""

    tries: str
    code: str
    must_be_killed: Killed = Killed.NO

    def is_held(self, result: SandboxResult) -> bool:
        """Tell whether the sandbox held it."""
        if len(result.stdout) + len(result.stderr) > OUTPUT_LIMIT_BYTES:
            return False
        if self.must_be_killed is not Killed.NO:
            return result.killed is self.must_be_killed
        return GOT_THROUGH.encode() not in result.stdout


def hostile_programs(*, port: int, socket_path: Path, files: Sequence[Path], host_pid: int) -> list[HostileProgram]:
    """Return the attempts against a machine: a listening port and socket, private files and a process of it."""
    checkout = files[0].parent
    return [
        *_against_network(port, socket_path),
        *(_attempt(f"read {file}", f"if open({str(file)!r}, 'rb').read(1): escaped()") for file in files),
        _attempt(f"list {checkout}", f"if os.listdir({str(checkout)!r}): escaped()"),
        _attempt(
            f"change the mode of {files[0]}", f"os.chmod({str(files[0])!r}, {files[0].stat().st_mode}); escaped()"
        ),
        _attempt("write files", _WRITE.format(folders=["/", "/tmp", "/dev/shm", str(checkout)])),  # noqa: S108
        *_against_processes(host_pid),
        *_against_limits(),
    ]


def _attempt(tries: str, code: str, must_be_killed: Killed = Killed.NO) -> HostileProgram:
    beginning = f"import os, sys\ndef escaped():\n    os.write(1, {GOT_THROUGH.encode()!r})\n"
    return HostileProgram(tries, beginning + code, must_be_killed)


def _against_network(port: int, socket_path: Path) -> list[HostileProgram]:
    tcp = "import socket\ns = socket.socket()\ns.settimeout(1)\n"
    fast_open = f"s.sendto(b'out', socket.MSG_FASTOPEN, ('127.0.0.1', {port}))"
    return [
        _attempt("connect to this machine", f"{tcp}s.connect(('127.0.0.1', {port})); escaped()"),
        _attempt(
            "connect by TCP Fast Open, past filters of connect",
            f"{tcp}try: {fast_open}\nexcept BlockingIOError: pass\n"
            "import time; time.sleep(0.1)\ns.send(b'out'); escaped()",
        ),
        _attempt("listen to the network", f"{tcp}s.listen(); escaped()"),
        _attempt(
            "connect to a Unix socket",
            f"import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({str(socket_path)!r}); escaped()",
        ),
    ]


def _against_processes(host_pid: int) -> list[HostileProgram]:
    return [
        _attempt("signal the process that started it", f"os.kill({host_pid}, 0); escaped()"),
        _attempt(
            "change the limits of that process",
            f"import resource; resource.prlimit({host_pid}, resource.RLIMIT_NOFILE); escaped()",
        ),
        _attempt("read its environment", f"if open('/proc/{host_pid}/environ', 'rb').read(): escaped()"),
        _attempt("read the environment", "if set(os.environ) - {'PWD', 'LC_CTYPE'}: escaped()"),
        _attempt("import posix, run a command", "import posix\nif posix.system(':') == 0: escaped()"),
        _attempt("import ctypes, open a socket", "import ctypes\nif ctypes.CDLL(None).socket(2, 1, 0) >= 0: escaped()"),
        _attempt("fork without end", _FORK.format(limit=PROCESS_LIMIT)),
    ]


def _against_limits() -> list[HostileProgram]:
    return [
        _attempt("take four times its memory", f"x = bytearray({4 * MEMORY_BYTES}); escaped()"),
        _attempt(
            "keep memory in nameless files",
            f"for _ in range({2 * MEMORY_BYTES // 2**20}):\n    os.write(os.memfd_create('x'), bytes(2**20))\n"
            "escaped()",
        ),
        _attempt(
            "raise its limits",
            "import resource as r; r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY, r.RLIM_INFINITY)); escaped()",
        ),
        _attempt("write without end", "while True: os.write(1, b'x' * 1000)", Killed.OUTPUT),
        _attempt("loop without end", "while True: pass", Killed.TIME),
        _attempt(
            "sleep without end, deaf to signals",
            "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)",
            Killed.TIME,
        ),
    ]


_WRITE = """
for folder in {folders!r} + [os.getcwd(), os.path.dirname(os.__file__), os.path.dirname(sys.executable)]:
    path = os.path.join(folder, 'greenllm-hostile-' + os.urandom(8).hex())
    try:
        open(path, 'x').close()
    except OSError:
        continue
    os.remove(path)
    escaped()
"""

_FORK = """
import time
children = 0
try:
    while children < {limit}:
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
        children += 1
finally:
    if children >= {limit}:
        escaped()
"""
