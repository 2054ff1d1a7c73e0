"""What a reader may ask of a report's what-if."""

import pytest

from benchmarks.products import Products
from greenllm.reports.cells import POPULATIONS, ReportCell
from greenllm.reports.grids import Figure, flat_rows
from greenllm.reports.tables import StudyCells
from greenllm.reports.what_if import NO_EMISSIONS, NO_TIME, Assumptions, asked_for, what_if_data, what_if_grids

STORED = Assumptions(intensity=381.0, lifespan=4.0, embodied=6200.0)


def cells(*, untimed_count: int = 0) -> StudyCells:
    """Return two answers of one model: 10 and 12 J, 1 and 2 s, 50 tokens, right."""
    known = {"energy": (10.0, 12.0), "time": (1.0, 2.0), "tokens": (50.0, 50.0), "right": (1.0, 1.0)}
    products = {
        name: Products.of(
            [[known[one][place] for one in figures] for place in (0, 1)] if set(figures) <= set(known) else [],
            width=len(figures),
        )
        for name, figures in POPULATIONS.items()
    }
    cell = ReportCell("math", "small", 2, 2, 2, ("measured",), ("person",), products, untimed_count)
    return StudyCells(("small",), {("math", "small"): cell})


def what_if_row(given: StudyCells, assumed: Assumptions) -> list[Figure]:
    """Return the figures of the only model."""
    [(_, row)] = what_if_grids(given, assumed)[0].rows
    return [cell.figure for cell in row if cell.figure is not None]


class TestWhatIfGrids:
    def test_know_no_share_of_no_emissions_and_say_so(self) -> None:
        share, total = what_if_row(cells(), Assumptions(0.0, 4.0, 0.0))[1::3]
        assert (share.value, share.why, share.n) == (None, NO_EMISSIONS, 2)
        assert total.value == 0

    def test_know_nothing_where_an_energy_has_no_time(self) -> None:
        given = cells(untimed_count=1)
        for found in what_if_row(given, STORED):
            assert (found.value, found.why) == (None, NO_TIME)
        assert {one["n"] for one in what_if_data(given, STORED)["figures"].values()} == {0}

    def test_say_why_only_where_something_is_missing(self) -> None:
        rows = list(flat_rows(what_if_grids(cells(), Assumptions(0.0, 4.0, 0.0))))
        assert [(row[2], row[-1]) for row in rows if row[-1]] == [("Of it embodied", NO_EMISSIONS)]


class TestAskedFor:
    def test_takes_back_what_the_study_itself_has(self) -> None:
        asked, fields = asked_for({"intensity": "381", "lifespan": "4", "embodied": "6200"}, STORED)
        assert asked == STORED
        assert [field.error for field in fields] == ["", "", ""]

    @pytest.mark.parametrize(("text", "bound"), [("6201", "0 to 6200"), ("-1", "0 to 6200"), ("many", "0 to 6200")])
    def test_keeps_to_the_bounds_that_it_names(self, text: str, bound: str) -> None:
        asked, fields = asked_for({"embodied": text}, STORED)
        assert asked == STORED
        assert fields[2].error == f"Embodied total (kgCO2e): {text!r} is no number from {bound}."
