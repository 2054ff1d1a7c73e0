"""Let the router choose a model whose answers are judged."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from router.admitting import activate_judged
from router.management.telling import RouterCommand, joining_model


class Command(RouterCommand):
    help = "Activate a model once its answers to the known prompts are judged; see manage.py preview_model first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The model's name, for example smollm2:135m.")
        parser.add_argument(
            "--with-unjudged", type=int, default=0, metavar="N", help="Accept so many answers without a verdict."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        deployment = joining_model(options["name"])
        activate_judged(deployment=deployment, accepted_count=options["with_unjudged"], now=timezone.now())
        self.stdout.write(f"{deployment}: active, the router may choose it from now on.")
