"""Run the graders over the answers of a study."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.telling import TellingCommand, study_named
from benchmarks.models import Study
from labeling.suggesting import accept_suggestions, acceptable_in, suggest, told_held_back
from labeling.wiring import graders


class Command(TellingCommand):
    help = "Let graders suggest verdicts for the answers of a study; --accept lets them stand in for labels."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Name of the study.")
        parser.add_argument(
            "--accept",
            action="store_true",
            help="Label unlabeled answers by the graders' word (source=grader), where graders may label.",
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
            self._accept(study)

    def _accept(self, study: Study) -> None:
        held_back = acceptable_in(study=study).held_back
        count = accept_suggestions(study=study)
        if held_back and not count:
            raise CommandError(f"No label was made: {told_held_back(held_back)}")
        self.stdout.write(f"{count} labels by graders (source=grader).")
        if held_back:
            self.stderr.write(told_held_back(held_back))
