"""How glibc keeps memory for a process of many threads that lives for weeks."""

import ctypes
import os

# of malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_ARENAS = 2
_LARGE_BYTES = 128 * 1024  # glibc's own bound at the start, which it moves up to 32 MB at what it meets
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
