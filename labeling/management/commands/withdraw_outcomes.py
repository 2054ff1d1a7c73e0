"""Take an import of outcomes back."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.management.telling import TellingCommand, study_named
from labeling.withdrawing import Withdrawal, foresee_withdrawal, withdraw_outcomes


class Command(TellingCommand):
    help = (
        "Take back what import_outcomes brought. Answers on which somebody has said something since stay with all of "
        "that; their imported score is voided."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", metavar="STUDY", help="The study that import_outcomes made.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would go and what would stay.")

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        if options["dry_run"]:
            self._tell(foresee_withdrawal(study=study))
            self.stdout.write("Nothing was changed (--dry-run).")
            return
        self._tell(withdraw_outcomes(study=study, now=timezone.now()))

    def _tell(self, found: Withdrawal) -> None:
        self.stdout.write(
            f"{found.study}: {found.answer_count:,} answers with their costs and {found.label_count:,} imported labels "
            "go."
        )
        if found.is_whole:
            self.stdout.write("Nobody has said anything on top of it: the study goes, with its models and prompts.")
        else:
            self.stdout.write(
                f"The study stays, with {found.kept_answer_count:,} answers on which something came on top "
                f"({found.kept_label_count:,} labels; flags, skips and what is known as gold too), their costs, and "
                f"{found.correction_count:,} corrections; {found.voided_label_count:,} imported labels there are void."
            )
        if found.discarded is not None and found.discarded.kept_prompt_count:
            self.stdout.write(f"{found.discarded.kept_prompt_count:,} prompts stay: something else has them too.")
