"""Whether each part that GreenLLM needs answers: asked for `/health`, and now and then for the banner of pages."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from benchmarks.meters.ring_directory import default_directory
from benchmarks.meters.ring_glance import glance
from benchmarks.queueing import impatient_connection, listening_queues
from benchmarks.units import NANOSECONDS_PER_SECOND

OK = "ok"
IDLE = "idle"  # of the sampler: nothing is being measured
_TIMEOUT_S = 2
_BANNER_FRESH_S = 5.0
_BANNER_PATIENCE_S = 0.2  # a page waits no longer for a look at the parts
_BANNER_OLDEST_S = 60.0  # older than that, nothing is told any more
_LATELY_NS = 2 * NANOSECONDS_PER_SECOND

# Chat models that the router may choose, and machines with a study that runs: what must be there for both.
_ASKED = """
    SELECT DISTINCT server.base_url FROM benchmarks_inferenceserver server
    JOIN benchmarks_deployment deployment ON deployment.server_id = server.id
    WHERE deployment.state = 'active' AND NOT server.is_router
"""
_MEASURING = """
    SELECT DISTINCT machine.name FROM benchmarks_machine machine
    JOIN benchmarks_study study ON study.machine_id = machine.id WHERE study.state = 'running'
"""

MEANING = {
    "postgres": "The database does not answer: nothing can be shown or saved.",
    "queue": "The queue (Valkey) does not answer: studies and other jobs stand still. Pages, labels and chat go on.",
    "worker": "No worker runs: studies and other jobs stand still until manage.py work runs again.",
    "sampler": "A meter gives no readings: answers measured now have gaps and are measured again.",
    "chroma": "Chroma does not answer: routing goes by the index that it knows; no index can be built.",
    "embedder": "The embedder does not answer: prompts to auto go to the fallback model.",
    "inference": "An inference server does not answer: its models neither answer nor are measured.",
}


class PartAway(Exception):
    """A part was reached and is not as it should be; the message says how."""


@dataclass(frozen=True)
class Needs:
    """What Postgres says is needed: addresses of inference servers, and machines that measure."""

    servers: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()


def _postgres() -> Needs:
    """Ask over a connection of its own: one of the pool is waited for too long where Postgres is away."""
    address = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor, "connect_timeout": _TIMEOUT_S}
    with psycopg.connect(**address) as own:
        try:
            return Needs(*(tuple(str(row[0]) for row in own.execute(query)) for query in (_ASKED, _MEASURING)))
        except psycopg.errors.UndefinedTable:  # not migrated yet, or of another version
            return Needs()


def _queue() -> dict[str, int]:
    """Return how many living workers listen on each queue."""
    with impatient_connection() as queue:
        return listening_queues(queue)


def _reach(address: str) -> None:
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname or "", port), timeout=_TIMEOUT_S).close()


def _sampler() -> str:
    """Return `ok`, or `idle` where none runs on this machine.

    Raises:
        PartAway: it shows no sign of life, or a channel gives no readings.
    """
    seen = glance(default_directory(settings.MACHINE_NAME), now_ns=time.monotonic_ns(), span_ns=_LATELY_NS)
    silent = [one for one in seen.channels if one.silent_ns]
    if silent:
        raise PartAway(f"silent for {max(one.silent_ns for one in silent) // NANOSECONDS_PER_SECOND} s")
    failing = sorted(one.header.identity.channel.name for one in seen.channels if one.is_failing)
    if failing:
        raise PartAway(f"no readings of {', '.join(failing)}")
    return OK if seen.channels else IDLE


def _workers(listening: Mapping[str, int], needs: Needs) -> None:
    if not listening.get("default"):
        raise PartAway("none runs")
    missing = [name for name in needs.machines if not listening.get(f"measure-{name}")]
    if missing:
        raise PartAway(f"none runs on {', '.join(missing)}, where a study runs")


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, PartAway) else f"unreachable ({type(error).__name__})"


def parts_health() -> dict[str, str]:
    """Return `ok`, `idle` or what is wrong for each part; takes up to a few seconds where one hangs."""
    with ThreadPoolExecutor(4) as pool:
        found: dict[str, str] = {}

        def asked(name: str, probe: Callable[[], object]) -> object | None:
            try:
                answer = probe()
            except Exception as error:  # noqa: BLE001  an outer edge: whatever it is, the part is told as away
                found[name] = _told(error)
                return None
            found[name] = answer if isinstance(answer, str) else OK
            return answer

        postgres, queue = pool.submit(asked, "postgres", _postgres), pool.submit(asked, "queue", _queue)
        pool.submit(asked, "chroma", lambda: _reach(settings.CHROMA_URL))
        pool.submit(asked, "embedder", lambda: _reach(settings.EMBEDDER_HOST))
        pool.submit(asked, "sampler", _sampler)
        answer, listening = postgres.result(), queue.result()
        needs = answer if isinstance(answer, Needs) else Needs()
        asked("worker", lambda: _workers_known(listening, needs))
        asked("inference", lambda: _reach_all(pool, needs.servers or (settings.OLLAMA_HOST,)))
    return {name: found[name] for name in MEANING}


def _workers_known(listening: object | None, needs: Needs) -> None:
    if not isinstance(listening, dict):
        raise PartAway("unknown: the queue does not answer")
    _workers(listening, needs)


def _reach_all(pool: ThreadPoolExecutor, addresses: tuple[str, ...]) -> None:
    errors = [one.exception() for one in [pool.submit(_reach, address) for address in addresses]]
    away = [type(one).__name__ for one in errors if one is not None]
    if away and len(addresses) == 1:
        raise PartAway(f"unreachable ({away[0]})")
    if away:
        raise PartAway(f"{len(away)} of {len(addresses)} unreachable ({', '.join(sorted(set(away)))})")


class HealthWatch:
    """What was found at the latest look; one look at a time, in a thread of its own.

    Args:
        look: returns the state of each part.
        clock: seconds.
    """

    def __init__(self, look: Callable[[], dict[str, str]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._clock = look, clock
        self._changed = threading.Condition()
        self._found: dict[str, str] = {}
        self._found_at: float | None = None
        self._is_looking = False

    def parts(self, *, fresh_s: float, patience_s: float | None = None) -> dict[str, str]:
        """Return what was found, looking again where that is older than `fresh_s`; waits at most `patience_s`.

        Who has no more patience gets what was found before, which is nothing where that is too old to be told.
        """
        with self._changed:
            if not self._is_younger_than(fresh_s):
                if not self._is_looking:
                    self._is_looking = True
                    threading.Thread(target=self._renew, name="health", daemon=True).start()
                self._changed.wait_for(lambda: not self._is_looking, patience_s)
            return dict(self._found) if self._is_younger_than(_BANNER_OLDEST_S) else {}

    def _renew(self) -> None:
        try:
            found = self._look()
            with self._changed:
                self._found, self._found_at = found, self._clock()
        finally:
            with self._changed:
                self._is_looking = False
                self._changed.notify_all()

    def _is_younger_than(self, age_s: float) -> bool:
        return self._found_at is not None and self._clock() - self._found_at < age_s


watch = HealthWatch(parts_health)


@dataclass(frozen=True)
class AwayPart:
    """A part that is away, for the banner."""

    name: str
    state: str
    meaning: str


def is_well(state: str) -> bool:
    """Tell whether a part is as it should be."""
    return state in {OK, IDLE}


def away_parts() -> list[AwayPart]:
    """Return what a page tells of parts that are away; costs at most a fifth of a second, and mostly nothing.

    While the queue is away nobody knows of workers: that alone is not told twice.
    """
    if not settings.WATCHES_PARTS:
        return []
    found = watch.parts(fresh_s=_BANNER_FRESH_S, patience_s=_BANNER_PATIENCE_S)
    away = {name: state for name, state in found.items() if not is_well(state)}
    if "queue" in away:
        away.pop("worker", None)
    return [AwayPart(name, state, MEANING[name]) for name, state in away.items()]


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    parts = watch.parts(fresh_s=0)
    return JsonResponse(
        {"status": "ok" if all(is_well(state) for state in parts.values()) else "degraded", "parts": parts},
        status=200 if parts.get("postgres") == OK else 503,
    )
