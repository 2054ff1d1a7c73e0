"""How glibc and Python keep memory for a process of many threads that lives for weeks."""

import ctypes
import os

# of malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_ARENAS = 2
_LARGE_BYTES = 128 * 1024  # glibc's own bound at the start, which it moves up to 32 MB at what it meets
_KEPT_TUPLES, _LONGEST_TUPLE = 2000, 20  # of Python 3.11's tupleobject.c
_TUNED_BY = ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_memory_together() -> bool:
    """Let all threads of this process share two arenas, and give whatever is large back as soon as it is free.

    By itself glibc makes eight arenas a core, each of which grows to the most that its threads ever needed at once, and
    keeps what pages of 128 KB and more left behind. An environment that tunes malloc itself is left alone.

    Returns:
        Whether it was done; no other C library knows it.
    """
    if any(os.environ.get(name) for name in _TUNED_BY):
        return False
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is None:
        return False
    wanted = {_ARENA_MAX: _ARENAS, _MMAP_THRESHOLD: _LARGE_BYTES, _TRIM_THRESHOLD: _LARGE_BYTES}
    return all(tune(parameter, value) for parameter, value in wanted.items())


def fill_lists_of_tuples() -> None:
    """Give Python now the freed tuples that it would come to keep in the first hour: 5 MB, 2,000 of each length.

    A tuple that is made of a generator is cut to its length, which takes none of those of that length, and is kept like
    others when it is freed. So these lists rise for as long as a process serves until they are full. Only a full
    collection empties them.
    """
    for length in range(1, _LONGEST_TUPLE + 1):
        _free_tuples(length)


def _free_tuples(length: int) -> None:
    freed = [tuple([None] * length) for _ in range(_KEPT_TUPLES)]  # all are there before the first is freed
    del freed
