"""Print two studies side by side."""

import json
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.telling import TellingCommand, study_named
from greenllm.comparing.as_text import comparison_as_json, comparison_lines
from greenllm.comparing.studies import NothingToPair, compare_studies


class Command(TellingCommand):
    help = "Compare two studies prompt by prompt: energy, SCI, time, tokens and accuracy, with intervals and tests."
    told: ClassVar[tuple[type[Exception], ...]] = (NothingToPair,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("a", help="Name of the study A.")
        parser.add_argument("b", help="Name of the study B; the same one with --across-models.")
        parser.add_argument(
            "--across-models",
            nargs=2,
            metavar=("MODEL_A", "MODEL_B"),
            help="Pair the answers of one model in A with those of another in B.",
        )
        parser.add_argument(
            "--intensity", type=float, help="Carbon intensity of both, in gCO2e/kWh; A's where they differ."
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="Write the figures into a file, too.")

    def handle(self, *args: Any, **options: Any) -> None:
        across = options["across_models"]
        comparison = compare_studies(
            a=study_named(options["a"]),
            b=study_named(options["b"]),
            across_models=(across[0], across[1]) if across else None,
            intensity=options["intensity"],
        )
        for line in comparison_lines(comparison):
            self.stdout.write(line)
        if options["json"]:
            try:
                options["json"].write_text(json.dumps(comparison_as_json(comparison), indent=1) + "\n", encoding="utf8")
            except OSError as error:
                raise CommandError(f"{options['json']} cannot be written: {error.strerror or error}.") from error
