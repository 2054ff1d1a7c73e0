"""Whether each part that GreenLLM needs answers right now."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import django_rq
import psycopg
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

_TIMEOUT_S = 2


def _postgres() -> None:
    """Ask over a connection of its own: one of the pool is waited for too long where Postgres is away."""
    address = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor, "connect_timeout": _TIMEOUT_S}
    with psycopg.connect(**address) as own:
        own.execute("SELECT 1")


def _queue() -> None:
    django_rq.get_connection("default").ping()


def _reach(address: str) -> Callable[[], None]:
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)

    def probe() -> None:
        socket.create_connection((parts.hostname or "", port), timeout=_TIMEOUT_S).close()

    return probe


def parts_health() -> dict[str, str]:
    """Return `ok` or what is wrong for each part."""
    probes = {
        "postgres": _postgres,
        "queue": _queue,
        "chroma": _reach(settings.CHROMA_URL),
        "inference": _reach(settings.OLLAMA_HOST),
    }
    with ThreadPoolExecutor(len(probes)) as pool:
        running = {name: pool.submit(probe) for name, probe in probes.items()}
    found: dict[str, str] = {}
    for name, future in running.items():
        error = future.exception()
        found[name] = "ok" if error is None else f"unreachable ({type(error).__name__})"
    return found


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    parts = parts_health()
    is_well = all(state == "ok" for state in parts.values())
    return JsonResponse(
        {"status": "ok" if is_well else "degraded", "parts": parts},
        status=200 if parts["postgres"] == "ok" else 503,
    )
