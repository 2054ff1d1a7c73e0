"""Run the whole of GreenLLM on this machine: the services that it lacks, the web server and the worker."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.catalog import embedded_services
from greenllm.embedded.control import running
from greenllm.embedded.program import web_program, worker_program
from greenllm.embedded.supervisor import ServiceEvent, Supervisor

# the environment variable that replaces each embedded service by a real server
REPLACED_BY = {
    "postgres": "DATABASE_URL",
    "valkey": "REDIS_URL",
    "chroma": "CHROMA_URL",
    "llm": "OLLAMA_HOST",
}
_UVICORN_ARGUMENTS = (
    "--http", "greenllm.lingering:LingeringProtocol", "--lifespan", "on", "--log-level", "warning",
    "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "5",
)  # fmt: skip


def needed_services() -> list[str]:
    """Return the names of the embedded services that no real server replaces."""
    return [name for name, variable in REPLACED_BY.items() if not os.environ.get(variable)]


class Stack:
    """The running parts; leaving the context stops every process that was started.

    Where `manage.py services start` runs the services already, they are used and left running.
    """

    def __init__(self, *, tell: Callable[[str], object], is_worker_wanted: bool = True) -> None:
        self._tell = tell
        self._is_worker_wanted = is_worker_wanted
        self._is_detached = bool(needed_services()) and running(settings.EMBEDDED)
        # a supervisor owns its folder: beside one in the background, web and worker get a folder of their own
        self._layout = EmbeddedLayout(settings.VAR_DIR / "programs") if self._is_detached else settings.EMBEDDED
        names = [] if self._is_detached else needed_services()
        self._supervisor = Supervisor(self._layout, embedded_services(settings.EMBEDDED, names), self._report)

    def __enter__(self) -> "Stack":
        self._supervisor.start()
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except BaseException:
            self._supervisor.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop()

    def start_programs(self, *, env: dict[str, str] | None = None) -> str:
        """Start the web server and the worker; return the address of the pages.

        Raises:
            EmbeddedError: the port is taken, or a program ends at its start.
        """
        root = Path(settings.BASE_DIR)
        port = settings.WEB_PORT
        web = [sys.executable, "-m", "uvicorn", "greenllm.asgi:application", "--host", settings.WEB_HOST]
        web += ["--port", str(port), *_UVICORN_ARGUMENTS]
        self._supervisor.add(web_program(self._layout, web, port=port, env=env, cwd=root))
        if self._is_worker_wanted:
            worker = [sys.executable, str(root / "manage.py"), "work"]
            self._supervisor.add(worker_program(self._layout, worker, env=env, cwd=root))
        self._supervisor.wait_ready("web")
        return f"http://{settings.WEB_HOST}:{port}"

    def _report(self, event: ServiceEvent) -> None:
        if event.detail:
            self._tell(f"  {event.service}: {event.state} {event.detail}")
