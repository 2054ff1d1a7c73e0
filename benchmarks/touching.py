"""Write ahead to the pages that a process has mapped and never used, which would come one by one for hours."""

import ctypes
import errno
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MAPS = Path("/proc/self/smaps")
_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of mman.h, Linux 5.14 and later
_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ (\d+) *(.*)")
_LARGEST_GUARD_BYTES = 64 * 1024  # glibc's are a page; the rest of a malloc arena cannot be used either, and is larger
_UNNAMED = ("", "[heap]", "[stack]")


@dataclass(frozen=True)
class Mapping:
    """A piece of a process's addresses: `rss_bytes` of it have pages; `is_own` where no file and nobody else has it."""

    start: int
    end: int
    is_own: bool
    is_guard: bool
    rss_bytes: int

    @property
    def untouched_bytes(self) -> int:
        return self.end - self.start - self.rss_bytes


def mappings_of(lines: Iterable[str]) -> Iterator[Mapping]:
    """Read what `/proc/PID/smaps` tells of each mapping, in its order (proc_pid_smaps(5))."""
    head: re.Match[str] | None = None
    for line in lines:
        if found := _HEAD.match(line):
            head = found
        elif head is not None and line.startswith("Rss:"):
            start, end, rights, inode, name = head.groups()
            first, end_at = int(start, 16), int(end, 16)
            is_private, is_small = rights.endswith("p") and inode == "0", end_at - first <= _LARGEST_GUARD_BYTES
            yield Mapping(
                first, end_at,
                is_own=is_private and rights.startswith("rw") and name in _UNNAMED,
                is_guard=is_private and rights.startswith("---") and is_small,
                rss_bytes=1024 * int(line.split()[1]),
            )  # fmt: skip


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
    if advise is None or not _MAPS.exists():
        return False
    with _MAPS.open() as lines:
        found = list(mappings_of(lines))
    for start, size in to_touch(found, most_bytes=most_bytes, stack_bytes=stack_bytes):
        failed = advise(ctypes.c_void_p(start), ctypes.c_size_t(size), _POPULATE_WRITE)
        if failed and ctypes.get_errno() == errno.EINVAL:
            return False
        # any other failure is of a piece that another thread has given back since: it needs no pages
    return True
