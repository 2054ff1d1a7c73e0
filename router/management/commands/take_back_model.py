"""Make a model a candidate again."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from router.joining import take_back
from router.management.telling import RouterCommand, joining_model


class Command(RouterCommand):
    help = "Take a model back to candidate: what its evaluation has not measured is given up, its answers stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The model's name, for example smollm2:135m.")

    def handle(self, *args: Any, **options: Any) -> None:
        deployment = joining_model(options["name"])
        take_back(deployment=deployment, now=timezone.now())
        self.stdout.write(f"{deployment}: candidate. Have it evaluated with manage.py add_model --evaluate.")
