"""Attack the sandbox that generated code runs in, and say what it held."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from benchmarks.management.telling import TellingCommand
from labeling.isolation import check_isolation
from labeling.sandbox import SandboxError
from labeling.wiring import sandbox


class Command(TellingCommand):
    help = "Run hostile programs in the sandbox of generated code; exit code 1 if any gets through."
    told = (SandboxError,)

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = sandbox()
        self.stdout.write(f"sandbox: {chosen.name}" + ("" if chosen.is_isolated else " (no isolation)"))
        files = [settings.BASE_DIR / "manage.py", settings.VAR_DIR / "secret-key", Path("/etc/passwd")]
        broken = 0
        for finding in check_isolation(sandbox=chosen, files=[file for file in files if file.exists()]):
            broken += not finding.is_held
            self.stdout.write(f"{'held' if finding.is_held else 'GOT THROUGH':12} {finding.tries:52} {finding.outcome}")
        if broken:
            raise CommandError(f"{broken} hostile programs got through {chosen.name}.")
