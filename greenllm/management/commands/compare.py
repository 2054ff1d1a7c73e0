"""Print the router beside each model and the oracle."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.management.telling import study_named
from greenllm.comparison_table import comparison_lines
from router.evaluating import compare
from router.management.telling import RouterCommand
from router.wiring import embedder, vector_store


class Command(RouterCommand):
    help = "Route the validation prompts of a study and compare the router with each model and the oracle."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Name of the study.")

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        compared = compare(study=study, embedder=embedder(), store=vector_store(), clock=timezone.now)
        for line in comparison_lines(compared):
            self.stdout.write(line)
