"""SCI worked out anew from stored energy and time for another carbon intensity, lifespan or embodied total. Pure.

Nothing is measured again: SCI = E * I + TE * (TiR / EL) * RS is a weighted sum of the stored energy and reserved time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.intervals import Interval, t_quantile_975
from benchmarks.products import Products
from benchmarks.units import JOULES_PER_KILOWATT_HOUR, MILLIGRAMS_PER_GRAM, SECONDS_PER_YEAR
from greenllm.reports.cells import TOKENS, ReportCell
from greenllm.reports.grids import Cell, Figure, Grid, Unit
from greenllm.reports.tables import ALL, NO_ENERGY, NO_RIGHT, NO_TOKENS, LinkTo, StudyCells

# what may be asked for: the least, the most and the step of a slider
BOUNDS: dict[str, tuple[float, float, float]] = {
    "intensity": (0.0, 1500.0, 1.0), "lifespan": (0.5, 15.0, 0.5), "embodied": (0.0, 5000.0, 0.1),
}  # fmt: skip
NO_EMISSIONS = "no emissions under these assumptions"
NO_TIME = "answers have an energy and no time"
_NAMES = {
    "intensity": "Carbon intensity (gCO2e/kWh)", "lifespan": "Lifespan (years)", "embodied": "Embodied total (kgCO2e)",
}  # fmt: skip


def _no_answers(_: ReportCell, __: str) -> str:
    return ""


@dataclass(frozen=True)
class Assumptions:
    """What SCI shall be made with: gCO2e/kWh, years and kgCO2e of one machine."""

    intensity: float
    lifespan: float
    embodied: float

    @property
    def weights(self) -> tuple[float, float]:
        """Return the gCO2e of a joule, and of a second for which the whole machine is reserved."""
        embodied_g = self.embodied * 1000.0
        return self.intensity / JOULES_PER_KILOWATT_HOUR, embodied_g / (self.lifespan * SECONDS_PER_YEAR)


@dataclass(frozen=True)
class Field:
    """One slider: its name and title, the value it has, what it may be, and what is wrong with what was asked."""

    name: str
    title: str
    value: str
    least: float
    most: float
    step: float
    error: str = ""


def asked_for(given: Mapping[str, str], stored: Assumptions) -> tuple[Assumptions, list[Field]]:
    """Return the assumptions that a reader asked for, those of the study where nothing is asked or it is no number."""
    fields, values = [], {}
    for name, (low, high, step) in BOUNDS.items():
        before = float(getattr(stored, name))
        least, most = min(low, before), max(high, before)  # what the study itself has may be asked for
        text = given.get(name, "").strip()
        found = _number(text) if text else before
        is_right = found is not None and least <= found <= most if text else True
        error = "" if is_right else f"{_NAMES[name]}: {text!r} is no number from {least:g} to {most:g}."
        values[name] = found if is_right and found is not None else before
        fields.append(Field(name, _NAMES[name], text or f"{before:g}", least, most, step, error))
    return Assumptions(**values), fields


def what_if_grids(cells: StudyCells, assumed: Assumptions, link: LinkTo = _no_answers) -> tuple[Grid, Grid]:
    """Return the models under other assumptions, and Table 3 under them; `link` leads to the answers of a cell."""
    columns = (
        "Per prompt",
        "Of it embodied",
        f"Per {TOKENS:,} output tokens",
        "Per right answer",
        "Sum of all answers",
    )
    models = Grid(
        "what-if", "What if: each model", "SCI under these assumptions, mgCO2e", "Model", columns,
        tuple((model, _row(cell, assumed, link)) for model, cell in cells.totals.items()),
        (ALL, _row(cells.total, assumed, link)) if len(cells.totals) > 1 else None,
    )  # fmt: skip
    rows = tuple(
        (category, tuple(_of_right(cells.cells.get((category, model)), assumed, link) for model in cells.answered))
        for category in cells.categories
    )
    table_3 = Grid(
        "what-if-table-3", "What if: Table 3", "Mean SCI of the right answers under these assumptions, mgCO2e",
        "Category", cells.answered, rows,
    )  # fmt: skip
    return models, table_3


def what_if_data(cells: StudyCells, assumed: Assumptions) -> dict[str, Any]:
    """Return what a script needs to work the same figures out again, by the ids of the cells, as JSON.

    A figure is `mean`, `total`, `ratio` or `share` of the sums and products given; `t` is the quantile for its n.
    """
    figures: dict[str, Any] = {}
    rows = [*cells.totals.values(), *([cells.total] if len(cells.totals) > 1 else [])]
    for row, cell in enumerate(rows):
        for column, (how, population, per) in enumerate(_COLUMNS):
            figures[f"what-if-{row}-{column}"] = _data(how, _timed(cell, population), per)
    for row, category in enumerate(cells.categories):
        for column, model in enumerate(cells.answered):
            if (found := cells.cells.get((category, model))) is not None:
                figures[f"what-if-table-3-{row}-{column}"] = _data("mean", _timed(found, "energy_of_right"), 1.0)
    joule, second = Assumptions(1.0, 1.0, 1.0).weights
    return {
        "figures": figures,
        "milligrams": MILLIGRAMS_PER_GRAM,
        "perJoule": joule,  # of one gCO2e/kWh
        "perSecond": second,  # of one kgCO2e over one year
        "noEmissions": NO_EMISSIONS,
        "assumed": {name: getattr(assumed, name) for name in BOUNDS},
    }


_COLUMNS: tuple[tuple[str, str, float], ...] = (
    ("mean", "energy", 1.0), ("share", "energy", 1.0), ("ratio", "energy_tokens", float(TOKENS)),
    ("ratio", "energy_judged", 1.0), ("total", "energy", 1.0),
)  # fmt: skip


def _row(cell: ReportCell, assumed: Assumptions, link: LinkTo) -> tuple[Cell, ...]:
    joule, second = assumed.weights
    energy, tokens, judged = (_timed(cell, name) for name in ("energy", "energy_tokens", "energy_judged"))
    total, embodied = energy.total((joule, second)), energy.total((0.0, second))
    share = None if total is None or embodied is None or not total else embodied / total

    of_tokens = tokens.ratio((joule, second, 0.0), (0.0, 0.0, 1.0), per=float(TOKENS))
    of_right = judged.ratio((joule, second, 0.0), (0.0, 0.0, 1.0))
    lacking = NO_TIME if cell.untimed_count else NO_ENERGY
    figures = (
        _interval(cell, energy.mean((joule, second)), lacking),
        _plain(cell, energy.n, share, Unit.SHARE, NO_EMISSIONS if energy.n else lacking),
        _interval(cell, of_tokens, NO_TOKENS if energy.n else lacking),
        _interval(cell, of_right, NO_RIGHT if energy.n else lacking),
        _plain(cell, energy.n, total, Unit.SCI, lacking),
    )
    return tuple(Cell(figure, url=link(cell, "")) for figure in figures)


def _timed(cell: ReportCell, population: str) -> Products:
    """Return what answers add up to, of none where an energy has no time: its embodied emissions are not known."""
    found = cell.products[population]
    return Products.of([], width=len(found.sums)) if cell.untimed_count else found


def _interval(cell: ReportCell, made: Interval | None, why: str) -> Figure:
    return Figure.of_interval(made, Unit.SCI, of=cell.answer_count, qualities=cell.qualities, why=why)


def _plain(cell: ReportCell, n: int, value: float | None, unit: Unit, why: str) -> Figure:
    return Figure(value, unit, n, cell.answer_count, qualities=cell.qualities, why=why)


def _of_right(cell: ReportCell | None, assumed: Assumptions, link: LinkTo) -> Cell:
    if cell is None:
        return Cell()
    interval = _timed(cell, "energy_of_right").mean(assumed.weights)
    why = NO_TIME if cell.untimed_count else NO_RIGHT
    figure = Figure.of_interval(interval, Unit.SCI, of=cell.correct_count, qualities=cell.qualities, why=why)
    return Cell(figure, url=link(cell, "correct"))


def _data(how: str, found: Products, per: float) -> dict[str, Any]:
    return {
        "how": how, "n": found.n, "sums": found.sums, "products": found.products, "per": per,
        "t": t_quantile_975(found.n - 1) if found.n > 1 else None,
    }  # fmt: skip


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
