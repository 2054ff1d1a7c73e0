"""Read the labels of a file into a study."""

from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.bundling.archive import BundleError
from benchmarks.management.telling import TellingCommand, study_named
from labeling.exchanging.entries import FileRefused, Reading
from labeling.exchanging.fields import Refusal
from labeling.exchanging.formats import Format, format_of, read_labels
from labeling.exchanging.importing import ImportReport, import_labels


class Command(TellingCommand):
    help = "Import labels of a study's answers from Label Studio, doccano, CSV or JSON Lines; says what it refuses."
    told: ClassVar[tuple[type[Exception], ...]] = (FileRefused, BundleError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="The file.")
        parser.add_argument("--study", required=True, help="Name of the study whose answers were judged.")
        parser.add_argument("--format", choices=list(Format), help="Told from the file where absent.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be imported and refused.")
        parser.add_argument(
            "--make-annotators",
            action="store_true",
            help="Make people, who cannot sign in, for names that are unknown here; such lines are refused otherwise.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study, reading = study_named(options["study"]), Reading()
        try:
            with options["file"].open("rb") as file:
                file_format = Format(options["format"] or format_of(file=file))
                report = import_labels(
                    study=study,
                    entries=read_labels(file=file, file_format=file_format, reading=reading),
                    reading=reading,
                    now=timezone.now(),
                    makes_annotators=options["make_annotators"],
                    is_preview=options["dry_run"],
                    on_refusal=self._tell_refusal,
                )
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror or error}.") from error
        self._tell(report, file_format)
        if report.refused_count and not (report.imported_count or report.already_count):
            raise CommandError("No line could be imported.")

    def _tell_refusal(self, refusal: Refusal) -> None:
        self.stderr.write(str(refusal))

    def _tell(self, report: ImportReport, file_format: Format) -> None:
        done = "would be imported" if report.is_preview else "imported"
        kinds = ", ".join(f"{count:,} {source}" for source, count in report.by_source)
        self.stdout.write(
            f"{file_format.name_shown}: {report.imported_count:,} labels {done}{f' ({kinds})' if kinds else ''}, "
            f"{report.already_count:,} are here already, {report.refused_count:,} refused."
        )
        if report.made_names:
            self.stdout.write(f"People who cannot sign in, for names unknown here: {', '.join(report.made_names)}.")
        for note in report.notes:
            self.stdout.write(f"Note: {note}")
