"""Commands, ours and those of packages, run so that what one of them changes is noted: `manage.py` begins here."""

from collections.abc import Callable
from typing import Any

from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand


class NotingUtility(ManagementUtility):
    """Runs a command as Django does, and has it noted, whichever it is."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return a command that notes what it does."""
        command = super().fetch_command(subcommand)
        command.execute = _noting(command.execute, subcommand)  # type: ignore[method-assign]
        return command


def _noting(execute: Callable[..., Any], name: str) -> Callable[..., Any]:
    def noted(*args: Any, **options: Any) -> Any:
        from greenllm.acts.programs import acts_noted, os_user  # tables are there once Django is set up
        from greenllm.models import AdminAct

        with acts_noted(place=AdminAct.Place.SHELL, program=name, os_user=os_user()):
            return execute(*args, **options)

    return noted
