"""Make an API key for a person."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from router.keys import create_key
from router.management.telling import RouterCommand


class Command(RouterCommand):
    help = "Make an API key for a person and print it; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="What the key is for.")

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no person {options['username']!r}; make one in the admin.")
        self.stdout.write(create_key(owner_id=user.pk, name=options["name"]).secret)
