"""Write a study as another program reads it."""

from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.management.telling import TellingCommand, study_named
from greenllm.exports.writing import KINDS, ExportError, write_export


class Command(TellingCommand):
    help = (
        "Write a study for another program: CodeCarbon's emissions.csv, BoAmps reports, the Green Metrics Tool's phase "
        "statistics, or a dataset for the Hugging Face hub. docs/studies-exchange.md tells the columns."
    )
    told: ClassVar[tuple[type[Exception], ...]] = (ExportError,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=sorted(KINDS))
        parser.add_argument("--study", required=True)
        parser.add_argument("--out", type=Path, required=True, help="Folder to make; it may be there if it is empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        folder: Path = options["out"].absolute()
        try:
            files = write_export(study=study, kind=options["kind"], folder=folder, now=timezone.now())
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing was written.") from None
        for file in files:
            self.stdout.write(f"{file}: {file.stat().st_size:,} bytes")
