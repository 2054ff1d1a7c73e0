"""Start, stop and look at the embedded services."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from greenllm.embedded.control import start_detached, status, stop_detached
from greenllm.management.telling import StackCommand
from greenllm.running import REPLACED_BY, needed_services


class Command(StackCommand):
    help = "Start, stop or show the embedded services (Postgres, Valkey, Chroma, LLM server) in the background."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status"])

    def handle(self, *args: Any, **options: Any) -> None:
        {"start": self._start, "stop": self._stop, "status": self._show}[options["action"]]()

    def _start(self) -> None:
        names = needed_services()
        if not names:
            self.stdout.write(f"Nothing to start: {', '.join(REPLACED_BY.values())} are all set.")
            return
        start_detached(settings.EMBEDDED, names)
        self._show()

    def _stop(self) -> None:
        was_running = stop_detached(settings.EMBEDDED)
        self.stdout.write("Stopped." if was_running else "Nothing was running.")

    def _show(self) -> None:
        for found in status(settings.EMBEDDED):
            replaced = REPLACED_BY.get(found.name)
            if replaced and found.name not in needed_services():
                self.stdout.write(f"{found.name:<10} replaced by {replaced}")
                continue
            restarts = (
                f", restarted {found.record.restart_count} times" if found.record and found.record.restart_count else ""
            )
            self.stdout.write(f"{found.name:<10} {'up' if found.is_up else 'down':<5} {found.address}{restarts}")
