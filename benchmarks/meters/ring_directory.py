"""The directory that holds a sampler's rings: one sampler at a time, nothing left behind by dead ones."""

import fcntl
import os
import stat
from pathlib import Path

from benchmarks.meters.ring import RingError, RingReader, RingUnavailable

RING_SUFFIX = ".ring"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a tmpfs: samples must not wake a disk that is being measured
_VARIABLE = "GREENLLM_SHARED_MEMORY"  # of the environment: samplers have no settings
_REMEDY = "this user must be able to make directories there, best on a tmpfs"
_CLAIM_TRIES = 3


class RingDirectoryBusy(RingError):
    """A living sampler holds the directory."""


def default_directory(name: str) -> Path:
    """Return where the sampler of that name keeps its rings: in shared memory, apart for each user.

    `GREENLLM_SHARED_MEMORY` names another tmpfs than /dev/shm.
    """
    return Path(os.environ.get(_VARIABLE) or _SHARED_MEMORY) / f"greenllm-{os.getuid()}-{name}"


def ring_path(directory: Path, channel_name: str) -> Path:
    """Return the file of a channel's ring."""
    return directory / f"{channel_name}{RING_SUFFIX}"


class RingDirectory:
    """A claim on a directory for rings.

    The claim is a lock on the directory itself, which the kernel lifts when its owner dies in any way. So a
    directory that can be locked is stale, even when the process number of its dead owner is in use again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def claim(self) -> None:
        """Make the directory, or take over one that a dead sampler left, and empty it.

        Raises `RingUnavailable` when it cannot be made or belongs to somebody else, `RingDirectoryBusy`
        when a living sampler holds it.
        """
        for _ in range(_CLAIM_TRIES):
            descriptor = self._open()
            try:
                self._lock(descriptor)
                if self._is_current(descriptor):
                    self._descriptor, descriptor = descriptor, -1
                    self._remove_rings()
                    return
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
        raise RingUnavailable(f"{self.path} is removed again and again while it is being made")

    def release(self) -> None:
        """Remove the rings and the directory; harmless when it was not claimed."""
        if self._descriptor is None:
            return
        self._remove_rings()
        try:
            self.path.rmdir()
        except FileNotFoundError:
            pass  # somebody cleaned up; that is all we wanted
        finally:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            # NOFOLLOW: in a directory that everybody may write to, a link could lead anywhere.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise RingUnavailable(f"cannot make {self.path} ({error.strerror}); {_REMEDY}") from error
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
            os.close(descriptor)
            raise RingUnavailable(f"{self.path} is open to other users or is not ours; remove it")
        return descriptor

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RingDirectoryBusy(f"{self.path} is in use by {self._owner()}") from error

    def _is_current(self, descriptor: int) -> bool:
        """Tell whether the path still leads to what was locked, not to a directory made after its removal."""
        try:
            return self.path.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False

    def _owner(self) -> str:
        for path in sorted(self.path.glob(f"*{RING_SUFFIX}")):
            try:
                with RingReader(path) as ring:
                    return f"the sampler with process number {ring.header().identity.pid}"
            except RingError:
                continue
        return "a sampler that has just started"

    def _remove_rings(self) -> None:
        """Remove what a sampler makes, and nothing else: the path comes from a configuration."""
        for pattern in (f"*{RING_SUFFIX}", "*.new"):
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)


def remove_stale(path: Path) -> bool:
    """Remove a directory whose sampler is dead; return whether it is gone."""
    if not path.exists():
        return True
    directory = RingDirectory(path)
    try:
        directory.claim()
    except RingDirectoryBusy:
        return False
    directory.release()
    return True
