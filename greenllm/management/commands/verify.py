"""Check every invariant of the installation."""

from typing import Any

from django.core.management.base import CommandError

from greenllm.verification.verifying import verify
from router.management.telling import RouterCommand
from router.wiring import vector_store


class Command(RouterCommand):
    help = "Check what must hold in the database, the index and the queue, and say what is broken; exit code 1 then."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = []
        for finding in verify(store=vector_store()):
            tally = finding.tally
            verdict = f"{tally.broken_count:,} broken" if tally.broken_count else "fine"
            self.stdout.write(f"{finding.name}: {tally.looked_at_count:,} looked at, {verdict}")
            for sentence in tally.told:
                self.stdout.write(f"  {sentence}")
            if tally.broken_count > len(tally.told):
                self.stdout.write(f"  and {tally.broken_count - len(tally.told):,} more")
            if tally.broken_count:
                broken.append(finding.name)
        if broken:
            raise CommandError(f"Broken: {', '.join(broken)}.")
        self.stdout.write("Everything holds.")
