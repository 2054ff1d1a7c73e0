"""Write the labels of a study into a file."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.telling import TellingCommand, study_named
from labeling.exchanging.formats import Format, written
from labeling.exchanging.label_studio import LABEL_CONFIG


class Command(TellingCommand):
    help = "Write the labels of a study, as Label Studio, doccano, CSV or JSON Lines; import_labels reads each again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", help="Name of the study.")
        parser.add_argument("--format", choices=list(Format), default=Format.JSONL.value, help="jsonl where absent.")
        parser.add_argument("--output", type=Path, help="The file to make; standard output where absent.")
        parser.add_argument(
            "--with-unlabeled",
            action="store_true",
            help="Answers without a label too, to be judged elsewhere (label-studio and doccano).",
        )
        parser.add_argument(
            "--label-config", action="store_true", help="Write the labeling configuration for Label Studio instead."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["label_config"]:
            self._write(options["output"], [LABEL_CONFIG])
            return
        if not options["study"]:
            raise CommandError("Name the study: --study NAME.")
        file_format = Format(options["format"])
        if options["with_unlabeled"] and file_format in (Format.JSONL, Format.CSV):
            raise CommandError(
                f"{file_format.name_shown} has labels alone: leave --with-unlabeled out, or choose label-studio."
            )
        pieces = written(
            study=study_named(options["study"]), file_format=file_format, with_unlabeled=options["with_unlabeled"]
        )
        self._write(options["output"], pieces)

    def _write(self, path: Path | None, pieces: Any) -> None:  # Any: texts, however many
        if path is None:
            for piece in pieces:
                self.stdout.write(piece, ending="")
            return
        try:
            with path.open("w", encoding="utf8", newline="") as file:
                for piece in pieces:
                    file.write(piece)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
        self.stdout.write(f"{path}: {path.stat().st_size:,} bytes.")
