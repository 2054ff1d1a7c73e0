"""Answers that changed take the place of what was said of them, whatever else is there."""

import numpy as np
import pytest

from greenllm.answer_columns import Columns, Words, distinct


def answers(rows: dict[int, tuple[float, str]]) -> Columns:
    return Columns(
        {"id": np.array(list(rows), np.int64)},
        {"energy": np.array([energy for energy, _ in rows.values()], np.float64)},
        {"quality": Words.of([quality for _, quality in rows.values()])},
    )


def shown(found: Columns) -> dict[int, tuple[float | None, str]]:
    words = found.words["quality"]
    energies = [None if np.isnan(one) else one for one in found.values["energy"].tolist()]
    qualities = [words.words[place] for place in words.places.tolist()]
    return dict(zip(found.whole["id"].tolist(), zip(energies, qualities, strict=True), strict=True))


BEFORE = {3: (1.0, "measured"), 5: (float("nan"), ""), 8: (2.0, "estimated")}


class TestRenewed:
    @pytest.mark.parametrize(
        ("ids", "fresh"),
        [
            ([5], {5: (4.0, "measured")}),
            ([3, 8], {3: (1.0, "measured"), 8: (float("nan"), "missing")}),
            ([3, 8], {8: (7.0, "estimated")}),
            ([4], {4: (7.0, "other")}),
            ([1, 5, 99], {1: (7.0, "other"), 5: (float("nan"), ""), 99: (1.0, "")}),
            ([3, 5, 8], {}),
            ([77], {}),
            ([], {}),
        ],
    )
    def test_says_what_is_so_now(self, ids: list[int], fresh: dict[int, tuple[float, str]]) -> None:
        now = {pk: said for pk, said in (BEFORE | fresh).items() if pk not in ids or pk in fresh}
        found = answers(BEFORE).renewed(ids, answers(fresh))
        assert shown(found) == shown(answers(dict(sorted(now.items()))))
        assert shown(answers(BEFORE)) == {3: (1.0, "measured"), 5: (None, ""), 8: (2.0, "estimated")}

    def test_of_none_are_the_fresh_ones(self) -> None:
        assert shown(answers({}).renewed([4], answers({4: (7.0, "")}))) == {4: (7.0, "")}

    def test_copies_no_column_that_says_the_same(self) -> None:
        before = answers(BEFORE)
        found = before.renewed([5, 8], answers({5: (float("nan"), ""), 8: (2.0, "measured")}))
        assert found.whole["id"] is before.whole["id"]
        assert found.values["energy"] is before.values["energy"]
        assert found.words["quality"].places is not before.words["quality"].places


class TestDistinct:
    @pytest.mark.parametrize(
        "ids", [[], [7], [9, 7, 7, 8], [1_000_000_007, 1_000_000_003, 1_000_000_007], [5, 10**12, 5], [0, 3, -2]]
    )
    def test_is_what_sorting_says(self, ids: list[int]) -> None:
        column = np.array(ids, np.int64)
        known, rows = distinct(column)
        assert known.tolist() == sorted(set(ids))
        assert known[rows].tolist() == ids
