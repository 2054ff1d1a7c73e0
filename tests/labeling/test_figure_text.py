"""Figures that are text come back as they were."""

import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.intervals import Interval
from benchmarks.products import Products
from greenllm.comparing.studies import ComparedRow, compare_studies
from greenllm.comparing.wording import MEASURES
from greenllm.reports.cells import ReportCell
from labeling.confusion import Comparison, Concordance
from labeling.drift import Drift, Per, Period
from labeling.figure_text import from_text, to_text

_AT = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
_SHARE = Interval(1 / 3, 0.1, 2 / 3, 7)
_CELL = ReportCell("math", "tiny", 3, 2, 1, ("measured",), (), {"sci": Products(3, (0.1 + 0.2,), (1e-300,))})
VALUES: list[tuple[object, Any]] = [
    (5, int),
    (0.1 + 0.2, float),
    (math.inf, float),
    (None, int | None),
    (["é", '"', ""], list[str]),
    ((1, "a"), tuple[int, str]),
    ((), tuple[str, ...]),
    ({(1, 2): 0.5}, dict[tuple[int, int], float]),
    ({None: (1,), 3: ()}, dict[int | None, tuple[int, ...]]),
    ({("math", "tiny"): _CELL}, dict[tuple[str, str], ReportCell]),
    (Drift(Per.DAYS, 7, (Period(_AT, _AT, 4, _SHARE, None, None, _SHARE),)), Drift),
    (
        Comparison((Concordance("g@1", "math", Counter({("correct", "incorrect"): 2})),), {"correct": ("1 0",)}),
        Comparison,
    ),
    (ComparedRow("tiny", MEASURES[0], 0, None, "measured", reason="nothing"), ComparedRow),
]


class TestText:
    @pytest.mark.parametrize(("value", "kind"), VALUES, ids=[str(kind) for _, kind in VALUES])
    def test_is_the_value(self, value: object, kind: Any) -> None:
        found = from_text(to_text(value), kind)
        assert found == value
        assert type(found) is type(value)

    def test_says_that_a_number_is_none(self) -> None:
        assert math.isnan(from_text(to_text(math.nan), float))

    def test_counts_what_a_counter_has_not(self) -> None:
        assert from_text(to_text(Counter({"a": 1})), Counter[str])["b"] == 0

    @pytest.mark.parametrize("value", [{1, 2}, object(), compare_studies, [b"x"]])
    def test_of_other_things_there_is_none(self, value: object) -> None:
        with pytest.raises(TypeError, match="has no text"):
            to_text(value)

    def test_makes_no_other_class(self) -> None:
        with pytest.raises(TypeError, match="is not made of text"):
            from_text("[1]", set)
