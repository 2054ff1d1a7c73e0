"""In which order the files of tests are given to the processes of a run.

A file is run by one process. The many short files come last, so that all processes end at about the same time.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

LONG_MARKS = ("slow", "ollama", "browser")


class LongestFirst(LoadFileScheduling):
    """Files as xdist shares them out, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests, of which the longest files have few


def put_longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by their files: by their number of slow tests, then by that of all."""
    counts: dict[str, tuple[int, int]] = {}
    for item in items:
        slow, every = counts.get(file_of(item), (0, 0))
        counts[file_of(item)] = (slow + is_long(item), every + 1)

    def place_of(item: pytest.Item) -> tuple[int, int, str]:
        file = file_of(item)
        slow, every = counts[file]
        return -slow, -every, file

    items.sort(key=place_of)


def is_long(item: pytest.Item) -> bool:
    """Tell whether `make check` leaves a test out."""
    return any(item.get_closest_marker(name) is not None for name in LONG_MARKS)


def file_of(item: pytest.Item) -> str:
    """Return the file of a test."""
    return item.nodeid.split("::", 1)[0]
