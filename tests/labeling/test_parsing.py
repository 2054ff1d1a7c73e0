"""Parsing Python text from several threads."""

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from labeling.grading.parsing import parse, read_literal

DEEP = "[" * 40 + "1" + "]" * 40


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads take turns as often as they can, also within a parse: a finalizer that Python runs gives way."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(1, 1, 1)
    gc.callbacks.append(_give_way)
    yield
    gc.callbacks.remove(_give_way)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def _give_way(phase: str, info: dict[str, int]) -> None:
    for _ in range(20):
        pass


@pytest.mark.usefixtures("eager_switching")
class TestThreads:
    def test_read_values_at_once(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            read = list(pool.map(read_literal, [DEEP, "[1, 2]"] * 40))

        assert read[1::2] == [[1, 2]] * 40

    def test_parse_at_once(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            trees = list(pool.map(parse, ["assert f(1) == " + DEEP, "pass"] * 40))

        assert [len(tree.body) for tree in trees] == [1] * 80


def test_text_that_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        parse("assert (")
