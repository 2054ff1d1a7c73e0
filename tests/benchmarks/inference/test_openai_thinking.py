import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.inference.base import TextChunk
from benchmarks.inference.openai_thinking import ThinkingSplitter


def split(*pieces: str) -> tuple[str, str]:
    """Give the thinking and the text of an answer that came in these pieces."""
    splitter = ThinkingSplitter()
    chunks = [chunk for piece in pieces for chunk in splitter.take(piece)] + list(splitter.rest())
    return (
        "".join(chunk.text for chunk in chunks if chunk.is_thinking),
        "".join(chunk.text for chunk in chunks if not chunk.is_thinking),
    )


class TestThinkingSplitter:
    @pytest.mark.parametrize(
        ("answer", "thinking", "text"),
        [
            pytest.param("Four.", "", "Four.", id="no thinking"),
            pytest.param("<think>2 and 2</think>Four.", "2 and 2", "Four.", id="thinking"),
            pytest.param(
                "\n<think>\n2 and 2\n</think>\n\nFour.\n", "\n2 and 2\n", "Four.\n", id="white space of a template"
            ),
            pytest.param("<think></think>Four.", "", "Four.", id="empty thinking"),
            pytest.param("<think>2 and", "2 and", "", id="cut while thinking"),
            pytest.param("<think>a < b</thin", "a < b</thin", "", id="cut inside the closing tag"),
            pytest.param("<thi", "", "<thi", id="cut inside the opening tag"),
            pytest.param("<thinker>", "", "<thinker>", id="another tag"),
            pytest.param("Use <think>x</think>.", "", "Use <think>x</think>.", id="a tag further on"),
            pytest.param("<think>a</think>b<think>c</think>", "a", "b<think>c</think>", id="only the first"),
            pytest.param(" Four.", "", " Four.", id="leading blank"),
            pytest.param("", "", "", id="nothing"),
        ],
    )
    @pytest.mark.parametrize("size", [1, 2, 3, 1000])
    def test_tells_thinking_from_text_however_it_is_cut(self, answer: str, thinking: str, text: str, size: int) -> None:
        pieces = [answer[start : start + size] for start in range(0, len(answer), size)]

        assert split(*pieces) == (thinking, text)

    @given(st.lists(st.text("<>/think ab", max_size=6), max_size=12))
    def test_depends_on_the_answer_only(self, pieces: list[str]) -> None:
        assert split(*pieces) == split("".join(pieces))

    @given(st.text("<>/think ab"))
    def test_loses_nothing_of_an_answer_that_does_not_begin_with_thinking(self, answer: str) -> None:
        assert split(f"x{answer}") == ("", f"x{answer}")

    def test_holds_back_no_more_than_may_become_a_tag(self) -> None:
        splitter = ThinkingSplitter()

        assert list(splitter.take("<think>one </")) == [TextChunk("one ", is_thinking=True)]
        assert list(splitter.take("b> two")) == [TextChunk("</b> two", is_thinking=True)]
