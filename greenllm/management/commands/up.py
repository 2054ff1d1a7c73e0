"""Run everything in the foreground."""

import signal
import threading
from typing import Any

from greenllm.management.telling import StackCommand
from greenllm.running import Stack


class Command(StackCommand):
    help = "Run services, web server and worker until Ctrl-C, which stops every process that this started."

    def handle(self, *args: Any, **options: Any) -> None:
        ending = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ending.set())
        with Stack(tell=self.stdout.write) as stack:
            self.stdout.write(f"GreenLLM is at {stack.start_programs()} (Ctrl-C stops it)")
            self.stdout.flush()
            ending.wait()
            self.stdout.write("Stopping.")
