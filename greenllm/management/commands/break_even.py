"""Print how many routed prompts repay a study."""

import json
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.management.telling import study_named
from greenllm.comparing.as_text import break_even_as_json, break_even_lines
from greenllm.comparing.breaking_even import NoBaseline, break_even
from router.management.telling import RouterCommand
from router.wiring import embedder, vector_store


class Command(RouterCommand):
    help = (
        "Reckon how many routed prompts repay what a study itself emitted, against one model that answers everything."
    )
    told: ClassVar[tuple[type[Exception], ...]] = (*RouterCommand.told, NoBaseline)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Name of the study.")
        parser.add_argument("--baseline", metavar="MODEL", help="The model alone; the most accurate one where absent.")
        parser.add_argument("--json", action="store_true", help="Print the figures as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = break_even(
            study=study_named(options["study"]),
            embedder=embedder(),
            store=vector_store(),
            clock=timezone.now,
            baseline=options["baseline"],
        )
        if options["json"]:
            self.stdout.write(json.dumps(break_even_as_json(found), indent=1))
            return
        for line in break_even_lines(found):
            self.stdout.write(line)
