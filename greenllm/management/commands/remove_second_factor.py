"""Take the second factor of somebody away who lost it, and every other admin with it."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.telling import TellingCommand
from greenllm.account.second_factor import remove_second_factor
from greenllm.models import User


class Command(TellingCommand):
    """For the day when no admin can sign in to do it on the page of the person."""

    help = "Take a person's second factor away: the password alone signs in, until another one is set up."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name that the person signs in by."""
        parser.add_argument("username", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take it away, or say that there is none."""
        person = User.objects.filter(username=options["username"]).first()
        if person is None:
            raise CommandError(f"There is nobody by the name {options['username']!r}. Names are case-sensitive.")
        if not remove_second_factor(person):
            raise CommandError(f"{person} has no second factor.")
        self.stdout.write(f"The second factor of {person} is taken away. The password alone signs in now.")
