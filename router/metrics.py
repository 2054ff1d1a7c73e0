"""What a web process counts for Prometheus: the families, their bounded labels, and what a scrape reads.

Masses are in gCO2e, durations in seconds. Only what is known is counted: a missing figure is never 0.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    Summary,
    disable_created_metrics,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from psutil import pid_exists

OTHERS = "(others)"
_MOST_NAMES = 200  # of models, keys and servers each; whoever comes later shares one series
_BRIEF_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_LONG_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

REGISTRY = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of when it began; nothing reads them


class Names:
    """Lets so many names be values of a label; so that their number is bounded, later ones share `OTHERS`."""

    def __init__(self, most: int = _MOST_NAMES) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return the value that stands for a name."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHERS
            self._known.add(name)
        return name


models, keys, servers = Names(), Names(), Names()

Family = TypeVar("Family", Counter, Gauge, Histogram, Summary)
_series: dict[tuple[object, ...], Any] = {}  # Any: of whatever family


def series(family: Family, *labels: str) -> Family:
    """Return what a family counts under its labels; kept, as prometheus_client looks labels up under a lock."""
    key = (family, *labels)
    found: Family | None = _series.get(key)
    if found is None:
        found = _series[key] = family.labels(*labels)
    return found


REQUESTS = Counter(
    "greenllm_requests",
    "Requests that ended; background is what a chat client wanted on its own behalf, empty where a person may ask.",
    ("scope", "surface", "state", "model", "background"),
    registry=REGISTRY,
)
TOKENS = Counter(
    "greenllm_tokens",
    "Tokens that models read (prompt) and wrote (output), as far as their servers told.",
    ("model", "kind", "background"),
    registry=REGISTRY,
)
PREDICTED = Summary(
    "greenllm_predicted_gco2e",
    "What answered requests were expected to cost in gCO2e, with the runs that a cascade discarded for them.",
    ("model", "quality", "background"),
    registry=REGISTRY,
)
MEASURED = Summary(
    "greenllm_measured_gco2e",
    "What answers were measured to cost in gCO2e, where they were measured.",
    ("model", "quality", "background"),
    registry=REGISTRY,
)
SAVED = Summary(
    "greenllm_saved_gco2e",
    "What choices were expected to save against the one strong model in gCO2e, where they save.",
    ("model", "quality", "background"),
    registry=REGISTRY,
)
EXTRA = Summary(
    "greenllm_extra_gco2e",
    "What choices were expected to cost more than the one strong model in gCO2e, where they do.",
    ("model", "quality", "background"),
    registry=REGISTRY,
)
CACHE_HITS = Counter(
    "greenllm_cache_hits", "Answers that the cache gave.", ("kind", "model"), registry=REGISTRY
)  # fmt: skip
CACHE_SAVED = Summary(
    "greenllm_cache_saved_gco2e",
    "What answers of the cache cost in gCO2e when they were made; no saving of routing.",
    ("kind", "quality"),
    registry=REGISTRY,
)
KEY_REQUESTS = Counter(
    "greenllm_key_requests",
    "Requests of an API key that ended.",
    ("key", "prefix", "scope", "state"),
    registry=REGISTRY,
)
KEY_DENIED = Counter(
    "greenllm_key_denied",
    "Requests of an API key that were not let in.",
    ("key", "prefix", "reason"),
    registry=REGISTRY,
)
KEY_TOKENS = Counter(
    "greenllm_key_tokens", "Tokens of the requests of an API key.", ("key", "prefix", "kind"), registry=REGISTRY
)
KEY_PREDICTED = Summary(
    "greenllm_key_predicted_gco2e",
    "What answered requests of an API key were expected to cost in gCO2e.",
    ("key", "prefix", "quality"),
    registry=REGISTRY,
)
DECISION = Histogram(
    "greenllm_decision_seconds",
    "Parts of decisions: embedding the prompt (0 where its vector was kept), search, choice.",
    ("part",),
    buckets=_BRIEF_S,
    registry=REGISTRY,
)
SERVER_WAIT = Histogram(
    "greenllm_server_wait_seconds",
    "How long requests waited for their turn at an inference server; 0 where it was free.",
    ("server",),
    buckets=_LONG_S,
    registry=REGISTRY,
)
FIRST_TOKEN = Histogram(
    "greenllm_first_token_seconds",
    "From asking an inference server to the first piece of its answer.",
    ("model",),
    buckets=_LONG_S,
    registry=REGISTRY,
)
DURATION = Histogram(
    "greenllm_request_seconds",
    "Requests from their beginning to their end.",
    ("model", "state"),
    buckets=_LONG_S,
    registry=REGISTRY,
)
AT_SERVERS = Gauge(
    "greenllm_server_requests",
    "Requests that an inference server is answering (asked) and that wait for their turn (waiting).",
    ("server", "state"),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
DENIED = Counter(
    "greenllm_denied",
    "Requests that were not let in: no key or an unknown one (key), or by its scope, model, rate or budget.",
    ("surface", "reason"),
    registry=REGISTRY,
)
ERROR_REPLIES = Counter(
    "greenllm_error_replies",
    "Error replies of the endpoint, before a byte of an answer left.",
    ("surface", "status"),
    registry=REGISTRY,
)


def scraped(*, folder: Path | None, others: Iterable[Collector] = ()) -> CollectorRegistry:
    """Return what a scrape reads: all that this process counted, and what `others` tell at the moment.

    Where `folder` is given, all processes that count into it are read (prometheus_client's multiprocess mode).
    """
    registry = CollectorRegistry()
    if folder is None:
        registry.register(REGISTRY)
        ProcessCollector(registry=registry)
    else:
        _forget_dead(folder)
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]  # it has no annotations
    for one in others:
        registry.register(one)
    return registry


def _forget_dead(folder: Path) -> None:
    """Remove what processes that are gone said of their present; what they counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        number = file.stem.rpartition("_")[2]
        if number.isdecimal() and not pid_exists(int(number)):
            mark_process_dead(int(number), str(folder))  # type: ignore[no-untyped-call]
