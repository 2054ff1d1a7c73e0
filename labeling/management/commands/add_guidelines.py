"""Give categories the guidelines that come with GreenLLM."""

from typing import Any

from benchmarks.management.telling import TellingCommand
from labeling.guiding import ensure_guidelines


class Command(TellingCommand):
    help = (
        "Give each category without a guideline the one that comes with GreenLLM: "
        "code, math, questions, sql, translation."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        count = ensure_guidelines()
        self.stdout.write(f"{count} guideline{'' if count == 1 else 's'} added; what is there stays as it is.")
