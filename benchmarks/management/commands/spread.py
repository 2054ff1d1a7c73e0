"""Tell how far the answers of a study lie apart."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.drifting import control_report
from benchmarks.management.drift_words import told_control
from benchmarks.management.telling import TellingCommand, study_named
from benchmarks.management.writing import write_csv
from benchmarks.models import Study
from benchmarks.spread import MIN_COUNT_FOR_OUTLIERS, Spread
from benchmarks.spread_rows import SPREAD_TABLES, spread_table
from benchmarks.spreading import CellFigures, cell_figures, prompt_spreads


class Command(TellingCommand):
    help = (
        "Tell mean, median, coefficient of variation and 95 %% interval of energy and SCI of each cell of a study, and "
        "its outliers, and whether the control workload drifted; or write cells, prompts or control runs as CSV. "
        "docs/spread.md tells the columns."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True)
        parser.add_argument("--csv", choices=SPREAD_TABLES, help="Write CSV with one line for each of these.")
        parser.add_argument("--out", type=Path, help="With --csv: file to write; the output where absent.")

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        if options["csv"] is None:
            if options["out"] is not None:
                raise CommandError("Say with --csv what to write to the file.")
            self._tell(study)
            return
        columns, rows = spread_table(study=study, per=options["csv"])
        count = write_csv(columns=columns, rows=rows, output=self.stdout, path=options["out"])
        if count is not None:
            self.stdout.write(f"{count} lines of {study} written to {options['out']}.")

    def _tell(self, study: Study) -> None:
        cells = cell_figures(prompt_spreads(study=study))
        for one in cells:
            self.stdout.write(_told(one))
        if not cells:
            self.stdout.write(f"{study} has no finished answer yet.")
        elif study.repeats < MIN_COUNT_FOR_OUTLIERS:
            self.stdout.write(f"Outliers cannot be told among fewer than {MIN_COUNT_FOR_OUTLIERS} repeats.")
        report = control_report(study=study)
        if report is not None:
            self.stdout.write(told_control(report))


def _told(one: CellFigures) -> str:
    energy, sci = one.energy_j, one.sci_gco2e
    told = [
        f"{one.cell.model}, {one.cell.category}, {one.cell.parameters}: {one.prompt_count} prompts, "
        f"{one.answer_count} answers, {one.missing_count} energies missing, {', '.join(one.qualities)}",
        f"  energy {_spread(energy.between_prompts if energy else None, 1.0, 'J')}"
        + (
            f", repeats vary by {energy.variation_of_repeats:.1%}"
            if energy is not None and energy.variation_of_repeats is not None
            else ""
        ),
        f"  SCI    {_spread(sci.between_prompts if sci else None, 1000.0, 'mgCO2e')}",
    ]
    if one.outlier_count and one.energy_without_j is not None:
        told.append(f"  {one.outlier_count} outliers, counted above; without them {one.energy_without_j:.4g} J")
    return "\n".join(told)


def _spread(spread: Spread | None, scale: float, unit: str) -> str:
    if spread is None:
        return "missing, n = 0"
    told = f"mean {spread.mean * scale:.4g} {unit}, median {spread.median * scale:.4g} {unit}, n = {spread.n} prompts"
    if spread.low is None or spread.high is None:
        return f"{told}: no interval can be given of one"
    variation = "" if spread.variation is None else f", variation {spread.variation:.1%}"
    return f"{told}{variation}, 95 % interval {spread.low * scale:.4g} to {spread.high * scale:.4g} {unit}"
