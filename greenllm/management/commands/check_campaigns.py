"""Look whether the judging of a study has ended or stalled, as the worker does now and then."""

from typing import Any

from benchmarks.management.telling import TellingCommand
from greenllm.notices.jobs import check_campaigns


class Command(TellingCommand):
    help = (
        "Notice whether the judging of a study has ended or stalled, and tell the admins. The worker does so about "
        "every ten minutes; for cron where no worker runs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(check_campaigns())
