"""Charts over few days, models or parts: nothing is one block, and no axis shows parts of a second."""

import pytest

from greenllm.charts import bar_gap, in_words
from greenllm.operations.figures import latency, shares
from greenllm.quality.figures import Mark, drift_chart, pace_chart


def marks(*days: str) -> dict[str, list[Mark]]:
    return {"Correct": [Mark(day, 55.0, 46.0, 64.0, 107) for day in days]}


class TestBars:
    def test_leave_more_room_the_fewer_they_are(self) -> None:
        assert bar_gap(1) > bar_gap(2) > bar_gap(3) > bar_gap(4) == bar_gap(40)

    def test_are_told_their_number(self) -> None:
        assert shares(["math"], ["oak"], {("math", "oak"): 1})["layout"]["bargap"] == bar_gap(1)
        assert pace_chart(["2026-11-26", "2026-11-27"], [3, 4], [None, 9.0]).figure["layout"]["bargap"] == bar_gap(2)


class TestDrift:
    @pytest.mark.parametrize(
        ("days", "kind"), [(["2026-11-27"], "category"), (["2026-11-26", "2026-11-27"], "date")], ids=["one", "two"]
    )
    def test_has_an_axis_of_time_from_two_days_on(self, days: list[str], kind: str) -> None:
        chart = drift_chart(marks(*days), x_title="First day of the period (UTC)", of_days=True)
        assert chart.figure["layout"]["xaxis"]["type"] == kind


class TestLatency:
    def test_marks_round_numbers_on_its_logarithmic_axis(self) -> None:
        figure = latency(["Deciding", "Whole request"], [17.0, 800.0], [19.0, None])
        assert {10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0} <= set(figure["layout"]["yaxis"]["tickvals"])
        assert [trace["type"] for trace in figure["data"]] == ["scatter", "scatter"]  # bars would need a zero


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 categories"), (1, "1 category"), (2, "2 categories"), (1200, "1,200 categories")]
)
def test_a_count_is_told_in_words(count: int, words: str) -> None:
    assert in_words(count, "category", "categories") == words


def test_most_words_have_a_plural_that_needs_no_telling() -> None:
    assert (in_words(1, "step"), in_words(3, "step")) == ("1 step", "3 steps")
