"""Write ahead to the pages that a process has mapped and never used, which would come one by one for hours."""

import ctypes
import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import psutil

_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of mman.h, Linux 5.14 and later
_LARGEST_GUARD_BYTES = 64 * 1024  # glibc's are a page; the rest of a malloc arena cannot be used either, and is larger
_UNNAMED = ("[anon]", "[heap]", "[stack]")


@dataclass(frozen=True)
class Mapping:
    """A piece of a process's addresses: `rss_bytes` of it have pages; `is_own` where no file and nobody else has it."""

    start: int
    end: int
    is_own: bool
    is_guard: bool
    rss_bytes: int

    @classmethod
    def of(cls, *, addr: str, perms: str, path: str, rss: int) -> Self:
        """Return a mapping from what psutil tells of it in `Process.memory_maps(grouped=False)`."""
        start, end = (int(one, 16) for one in addr.split("-"))
        is_unnamed, is_small = path in _UNNAMED, end - start <= _LARGEST_GUARD_BYTES
        return cls(
            start, end,
            is_own=is_unnamed and perms == "rw-p",
            is_guard=is_unnamed and perms == "---p" and is_small,
            rss_bytes=rss,
        )  # fmt: skip

    @property
    def untouched_bytes(self) -> int:
        return self.end - self.start - self.rss_bytes


def mappings() -> list[Mapping]:
    """Return the mappings of this process in the order of their addresses; none where the kernel tells none."""
    tell = getattr(psutil.Process(), "memory_maps", None)  # of Linux, Windows and FreeBSD
    if tell is None:
        return []
    return [Mapping.of(addr=one.addr, perms=one.perms, path=one.path, rss=one.rss) for one in tell(grouped=False)]


def to_touch(found: Iterable[Mapping], *, most_bytes: int, stack_bytes: int) -> Iterator[tuple[int, int]]:
    """Return the first address and the size of each piece that is worth writing to.

    That is each mapping of the process's own with at most `most_bytes` untouched; more of it is a table with room that
    may never be needed. Right above a guard is the stack of a thread, which grows downwards: of it the uppermost
    `stack_bytes`.
    """
    guarded_from = 0
    for one in found:
        if one.is_guard:
            guarded_from = one.end
        elif one.is_own and one.start == guarded_from:
            size = min(stack_bytes, one.end - one.start)
            yield one.end - size, size
        elif one.is_own and 0 < one.untouched_bytes <= most_bytes:
            yield one.start, one.end - one.start


def touch_mapped(*, most_bytes: int, stack_bytes: int) -> bool:
    """Have the kernel give pages to whatever `to_touch` names of this process; nothing in memory is changed by it.

    Returns:
        Whether it was done: not before Linux 5.14, and not where the kernel tells no mappings.
    """
    advise = getattr(ctypes.CDLL(None, use_errno=True), "madvise", None)
    found = mappings()
    if advise is None or not found:
        return False
    for start, size in to_touch(found, most_bytes=most_bytes, stack_bytes=stack_bytes):
        failed = advise(ctypes.c_void_p(start), ctypes.c_size_t(size), _POPULATE_WRITE)
        if failed and ctypes.get_errno() == errno.EINVAL:
            return False
        # any other failure is of a piece that another thread has given back since: it needs no pages
    return True
