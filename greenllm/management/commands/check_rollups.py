"""Hold the rollups behind the pages against the rows that they count."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.telling import TellingCommand
from greenllm.rollups import Check, check_rollups, fold_rollups, repair_rollups


class Command(TellingCommand):
    help = (
        "Hold every rollup against the rows that it counts, and say which differ; exit code 1 where any does. "
        "Writers may go on meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="Count anew what is wrong.")

    def handle(self, *args: Any, repair: bool, **options: Any) -> None:
        checks = self._told(check_rollups())
        if repair and any(one.wrong_count for one in checks):
            repair_rollups()
            self.stdout.write("Counted anew:")
            checks = self._told(check_rollups())
        if any(one.wrong_count for one in checks):
            raise CommandError("Some rollups say something else than their rows. Add --repair to count them anew.")
        self.stdout.write(f"All rollups say what their rows say; {fold_rollups():,} rows folded.")

    def _told(self, checks: list[Check]) -> list[Check]:
        for one in checks:
            verdict = f"{one.wrong_count:,} wrong" if one.wrong_count else "right"
            self.stdout.write(f"{one.name}: {one.row_count:,} rows, {verdict}")
        return checks
