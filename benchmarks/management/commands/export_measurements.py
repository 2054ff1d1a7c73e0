"""Write what every channel measured in a study as CSV."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from benchmarks.exporting import COLUMNS, measurement_rows
from benchmarks.management.telling import TellingCommand, study_named
from benchmarks.management.writing import write_csv


class Command(TellingCommand):
    help = (
        "Write CSV with one line per measurement and channel of a study: its marks on both clocks, energy with its "
        "interval, and quality. docs/measuring-samples.md tells the columns."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True)
        parser.add_argument("--out", type=Path, help="File to write; the output where absent.")

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        path: Path | None = options["out"]
        count = write_csv(columns=COLUMNS, rows=measurement_rows(study=study), output=self.stdout, path=path)
        if count is not None:
            self.stdout.write(f"{count} lines of {study} written to {path}.")
