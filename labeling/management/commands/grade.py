"""Run the graders over the answers of a study."""

from typing import Any

from django.core.management.base import CommandParser

from benchmarks.management.telling import TellingCommand, study_named
from labeling.suggesting import accept_suggestions, suggest
from labeling.wiring import graders


class Command(TellingCommand):
    help = "Let graders suggest verdicts for the answers of a study; --accept lets them stand in for labels."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Name of the study.")
        parser.add_argument(
            "--accept",
            action="store_true",
            help="Label unlabeled answers by the graders' word (source=grader).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        suggested = suggest(study=study, graders=graders())
        self.stdout.write(
            f"{suggested.graded_count} answers graded, {suggested.ungradable_count} left to people (no usable check)."
        )
        for reason, count in sorted(suggested.reasons.items()):
            self.stderr.write(f"{count} answers: {reason}")
        if options["accept"]:
            self.stdout.write(f"{accept_suggestions(study=study)} labels by graders (source=grader).")
