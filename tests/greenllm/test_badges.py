"""Badges and cells of figures, as pages show them."""

from dataclasses import replace
from decimal import Decimal

import pytest

from benchmarks.spread import spread_of
from benchmarks.spreading import Cell as SpreadCell
from benchmarks.spreading import PromptSpread, Repeat
from greenllm.dashboards.counted import Masses
from greenllm.dashboards.queries import Cell
from greenllm.templatetags.badges import figure_cell, quality_badge, quality_badges, verdict_badges
from greenllm.templatetags.spreads import repeat_links, spread_cell
from labeling.verdicts import UNDECIDED, Decision

TWO = Masses(2, Decimal("0.004"), Decimal("0.00001"))
NOTHING = Masses(0, Decimal(0), Decimal(0))
CELL = Cell("math", "tiny", 3, 2, 3, TWO, TWO, ("measured",), ("person",))


class TestBadges:
    def test_escape_what_they_say(self) -> None:
        assert quality_badge("<b>") == '<span class="badge &lt;b&gt;">&lt;b&gt;</span>'

    def test_of_no_quality_are_a_dash(self) -> None:
        assert quality_badges(()) == "\u2013"
        assert quality_badges(["measured", "missing"]).count("badge ") == 2

    @pytest.mark.parametrize(
        ("decision", "words"),
        [
            (Decision(True, "person", 1), ['badge strong">correct<', "by person"]),
            (Decision(False, "grader", 1, is_provisional=True), ["incorrect<", ">provisional<"]),
            (Decision(None, "", 2, is_disputed=True), ['problem-badge">disputed<']),
            (UNDECIDED, ['class="badge">open<']),
        ],
    )
    def test_of_a_verdict_say_whose_word_it_is(self, decision: Decision, words: list[str]) -> None:
        written = verdict_badges(decision)

        assert [word for word in words if word not in written] == []
        assert ("by " in written) == bool(decision.source)


class TestFigureCell:
    def test_shows_figure_interval_and_number_of_answers(self) -> None:
        assert 'data-name="tiny" data-value="2"' in figure_cell(CELL, "mean_sci", "tiny")
        assert "n = 2<" in figure_cell(CELL, "mean_sci", "tiny")
        assert "<b>67\u00a0%</b>" in figure_cell(CELL, "accuracy", "tiny")
        assert "<b>4.00</b><small>n = 2 of 3</small>" in figure_cell(CELL, "sum_sci", "tiny")

    @pytest.mark.parametrize(
        ("figure", "words"),
        [("mean_sci", "n = 0 right of 0"), ("accuracy", "not judged yet"), ("sum_sci", "n = 0 of 3")],
    )
    def test_has_no_value_where_nothing_is_known(self, figure: str, words: str) -> None:
        unknown = replace(CELL, correct_count=0, judged_count=0, scis_gco2e=NOTHING, scis_of_correct_gco2e=NOTHING)

        written = figure_cell(unknown, figure, "tiny")

        assert 'data-value=""' in written
        assert "\u2013" in written
        assert words in written

    def test_of_nobody_is_a_dash(self) -> None:
        assert figure_cell(None, "accuracy", "a<b") == '<td class="number" data-name="a&lt;b" data-value="">\u2013</td>'

    def test_tells_of_graders(self) -> None:
        assert "by graders" in figure_cell(replace(CELL, sources=("grader",)), "accuracy", "tiny")


class TestSpread:
    def test_of_nothing_says_so(self) -> None:
        assert "n = 0" in spread_cell(None, None, "energy")

    def test_of_one_has_no_interval(self) -> None:
        written = spread_cell(spread_of([2.0]), None, "energy")

        assert "<b>2.00\u00a0J</b> <small>no interval of one</small>" in written
        assert "varies" not in written

    def test_of_several_has_an_interval_and_how_they_vary(self) -> None:
        written = spread_cell(spread_of([0.001, 0.002]), 0.001, "sci")

        assert "<b>1.50</b>" in written
        assert "median 1.50, n = 2" in written
        assert "varies by 47.1\u00a0%" in written
        assert "1.00 without outliers" in written

    @pytest.mark.parametrize(("count", "words"), [(20, ""), (21, "the first 20 of 21, 1 outlier among all")])
    def test_links_the_first_of_many_repeats(self, count: int, words: str) -> None:
        repeats = tuple(Repeat(pk, None if pk == 2 else 1.0, None, "measured") for pk in range(1, count + 1))
        prompt = PromptSpread(SpreadCell("m", "c", "p"), "d", "p", "train", repeats, frozenset({1}), None, None)

        written = repeat_links(prompt)

        assert written.count("<a href=") == 20
        assert written.count("<br>") == 19
        assert written.count(">outlier<") == 1
        assert ">missing</a>" in written
        assert words in written
        assert ("first" in written) == bool(words)
