"""The spread of a study as rows for CSV: one a cell, a prompt of a cell, or a run of the control workload.

What is not known is None, never 0.
"""

from collections.abc import Iterable, Iterator

from benchmarks.drifting import ControlReport, control_report
from benchmarks.models import Study
from benchmarks.spread import CellSpread, Spread
from benchmarks.spreading import CellFigures, PromptSpread, cell_figures, prompt_spreads

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
CONTROL_COLUMNS = (
    "study", "model", "place", "started_at", "hours", "energy_j", "time_reserved_s", "output_token_count", "quality",
    "missing_reason", "outlier", "other_text", "n", "mean_j", "median_j", "variation", "change_first_to_last",
    "drift_per_hour", "drift_low_per_hour", "drift_high_per_hour", "drifted",
)  # fmt: skip
SPREAD_TABLES = ("cells", "prompts", "control")


def spread_table(*, study: Study, per: str) -> tuple[tuple[str, ...], Iterator[tuple[object, ...]]]:
    """Return the columns and rows of one of the `SPREAD_TABLES` of a study."""
    if per == "control":
        return CONTROL_COLUMNS, control_rows(study=study, report=control_report(study=study))
    spreads = prompt_spreads(study=study)
    if per == "prompts":
        return PROMPT_COLUMNS, prompt_rows(study=study, spreads=spreads)
    return CELL_COLUMNS, cell_rows(study=study, cells=cell_figures(spreads))


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


def control_rows(*, study: Study, report: ControlReport | None) -> Iterator[tuple[object, ...]]:
    """Yield a row as `CONTROL_COLUMNS` has them for each run; what all runs say together stands in each."""
    if report is None:
        return
    spread, drift = report.spread, report.drift
    together = (
        spread.n if spread else 0,
        *((spread.mean, spread.median, spread.variation) if spread else (None, None, None)),
        report.change,
        *((drift.share_per_hour, drift.low, drift.high, drift.is_seen) if drift else (None, None, None, None)),
    )
    for run in report.runs:
        yield (
            study.name, report.model, run.place, run.started_at.isoformat() if run.started_at else None, run.hours,
            run.energy_j, run.time_reserved_s, run.output_token_count, run.quality, run.missing_reason,
            run.is_outlier if run.energy_j is not None else None, run.has_other_text, *together,
        )  # fmt: skip


def _spread(spread: Spread | None, without: float | None) -> tuple[object, ...]:
    if spread is None:
        return (0, *(None for _ in _SPREAD[1:]))
    return (spread.n, spread.mean, spread.median, spread.variation, spread.low, spread.high, without)


def _of_repeats(cell: CellSpread | None) -> float | None:
    return None if cell is None else cell.variation_of_repeats
