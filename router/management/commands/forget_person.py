"""Delete what a person wrote, wherever it is kept."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from router.forgetting import drop_forgotten, forget_person, held_of
from router.management.telling import RouterCommand
from router.wiring import vector_store


class Command(RouterCommand):
    help = "Delete the conversations, prompts and comments of a person wherever they are kept; the account stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="Who.")
        parser.add_argument("--yes", action="store_true", help="Do it; without this it only says what there is.")

    def handle(self, *args: Any, **options: Any) -> None:
        person = get_user_model().objects.filter(username=options["username"]).first()
        if person is None:
            raise CommandError(f"There is nobody called {options['username']}.")
        if not options["yes"]:
            self.stdout.write(
                f"Kept of {person}: {held_of(person_id=person.pk).words}. Add --yes to delete it for good."
            )
            return
        forgotten = forget_person(person_id=person.pk)
        self.stdout.write(f"Deleted of {person}: {forgotten.words}.")
        self.stdout.write(f"{drop_forgotten(store=vector_store(), clock=timezone.now)} vectors left the index.")
