"""In which order the files of tests are given to the processes of a run.

A file is run by one process, and the files of whole installations (`tests/chain`) by one and the same: they share
installations, and two that measure at a time would disturb each other. They begin, because they take longest. The many
short files come last, so that all processes end at about the same time.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

LONG_MARKS = ("slow", "ollama", "browser")
CHAIN = "tests/chain"


class LongestFirst(LoadFileScheduling):
    """Files as xdist shares them out, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests, of which the longest files have few

    def _split_scope(self, nodeid: str) -> str:
        """Return what the process of a test is given as a whole."""
        return CHAIN if is_chain(nodeid) else str(super()._split_scope(nodeid))


def put_longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by their files: whole installations, then by the number of slow tests, then by that of all."""
    counts: dict[str, tuple[int, int]] = {}
    for item in items:
        slow, every = counts.get(file_of(item), (0, 0))
        counts[file_of(item)] = (slow + is_long(item), every + 1)

    def place_of(item: pytest.Item) -> tuple[bool, int, int, str]:
        file = file_of(item)
        slow, every = counts[file]
        return not is_chain(file), -slow, -every, file

    items.sort(key=place_of)


def is_long(item: pytest.Item) -> bool:
    """Tell whether `make check` leaves a test out."""
    return any(item.get_closest_marker(name) is not None for name in LONG_MARKS)


def is_chain(nodeid: str) -> bool:
    """Tell whether a test is one of whole installations."""
    return nodeid.startswith(f"{CHAIN}/")


def file_of(item: pytest.Item) -> str:
    """Return the file of a test."""
    return item.nodeid.split("::", 1)[0]
