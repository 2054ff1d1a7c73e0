"""The spread of a study as rows for CSV: one a cell, or one a prompt of a cell. What is not known is None, never 0."""

from collections.abc import Iterable, Iterator

from benchmarks.models import Study
from benchmarks.spread import CellSpread, Spread
from benchmarks.spreading import CellFigures, PromptSpread

_SPREAD = ("n", "mean", "median", "variation", "low", "high", "mean_without_outliers")
_CELL = ("study", "model", "category", "parameters")
_ENERGY = tuple(f"energy_{name}" if name in {"n", "variation"} else f"energy_{name}_j" for name in _SPREAD)
_SCI = tuple(f"sci_{name}" if name in {"n", "variation"} else f"sci_{name}_gco2e" for name in _SPREAD)
CELL_COLUMNS = (
    *_CELL, "prompt_count", "answer_count", "missing_count", "outlier_count", "quality",
    *_ENERGY, "energy_variation_of_repeats", *_SCI, "sci_variation_of_repeats",
)  # fmt: skip
PROMPT_COLUMNS = (
    *_CELL, "dataset", "prompt", "role", "answer_count", "missing_count", "outlier_count", "outliers", "quality",
    *_ENERGY, *_SCI,
)  # fmt: skip


def cell_rows(*, study: Study, cells: Iterable[CellFigures]) -> Iterator[tuple[object, ...]]:
    """Yield a row as `CELL_COLUMNS` has them for each cell; its n are prompts, each counted once."""
    for one in cells:
        yield (
            study.name, one.cell.model, one.cell.category, one.cell.parameters,
            one.prompt_count, one.answer_count, one.missing_count, one.outlier_count, " ".join(one.qualities),
            *_spread(one.energy_j.between_prompts if one.energy_j else None, one.energy_without_j),
            _of_repeats(one.energy_j),
            *_spread(one.sci_gco2e.between_prompts if one.sci_gco2e else None, one.sci_without_gco2e),
            _of_repeats(one.sci_gco2e),
        )  # fmt: skip


def prompt_rows(*, study: Study, spreads: Iterable[PromptSpread]) -> Iterator[tuple[object, ...]]:
    """Yield a row as `PROMPT_COLUMNS` has them for each prompt of each cell; its n are repeats."""
    for one in spreads:
        yield (
            study.name, one.cell.model, one.cell.category, one.cell.parameters, one.dataset, one.prompt, one.role,
            len(one.repeats), one.missing_count, len(one.outlier_ids), " ".join(map(str, sorted(one.outlier_ids))),
            " ".join(one.qualities),
            *_spread(one.energy_j, one.energy_without_j),
            *_spread(one.sci_gco2e, one.sci_without_gco2e),
        )  # fmt: skip


def _spread(spread: Spread | None, without: float | None) -> tuple[object, ...]:
    if spread is None:
        return (0, *(None for _ in _SPREAD[1:]))
    return (spread.n, spread.mean, spread.median, spread.variation, spread.low, spread.high, without)


def _of_repeats(cell: CellSpread | None) -> float | None:
    return None if cell is None else cell.variation_of_repeats
