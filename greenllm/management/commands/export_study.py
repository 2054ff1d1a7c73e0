"""Write a study into one archive."""

from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.bundling.archive import BundleError
from benchmarks.management.telling import TellingCommand, study_named
from greenllm.bundles.carriage import pack_study_at

_TELL_EVERY = 10_000


class Command(TellingCommand):
    help = "Write a study with its answers, energy and judgements into one archive, for another installation."
    told: ClassVar[tuple[type[Exception], ...]] = (BundleError,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Name of the study.")
        parser.add_argument("file", type=Path, help="The archive to make, for example first.zip.")
        parser.add_argument(
            "--with-names", action="store_true", help="Keep the names of those who judged; annotator-1... otherwise."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["name"])
        manifest = pack_study_at(
            study=study,
            path=options["file"],
            now=timezone.now(),
            with_names=options["with_names"],
            on_row=self._tell_progress,
        )
        counts = manifest.counts
        size = options["file"].stat().st_size
        self.stdout.write(
            f"{options['file']}: study {study}, {counts['responses']:,} responses, {counts['energy_traces']:,} energy "
            f"traces, {counts['labels']:,} labels, {size:,} bytes. Import it with manage.py import_study."
        )

    def _tell_progress(self, member: str, line: int) -> None:
        if line % _TELL_EVERY == 0:
            self.stderr.write(f"{member}: {line:,} lines")
