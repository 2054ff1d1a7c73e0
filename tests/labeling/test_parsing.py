"""Parsing Python text from several threads."""

import gc
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from labeling.grading.code import extract_code
from labeling.grading.parsing import parse, read_literal
from router.checking.prompt_tests import asserts_in

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

    @pytest.mark.parametrize("read", [extract_code, lambda text: "\n".join(asserts_in(text))], ids=["code", "asserts"])
    def test_read_answers_and_prompts_at_once(self, read: Callable[[str], str | None]) -> None:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(read, ["assert f(1) == " + DEEP, "assert f(2)"] * 40))

        assert found == ["assert f(1) == " + DEEP, "assert f(2)"] * 40


class TestWarnings:
    def test_of_odd_escapes_reach_nobody(self) -> None:
        with warnings.catch_warnings(action="error"):
            parse(r"assert f('\d')")


def test_text_that_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        parse("assert (")
