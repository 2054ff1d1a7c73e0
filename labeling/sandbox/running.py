"""Run a command on a program text, with a time limit and a limit on what it writes."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence

from labeling.sandbox.base import OUTPUT_LIMIT_BYTES, Killed, SandboxError, SandboxResult

_CHUNK_BYTES = 16 * 1024


def run_limited(
    command: Sequence[str], program: str, *, timeout_s: float, cwd: str = "/", pass_fds: Sequence[int] = ()
) -> SandboxResult:
    """Run a command with a program on its standard input, without environment, in a session of its own.

    Raises:
        SandboxError: the command could not be started.
    """
    started = time.monotonic()
    with _as_standard_input(program) as stdin:
        try:
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                cwd=cwd,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise SandboxError(f"{command[0]} cannot be started: {error}") from error
    with process:
        stdout, stderr = bytearray(), bytearray()
        try:
            killed = _drain(process, stdout, stderr, deadline=started + timeout_s)
        finally:
            _end(process)
    return SandboxResult(process.returncode, bytes(stdout), bytes(stderr), time.monotonic() - started, killed)


@contextlib.contextmanager
def _as_standard_input(program: str) -> Iterator[int]:
    """Give a program in a file without a name: as a pipe it could block us, on disk it would have to be cleared up."""
    descriptor = os.memfd_create("program")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(program.encode("utf8", "replace"))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _drain(process: subprocess.Popen[bytes], stdout: bytearray, stderr: bytearray, *, deadline: float) -> Killed:
    """Collect what a process writes until it ends; return which limit it passed, if any."""
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, stdout), (process.stderr, stderr)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return Killed.TIME
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data.extend(chunk)
            overflow = len(stdout) + len(stderr) - OUTPUT_LIMIT_BYTES
            if overflow > 0:
                _shorten(stdout, stderr, overflow)
                return Killed.OUTPUT
            if time.monotonic() >= deadline:
                return Killed.TIME
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Killed.TIME
    return Killed.NO


def _shorten(stdout: bytearray, stderr: bytearray, overflow: int) -> None:
    cut = min(overflow, len(stdout))
    del stdout[len(stdout) - cut :]
    del stderr[len(stderr) - (overflow - cut) :]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it left in its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
