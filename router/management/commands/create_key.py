"""Make an API key for a person, with what it may be used for."""

from dataclasses import fields
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from router.key_terms import WantedTerms, create_key_with, validate_terms
from router.management.telling import RouterCommand
from router.terms import Scope

_OPTIONS = {
    "scopes": "--scope",
    "allowed_models": "--model",
    "requests_per_minute": "--requests-per-minute",
    "tokens_per_minute": "--tokens-per-minute",
    "budget_gco2e_per_hour": "--budget-hour",
    "soft_gco2e_per_day": "--soft-day",
    "hard_gco2e_per_day": "--hard-day",
    "soft_gco2e_per_month": "--soft-month",
    "hard_gco2e_per_month": "--hard-month",
}
_BUDGETS = {
    "budget_gco2e_per_hour": "Carbon budget of an hour in gCO2e, kept by cheaper models.",
    "soft_gco2e_per_day": "gCO2e a day (UTC) past which the cheapest plausible model answers.",
    "hard_gco2e_per_day": "gCO2e a day (UTC) past which requests are refused.",
    "soft_gco2e_per_month": "The same a month.",
    "hard_gco2e_per_month": "The same a month.",
}


class Command(RouterCommand):
    help = "Make an API key for a person and print it; it cannot be shown again. What is left out is not limited."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="What the key is for.")
        parser.add_argument(
            "--scope", dest="scopes", action="extend", nargs="+", choices=[scope.value for scope in Scope],
            default=[], help="What the key opens; without it, everything.",
        )  # fmt: skip
        parser.add_argument(
            "--model", dest="allowed_models", action="extend", nargs="+", metavar="MODEL", default=[],
            help="Names of the models that may answer; without it, every one.",
        )  # fmt: skip
        for name, what in (("requests_per_minute", "Requests"), ("tokens_per_minute", "Tokens, read and written,")):
            parser.add_argument(_OPTIONS[name], dest=name, type=int, metavar="N", help=f"{what} a minute.")
        for name, words in _BUDGETS.items():
            parser.add_argument(_OPTIONS[name], dest=name, type=float, metavar="GRAMS", help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no person {options['username']!r}; make one in the admin.")
        wanted = {field.name: options[field.name] for field in fields(WantedTerms)}
        for several in ("scopes", "allowed_models"):
            wanted[several] = list(dict.fromkeys(wanted[several]))
        terms = WantedTerms(**wanted)
        try:
            validate_terms(terms)
        except ValidationError as error:
            lines = [f"{_OPTIONS[name]}: {' '.join(messages)}" for name, messages in error.message_dict.items()]
            raise CommandError("\n".join(lines)) from error
        self.stdout.write(create_key_with(owner_id=user.pk, name=options["name"], terms=terms).secret)
