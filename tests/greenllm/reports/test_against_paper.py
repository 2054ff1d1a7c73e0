"""Orders of categories beside the paper's, where models lack some of them."""

import pytest

from benchmarks.products import Products
from greenllm.reports.against_paper import against_paper
from greenllm.reports.cells import POPULATIONS, ReportCell
from greenllm.reports.grids import Figure
from greenllm.reports.tables import StudyCells


def cells(right: dict[tuple[str, str], float]) -> StudyCells:
    """Return a study of one right answer in each category by model, with that SCI (gCO2e)."""
    found = {}
    for (category, model), sci in right.items():
        products = {
            name: Products.of([[sci]] if name in {"sci", "sci_of_right"} else [], width=len(figures))
            for name, figures in POPULATIONS.items()
        }
        found[category, model] = ReportCell(category, model, 1, 0, 0, ("measured",), (), products)
    return StudyCells(tuple(dict.fromkeys(model for _, model in right)), found)


def order_of_categories(right: dict[tuple[str, str], float]) -> Figure:
    """Return Kendall's tau between the categories by Table 3 here and in the paper."""
    _, (_, of_categories) = against_paper(cells(right), {}).agreement.rows[0]
    assert of_categories.figure is not None
    return of_categories.figure


class TestOrderOfCategories:
    def test_is_that_of_the_models_that_are_in_every_one(self) -> None:
        # code costs more than math, as in the paper; a dear model that only math knows does not turn that over
        found = order_of_categories({("math", "a"): 1.0, ("math", "dear"): 30.0, ("code", "a"): 2.0})
        assert (found.value, found.n) == (pytest.approx(1.0), 2)

    def test_is_unknown_where_no_model_is_in_every_one(self) -> None:
        found = order_of_categories({("math", "a"): 1.0, ("code", "b"): 2.0})
        assert (found.value, found.why) == (None, "no model has it in every category")
