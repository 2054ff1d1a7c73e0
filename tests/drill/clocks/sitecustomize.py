"""Give the worker and the web process of the drill a wall clock each; Python loads this where PYTHONPATH leads here.

Only these two are given one, by beginning anew with libfaketime. Before version 0.9.11 it breaks `time.sleep` where the
monotonic clock stays as it is (https://github.com/wolfcw/libfaketime/issues/426), so that sleeping is done otherwise.
"""

import os
import sys
import time

LIBRARY, FOLDER, PART = "DRILL_FAKETIME", "DRILL_CLOCKS", "DRILL_CLOCK_OF"
READ_EVERY_S = 1  # in whole seconds: what is written may be known two later
_SIGNS = {"web": "greenllm.asgi:application", "worker": "work"}


def part_of(argv: list[str]) -> str:
    """Return which part a command runs, or an empty text: only whole arguments count."""
    return next((name for name, sign in _SIGNS.items() if sign in argv), "")


def clock_environment(library: str, clock_file: str) -> dict[str, str]:
    """Return what gives a process the wall clock of a file, read anew each second; monotonic clocks stay.

    Read each time, the web process read it thousands of times a second: every wait of a thread for its turn looks at
    the clock, and on a slow machine the process came to nothing else.
    """
    return {
        "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock_file, "FAKETIME_CACHE_DURATION": f"{READ_EVERY_S}",
        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


def sleep_by_select(seconds: float) -> None:
    """Sleep as `time.sleep` does."""
    import select

    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


def _begin() -> None:
    if os.environ.get(PART):
        time.sleep = sleep_by_select
        return
    library, part = os.environ.get(LIBRARY), part_of(sys.orig_argv)
    if library and part:
        clock_file = f"{os.environ[FOLDER]}/{part}"
        environment = {**os.environ, PART: part, **clock_environment(library, clock_file)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


_begin()
