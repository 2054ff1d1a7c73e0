"""In which order the files of tests are given to the processes of a run.

A file is run by one process. The tests of the chain start whole installations: they wait most of the time, so one
process runs them all from the start, one installation after the other, beside others that keep the processors busy.
The many short files come last, so that all processes end at about the same time.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

CHAIN = "tests/chain/"
LONG_MARKS = ("slow", "ollama", "browser")


class LongestFirst(LoadFileScheduling):
    """Files as xdist shares them out, in the order of the collection; all of the chain goes to one process."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests, of which the longest files have few

    def _split_scope(self, nodeid: str) -> str:
        return CHAIN if nodeid.startswith(CHAIN) else super()._split_scope(nodeid)


def put_longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by their files: the chain, then files by their number of slow tests, then by that of all."""
    counts: dict[str, tuple[int, int]] = {}
    for item in items:
        slow, every = counts.get(file_of(item), (0, 0))
        counts[file_of(item)] = (slow + is_long(item), every + 1)

    def place_of(item: pytest.Item) -> tuple[bool, int, int, str]:
        file = file_of(item)
        slow, every = counts[file]
        return not file.startswith(CHAIN), -slow, -every, file

    items.sort(key=place_of)


def is_long(item: pytest.Item) -> bool:
    """Tell whether `make check` leaves a test out."""
    return any(item.get_closest_marker(name) is not None for name in LONG_MARKS)


def file_of(item: pytest.Item) -> str:
    """Return the file of a test."""
    return item.nodeid.split("::", 1)[0]
