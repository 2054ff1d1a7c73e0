"""Let graders label in categories, or not any more."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.telling import TellingCommand
from labeling.models import Verdict
from labeling.switching import GraderRecord, GraderSwitch, TooFewBlindLabels, grader_switches, switch_graders


class Command(TellingCommand):
    help = "Show how right the graders of categories are, and let them label there (on), or not any more (off)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("state", choices=["on", "off"])
        parser.add_argument("categories", nargs="+", metavar="CATEGORY")
        parser.add_argument(
            "--confirm", action="store_true", help="Switch on although too few answers were judged blind to know."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        switches = {one.category.name: one for one in grader_switches()}
        for name in options["categories"]:
            if name not in switches:
                raise CommandError(f"There is no category {name!r}. There are: {', '.join(switches) or 'none yet'}.")
        for name in options["categories"]:
            self._switch(switches[name], is_on=options["state"] == "on", is_confirmed=options["confirm"])

    def _switch(self, switch: GraderSwitch, *, is_on: bool, is_confirmed: bool) -> None:
        for one in switch.graders:
            self.stdout.write(_told(one))
        try:
            switch_graders(switch=switch, is_on=is_on, person_id=None, is_confirmed=is_confirmed)
        except TooFewBlindLabels as error:
            raise CommandError(
                f"{error} Have people judge more, or give --confirm to switch it on all the same."
            ) from error
        if is_on:
            self.stdout.write(
                f"Graders may label in {switch.category}: manage.py grade --accept makes their suggestions labels. "
                f"{switch.label_count} labels that they gave count."
            )
        else:
            self.stdout.write(
                f"Graders may not label in {switch.category}: {switch.label_count} labels that they gave stay, "
                "but count for no verdict."
            )


def _told(one: GraderRecord) -> str:
    if one.concordance is None:
        return f"{one.grader}: people have judged nothing blind that it graded."
    parts = []
    for verdict in (Verdict.CORRECT, Verdict.INCORRECT):
        shares = {"precision": one.concordance.precision(verdict), "recall": one.concordance.recall(verdict)}
        parts += [
            f"{verdict} {name} unknown" if share is None
            else f"{verdict} {name} {share.value:.0%} [{share.low:.0%}, {share.high:.0%}] of {share.n}"
            for name, share in shares.items()
        ]  # fmt: skip
    return f"{one.grader} against people, on {one.blind_count} answers judged blind: {'; '.join(parts)}."
