"""Folders that are made aside and then put in place, by several processes that may each be killed at any moment.

A draft is locked by whoever makes it, and the lock ends with its process: what nobody locks is a leftover.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "making-"


@contextmanager
def draft_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder of this process in the parent, which is removed in the end; earlier leftovers are, too."""
    parent.mkdir(parents=True, exist_ok=True)
    with _held(parent):
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = _locked(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def put_in_place(made: Path, target: Path) -> None:
    """Move a folder of a draft to the target beside the draft, instead of what is there; of several, the last stays."""
    with _held(target.parent):
        if target.exists():
            target.rename(made.with_name(f"{made.name}-before"))  # goes with the draft
        made.rename(target)


def _sweep(parent: Path) -> None:
    for one in parent.glob(f"{_PREFIX}*"):
        try:
            lock = _locked(one, fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError, NotADirectoryError):
            continue  # somebody is making it, or has just ended
        shutil.rmtree(one, ignore_errors=True)
        os.close(lock)


@contextmanager
def _held(parent: Path) -> Iterator[None]:
    """Let one process at a time make, sweep and move in a folder; each takes milliseconds."""
    lock = _locked(parent)
    try:
        yield
    finally:
        os.close(lock)


def _locked(folder: Path, how: int = 0) -> int:
    """Lock a folder; return the open file that holds the lock.

    Raises:
        BlockingIOError: another one holds it, and `how` is not to wait.
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
