"""A study beside the paper's printed figures: ratios, ranks, and how far both order the same things alike. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

from benchmarks import published_study as paper
from benchmarks.published_study import PublishedCell
from benchmarks.rank_agreement import LEAST_FOR_INTERVAL, kendall_tau, ranks
from greenllm.reports.cells import ReportCell
from greenllm.reports.grids import Cell, Figure, Grid, Unit
from greenllm.reports.tables import StudyCells

_NO_MODEL_EVERYWHERE = "no model has it in every category"


class UnknownPair(ValueError):
    """A pair names a model that the study or the paper does not have; the message says which there are."""


@dataclass(frozen=True)
class _Table:
    name: str
    title: str
    unit: Unit
    is_dear_first: bool
    ours: Callable[[ReportCell], float | None]
    n: Callable[[ReportCell], int]
    printed: Callable[[PublishedCell], float]


_TABLES = (
    _Table(
        "table-3", "Table 3, mean SCI of right answers", Unit.SCI, False,
        lambda cell: None if cell.mean_sci_of_right is None else cell.mean_sci_of_right.value,
        lambda cell: cell.products["sci_of_right"].n, lambda cell: cell.mean_sci_of_right_gco2e,
    ),
    _Table(
        "table-4", "Table 4, accuracy", Unit.SHARE, True,
        lambda cell: None if cell.accuracy is None else cell.accuracy.value,
        lambda cell: cell.judged_count, lambda cell: cell.accuracy,
    ),
    _Table(
        "table-5", "Table 5, SCI of all answers", Unit.SCI, False,
        lambda cell: None if cell.sum_sci is None else cell.sum_sci / cell.products["sci"].n,
        lambda cell: cell.products["sci"].n, lambda cell: cell.sum_sci_gco2e / paper.PROMPTS_PER_CELL,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class AgainstPaper:
    """The comparison: which of the study's models stands for which of the paper's, the agreement, and the cells."""

    pairs: Mapping[str, str]
    agreement: Grid
    tables: tuple[Grid, ...]


def pairs_of(models: tuple[str, ...], named: Mapping[str, str]) -> dict[str, str]:
    """Return the paper's name of each model: as a reader paired them, else as they are called.

    Raises:
        UnknownPair: a name that the study or the paper does not have.
    """
    for ours, theirs in named.items():
        if ours not in models:
            raise UnknownPair(f"The study has no answers of {ours!r}; it has {', '.join(models) or 'none'}.")
        if theirs not in paper.MODELS:
            raise UnknownPair(f"The paper has no model {theirs!r}; it has {', '.join(paper.MODELS)}.")
    found = {model: named.get(model) or paper.published_name_of(model) for model in models}
    return {model: name for model, name in found.items() if name}


def against_paper(cells: StudyCells, pairs: Mapping[str, str]) -> AgainstPaper:
    """Return a study beside the paper's Tables 3 to 5; Table 5 as the mean over all answers, as counts differ."""
    return AgainstPaper(
        pairs,
        _agreement(cells, pairs),
        tuple(grid for table in _TABLES if (grid := _beside(table, cells, pairs)).rows),
    )


def _agreement(cells: StudyCells, pairs: Mapping[str, str]) -> Grid:
    rows = []
    for table in _TABLES:
        matched = _matched(table, cells, pairs)
        of_cells = _tau([(ours, theirs) for _, _, ours, theirs, _ in matched], "no model is one of the paper's")
        ordered = _by_category(table, cells)
        lacking = "fewer than two of the paper's categories" if ordered is not None else _NO_MODEL_EVERYWHERE
        of_categories = _tau(ordered or [], lacking)
        rows.append((table.title, (Cell(of_cells), Cell(of_categories))))
    return Grid(
        "agreement", "Kendall's tau",
        "How far this study and the paper order the same things alike: 1 the same, \u22121 the reverse",
        "Figure", ("Cells of paired models", "Categories, by the mean over models"), tuple(rows),
        hints=(f"n is how many things are ordered; the interval (Fieller's) needs {LEAST_FOR_INTERVAL} of them and an "
               "order that is not just the same. The order of categories needs no model of the paper; the mean is that "
               "of the models which have the figure in every one of them.",),
    )  # fmt: skip


def _beside(table: _Table, cells: StudyCells, pairs: Mapping[str, str]) -> Grid:
    rows = []
    matched = _matched(table, cells, pairs)
    for category in dict.fromkeys(category for category, *_ in matched):
        own = [one for one in matched if one[0] == category]
        ours = ranks([one[2] for one in own], largest_first=table.is_dear_first)
        theirs = ranks([one[3] for one in own], largest_first=table.is_dear_first)
        for (_, model, measured, printed, n), our_rank, their_rank in zip(own, ours, theirs, strict=True):
            name = f"{category}, {model}" + (f" beside {pairs[model]}" if pairs[model] != model else "")
            figures = (
                Figure(measured, table.unit, n, n),
                Figure(printed, table.unit, paper.PROMPTS_PER_CELL, paper.PROMPTS_PER_CELL),
                Figure(measured / printed, Unit.RATIO, n, n),
                Figure(our_rank, Unit.RANK, len(own), len(own)),
                Figure(their_rank, Unit.RANK, len(own), len(own)),
            )
            rows.append((name, tuple(Cell(one) for one in figures)))
    unit = {Unit.SCI: " (mgCO2e)", Unit.SHARE: ""}[table.unit]
    return Grid(
        f"paper-{table.name}", table.title,
        "A rank is the place among the paired models of the category, the best first",
        "Category and model",
        (f"This study{unit}", f"The paper{unit}", "Ratio", "Rank here", "Rank in the paper"), tuple(rows),
    )  # fmt: skip


def _matched(table: _Table, cells: StudyCells, pairs: Mapping[str, str]) -> list[tuple[str, str, float, float, int]]:
    found = []
    for (category, model), cell in sorted(cells.cells.items()):
        printed = paper.CELLS.get((category, pairs.get(model, "")))
        ours = table.ours(cell)
        if printed is not None and ours is not None:
            found.append((category, model, ours, table.printed(printed), table.n(cell)))
    return found


def _by_category(table: _Table, cells: StudyCells) -> list[tuple[float, float]] | None:
    """Return our mean and the paper's of each category, over the same models in each; None where there is no such."""
    known: dict[str, dict[str, float]] = {}
    for (category, model), cell in sorted(cells.cells.items()):
        ours = table.ours(cell)
        if ours is not None and category in paper.CATEGORIES:
            known.setdefault(category, {})[model] = ours
    if not known:
        return []
    shared = set.intersection(*(set(models) for models in known.values()))
    if not shared:
        return None
    return [
        (
            fmean(models[model] for model in sorted(shared)),
            fmean(table.printed(one) for (name, _), one in paper.CELLS.items() if name == category),
        )
        for category, models in known.items()
    ]


def _tau(values: list[tuple[float, float]], why: str) -> Figure:
    tau = kendall_tau([one for one, _ in values], [other for _, other in values])
    if tau is None:
        return Figure(None, Unit.PLAIN, len(values), len(values), why=why)
    return Figure(tau.value, Unit.PLAIN, tau.n, tau.n, tau.low, tau.high)
