"""Write what every channel measured in a study as CSV."""

import csv
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.exporting import COLUMNS, measurement_rows
from benchmarks.management.telling import TellingCommand, study_named


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
        if path is None:
            self._write(study, self.stdout)
            return
        unfinished = path.with_name(f"{path.name}.part")
        try:
            with unfinished.open("w", encoding="utf8", newline="") as file:
                count = self._write(study, file)
            unfinished.replace(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error}") from error
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing was written.") from None
        finally:
            unfinished.unlink(missing_ok=True)
        self.stdout.write(f"{count} lines of {study} written to {path}.")

    def _write(self, study: Any, file: Any) -> int:  # Any: whatever csv writes to
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        count = 0
        for row in measurement_rows(study=study):
            writer.writerow(row)
            count += 1
        return count
