"""The processes of a test run get the longest files first."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.scheduling import LongestFirst, put_longest_first


@dataclass
class Item:
    nodeid: str
    marks: frozenset[str] = field(default_factory=frozenset)

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None


def items_of(*nodeids: str) -> list[Item]:
    return [Item(name.removesuffix(" slow"), frozenset({"slow"} & set(name.split()))) for name in nodeids]


def ordered(*nodeids: str) -> list[str]:
    items = items_of(*nodeids)
    put_longest_first(cast(list[pytest.Item], items))
    return [one.nodeid for one in items]


class TestPutLongestFirst:
    def test_begins_with_files_with_slow_tests_then_the_many_short_ones(self) -> None:
        assert ordered("tests/a.py::test", "tests/b.py::test slow") == ["tests/b.py::test", "tests/a.py::test"]

    def test_counts_the_slow_tests_of_a_file_before_all(self) -> None:
        few = ["tests/a.py::one slow", "tests/a.py::two", "tests/a.py::three"]
        more = ["tests/b.py::one slow", "tests/b.py::two slow"]
        assert ordered(*few, *more)[:2] == ["tests/b.py::one", "tests/b.py::two"]

    def test_begins_with_whole_installations_however_few_their_tests_are(self) -> None:
        many = ["tests/b.py::one slow", "tests/b.py::two slow"]
        assert ordered(*many, "tests/chain/test_z.py::one slow")[0] == "tests/chain/test_z.py::one"

    def test_keeps_the_order_within_a_file_and_files_apart(self) -> None:
        mixed = ["tests/b.py::z", "tests/a.py::y", "tests/b.py::b", "tests/a.py::a"]
        assert ordered(*mixed) == ["tests/a.py::y", "tests/a.py::a", "tests/b.py::z", "tests/b.py::b"]


@dataclass(eq=False)
class Process:
    """What the scheduler sees of a process: it is given numbers of tests."""

    given: list[int] = field(default_factory=list)
    shutting_down: bool = False
    gateway: Any = field(default_factory=lambda: SimpleNamespace(id="gw"))

    def send_runtest_some(self, numbers: list[int]) -> None:
        self.given += numbers

    def shutdown(self) -> None:
        self.shutting_down = True


def shared_out(collected: list[str]) -> list[list[int]]:
    """Return the numbers of the tests that each of two processes is given at first."""
    option = SimpleNamespace(tx=["popen"] * 2, loadscopereorder=True)
    config = SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name))
    scheduler = LongestFirst(cast(pytest.Config, config))
    processes = cast(Any, [Process(), Process()])
    for one in processes:
        scheduler.add_node(one)
    for one in processes:
        scheduler.add_node_collection(one, collected)
    scheduler.schedule()
    return [one.given for one in processes]


class TestLongestFirst:
    def test_gives_files_in_their_order(self) -> None:
        few = [f"tests/few.py::test_{number}" for number in range(6)]
        many = [f"tests/many.py::test_{number}" for number in range(9)]
        assert shared_out([*few, "tests/one.py::test", *many]) == [list(range(6)), list(range(6, 16))]

    def test_gives_all_files_of_whole_installations_to_one_process(self) -> None:
        chain = [f"tests/chain/test_{name}.py::test_{number}" for name in "abc" for number in range(2)]
        others = [f"tests/many.py::test_{number}" for number in range(9)]
        assert shared_out([*chain, *others]) == [list(range(6)), list(range(6, 15))]
