from dataclasses import replace

from benchmarks.intervals import Interval
from benchmarks.models import Study
from greenllm.comparison_table import comparison_lines
from router.evaluating import Comparison, ComparisonRow, MeasuredRouter

TABLE = Comparison(
    study=Study(name="demo"),
    prompt_count=10,
    rows=(
        ComparisonRow(
            "tiny", "model", 10, Interval(0.5, 0.24, 0.76, 10), Interval(20.0, 15.0, 25.0, 10),
            Interval(0.0021, 0.0019, 0.0023, 10), ("estimated",),
        ),
        ComparisonRow("router (nearest)", "router", 0, None, None, None, ()),
    ),
)  # fmt: skip


class TestNotes:
    def test_say_what_the_index_embeds(self) -> None:
        notes = " ".join(comparison_lines(replace(TABLE, embedded_text="item"))[4:])
        assert "The index embeds bare items." in notes
        assert "both forms are shown" in notes


class TestComparisonLines:
    def test_have_figure_interval_and_unit_of_each_row(self) -> None:
        header, rule, tiny, *_ = comparison_lines(TABLE)
        assert header.split("  ")[0] == "approach"
        assert "energy (J/prompt)" in header
        assert "SCI (mgCO2e/prompt)" in header
        assert set(rule) == {"-", " "}
        assert [cell.strip() for cell in tiny.split("  ") if cell.strip()] == [
            "tiny", "10", "50% [24%, 76%]", "20.0 [15.0, 25.0]", "2.10 [1.90, 2.30]", "estimated",
        ]  # fmt: skip

    def test_stand_in_columns(self) -> None:
        header, _, tiny, router, *_ = comparison_lines(TABLE)
        column = header.index("accuracy")
        assert tiny[column:].startswith("50%")
        assert router[column:].startswith("\u2013")

    def test_show_a_dash_where_there_is_no_figure(self) -> None:
        assert comparison_lines(TABLE)[3].split() == ["router", "(nearest)", "0", "\u2013", "\u2013", "\u2013"]

    def test_say_what_the_table_cannot_prove(self) -> None:
        notes = " ".join(comparison_lines(TABLE)[4:])
        assert "10 prompts that the index has never seen; 95 % intervals" in notes
        assert "source=grader" in notes
        assert "only that the plumbing works" in notes

    def test_say_what_a_measured_router_is(self) -> None:
        measured = MeasuredRouter(Study(name="through"), (), (("tiny", 3), ("big", 1)), ("generation parameters",))
        notes = " ".join(comparison_lines(replace(TABLE, measured=measured))[4:])
        assert "router, measured: the answers of the study through" in notes
        assert "Answered by tiny 3, big 1." in notes
        assert "It differs from the study demo in generation parameters." in notes
        assert "not in its rows but in the measured one" in notes
