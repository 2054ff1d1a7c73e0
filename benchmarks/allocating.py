"""How glibc and Python keep memory for a process of many threads that lives for weeks."""

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable

from benchmarks.touching import touch_mapped

# of malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_ARENAS = 2
_LARGE_BYTES = 4 * 1024 * 1024  # a column of half a million numbers; glibc's own bound moves from 128 KB up to 32 MB
_PIECE_BYTES = 64 * 1024
_FREE_BYTES = 8 * 1024 * 1024  # at the end of an arena; more goes back to the system
_BLOCK_BYTES, _BYTES_OF_EMPTY = 512, 33  # the largest block that Python has in its arenas; `bytes` of no length
_MEAN_BLOCK_BYTES = 92  # of a web process
_POOL_BITS, _HALF_ARENA_BITS = 14, 19  # an arena is a megabyte of pools, taken in the order of their addresses
_UNTOUCHED_BYTES = 1024 * 1024  # more of a mapping is room of a table
_STACK_BYTES = 128 * 1024  # of 59 threads of a web process, each had used 8 to 48 KB after two minutes
_TUNED_BY = ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_memory_together() -> bool:
    """Let all threads of this process share two arenas, and give whatever is large back as soon as it is free.

    By itself glibc makes eight arenas a core, each of which grows to the most that its threads ever needed at once.
    What is large is of megabytes: the kernel clears the pages of each such block anew, so that columns of a hundred
    thousand numbers, which come and go by the dozen, took seven times as long where they counted as large. An
    environment that tunes malloc itself is left alone.

    Returns:
        Whether it was done; no other C library knows it.
    """
    if any(os.environ.get(name) for name in _TUNED_BY):
        return False
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is None:
        return False
    wanted = {_ARENA_MAX: _ARENAS, _MMAP_THRESHOLD: _LARGE_BYTES, _TRIM_THRESHOLD: _FREE_BYTES}
    return all(tune(parameter, value) for parameter, value in wanted.items())


def leave_out_of_collections() -> None:
    """Take whatever is there now out of garbage collection for good, so that a full one looks at little and comes soon.

    Python puts a full collection off until a quarter of what the last one left is new. The second one here leaves
    nothing; without it the next came hours later, and what was in use at one of the middle generation and in a ring
    after it waited for so long.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


class _MallocInfo(ctypes.Structure):
    """What `mallinfo2` tells, in bytes: `hblkhd` and `uordblks` are in use, by themselves and in arenas."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def malloc_used_bytes() -> int | None:
    """Return how much malloc has given out, with what each thread keeps for itself; None where it does not tell."""
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tell is None:
        return None
    tell.restype = _MallocInfo
    found = tell()
    return int(found.hblkhd + found.uordblks)


class Reserve:
    """Free memory for busy moments, taken ahead of them in one step, not in many as they come.

    Python and malloc keep what such a moment needed, so that without it a process grows by a few pages at each that is
    a little busier than those before, for hours.

    Args:
        python_bytes: free in Python's arenas.
        malloc_bytes: free in each of malloc's.
        used_blocks: returns how many blocks Python has given out.
    """

    def __init__(
        self, *, python_bytes: int, malloc_bytes: int = 0, used_blocks: Callable[[], int] = sys.getallocatedblocks
    ) -> None:
        self._python_bytes, self._malloc_bytes, self._used_blocks = python_bytes, malloc_bytes, used_blocks
        self._renewed_from = self._touched_threads = 0
        self._held: list[bytes] = []
        self._keeper: threading.Thread | None = None

    def keep(self) -> bool:
        """Take the reserve, once, and again where the process has come to use about as much; return whether it was.

        What it uses by then is left out of garbage collection. What is mapped by then is written to, and the stacks of
        threads, of new ones at the next call.
        """
        used, threads = self._used_blocks(), threading.active_count()
        is_due = used >= self._renewed_from
        if is_due:
            leave_out_of_collections()
            self._renewed_from = used + self._python_bytes // _MEAN_BLOCK_BYTES
            if self._malloc_bytes:
                _fill_malloc(self._malloc_bytes)
            self._held += _fill_python(self._python_bytes)
        if self._malloc_bytes and (is_due or threads > self._touched_threads):
            self._touched_threads = threads
            touch_mapped(most_bytes=_UNTOUCHED_BYTES, stack_bytes=_STACK_BYTES)
        return is_due

    def keep_on(self, *, first_after_s: float, every_s: float) -> None:
        """Have a thread look after it for as long as the process lives; asked again, the one that there is goes on."""
        if self._keeper is not None:
            return

        def look() -> None:
            pause = threading.Event()  # which nobody sets
            pause.wait(first_after_s)
            while True:
                self.keep()
                pause.wait(every_s)

        self._keeper = threading.Thread(target=look, name="reserve", daemon=True)
        self._keeper.start()


def _fill_python(size_bytes: int) -> list[bytes]:
    """Write to so many bytes of Python's arenas, and to the end of the last; return what keeps these: some blocks each.

    The first block beyond the end is in an arena of its own, which goes back to the system with it.
    """
    blocks = [_block() for _ in range(size_bytes // _BLOCK_BYTES)]
    following = _block()
    while 0 <= (id(following) >> _POOL_BITS) - (id(blocks[-1]) >> _POOL_BITS) <= 1:
        blocks.append(following)
        following = _block()
    return list({id(one) >> _HALF_ARENA_BITS: one for one in blocks}.values())


def _block() -> bytes:
    return bytes(_BLOCK_BYTES - _BYTES_OF_EMPTY)


def _fill_malloc(size_bytes: int) -> None:
    """Write to so many bytes of each of malloc's arenas: threads get these in turn, two of each take half as much."""
    all_have = threading.Barrier(2 * _ARENAS)

    def take() -> None:
        taken = [bytearray(_PIECE_BYTES) for _ in range(size_bytes // 2 // _PIECE_BYTES)]
        all_have.wait()
        del taken

    threads = [threading.Thread(target=take) for _ in range(2 * _ARENAS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
