"""Make a study of an archive."""

from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.bundling.archive import BundleError
from benchmarks.management.telling import TellingCommand
from greenllm.bundles.carriage import unpack_study


class Command(TellingCommand):
    help = "Import a study that manage.py export_study wrote, whole or not at all."
    told: ClassVar[tuple[type[Exception], ...]] = (BundleError,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="The archive.")
        parser.add_argument("--as", dest="name", help="Name of the study here; its own where absent.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                imported = unpack_study(
                    file=file, now=timezone.now(), name=options["name"], on_member=self._tell_progress
                )
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror or error}.") from error
        study, counts = imported.study, imported.counts
        self.stdout.write(
            f"Study {study} of the machine {study.machine or 'unknown'}: {counts['responses']:,} responses, "
            f"{counts.get('labels', 0):,} labels, SCI as it was scored there."
        )
        for note in imported.notes:
            self.stdout.write(f"Note: {note}")

    def _tell_progress(self, member: str, line_count: int) -> None:
        if line_count >= 10_000:
            self.stderr.write(f"{member}: {line_count:,} lines")
