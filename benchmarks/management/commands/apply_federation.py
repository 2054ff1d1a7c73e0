"""Add, activate and retire models as a federation file says, in one reviewed step."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.describing import OtherWeights
from benchmarks.federating import Timeouts, connect
from benchmarks.federation_file import FederationFileError, read_federation_file
from benchmarks.federation_plan import FederationPlan, apply_plan, plan_federation
from benchmarks.inference.base import InferenceClient
from benchmarks.management.telling import TellingCommand
from benchmarks.models import InferenceServer


class Command(TellingCommand):
    help = (
        "Make the federation what a TOML file says (docs/inference.md): shows the plan, asks, and applies all of it "
        "or nothing. Applied twice, the second time changes nothing."
    )
    told = (FederationFileError, OtherWeights)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--yes", action="store_true", help="Apply without asking.")
        parser.add_argument("--dry-run", action="store_true", help="Show the plan and change nothing.")
        parser.add_argument("--retire-missing", action="store_true", help="Retire what the file does not name.")

    def handle(self, *args: Any, **options: Any) -> None:
        file = read_federation_file(path=options["file"], default_machine=settings.MACHINE_NAME)
        plan = plan_federation(file=file, connect=_connect, retires_missing=options["retire_missing"])
        self._show(plan)
        if options["dry_run"] or not plan.steps:
            return
        if not options["yes"]:
            self._confirm(len(plan.steps))
        apply_plan(plan=plan, now=timezone.now())
        self.stdout.write(f"{len(plan.steps)} changes applied")

    def _show(self, plan: FederationPlan) -> None:
        for step in plan.steps:
            self.stdout.write(f"  {step}")
        if not plan.steps:
            self.stdout.write("Nothing to change: the federation is as the file says")
        if plan.unnamed:
            self.stdout.write(f"Not in the file, and kept (--retire-missing retires them): {', '.join(plan.unnamed)}")

    def _confirm(self, change_count: int) -> None:
        """Ask on a terminal; nobody is there to ask elsewhere."""
        if not sys.stdin.isatty():
            raise CommandError("Nothing was changed: there is no terminal to ask on. Say --yes to apply the plan.")
        self.stdout.write(f"Apply these {change_count} changes? [y/N] ", ending="")
        self.stdout.flush()
        if input().strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was changed.")


def _connect(server: InferenceServer) -> InferenceClient:
    timeouts = Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)
    return connect(server=server, timeouts=timeouts)
