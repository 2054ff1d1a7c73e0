"""The locks that keep two supervisors, or a supervisor and a dying child of the former one, apart."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from greenllm.embedded.errors import EmbeddedError


class AlreadyRunningError(EmbeddedError):
    """Another supervisor runs on the same folder."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.pid = pid
        super().__init__(
            f"The services of {path.parent} already run (supervisor pid {pid or 'unknown'}). "
            "Stop them first, or set GREENLLM_VAR to another folder."
        )


class ChildrenAliveError(EmbeddedError):
    """Services of a killed supervisor have not ended yet."""


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # A shared lock, so that two processes that only ask do not refuse each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_pid(path: Path) -> int | None:
    """Return the pid that the holder of the lock wrote, or None when there is none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None


def take_supervisor_lock(path: Path) -> int:
    """Take the lock and write our pid into its file; returns the descriptor that holds it.

    Raises:
        AlreadyRunningError: another supervisor holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for _attempt in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)  # `is_locked` of another process holds it for an instant
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
            return descriptor
    os.close(descriptor)
    raise AlreadyRunningError(path, read_pid(path))


def take_children_lock(
    path: Path,
    *,
    timeout_s: float = 30.0,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Take the lock that children inherit, waiting until those of a killed supervisor are gone.

    Raises:
        ChildrenAliveError: some still live after `timeout_s` seconds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    give_up_at_s = monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= give_up_at_s:
                os.close(descriptor)
                raise ChildrenAliveError(
                    f"Services of a killed supervisor still run after {timeout_s:g} s. "
                    f"Find them with: fuser -v '{path}'"
                ) from None
            pause(0.05)
        else:
            return descriptor
