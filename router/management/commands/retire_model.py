"""Take a model out of routing; its history stays."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.federating import find_deployment
from router.leaving import retire_model
from router.management.telling import RouterCommand


class Command(RouterCommand):
    help = "Retire a model: out of routing at once, without re-embedding; its measurements and labels stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The model's name, for example smollm2:135m.")

    def handle(self, *args: Any, **options: Any) -> None:
        deployment = find_deployment(name=options["name"])
        retire_model(deployment=deployment, now=timezone.now())
        self.stdout.write(f"{deployment}: retired. Its history is kept; manage.py add_model brings it back.")
