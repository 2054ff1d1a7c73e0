"""Which models the servers have in memory, asked seldom and never waited for long."""

import time
from collections.abc import Callable, Iterable

from benchmarks.inference.base import InferenceClient, LoadedModelsClient
from benchmarks.models import InferenceServer
from router.asked_lately import AskedLately

KEPT_S = 5.0  # a server keeps a model for minutes, and a wrong word costs no more than one load
PATIENCE_S = 0.15  # for a server of which nothing is known; what comes later counts for the next decision

Loaded = frozenset[str] | None


class LoadedModels:
    """What each server has in memory, kept for some seconds in this process; safe to use from several threads.

    A server that is known is never waited for: its old word counts until the new one is there.
    """

    def __init__(
        self,
        *,
        connect: Callable[[InferenceServer], InferenceClient],
        clock_s: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._connect = connect
        self._kept: AskedLately[InferenceServer, int, frozenset[str]] = AskedLately(
            self._ask,
            key=lambda server: server.pk,
            about="what the server has in memory",
            kept_s=KEPT_S,
            patience_s=patience_s,
            clock_s=clock_s,
        )

    def of(self, servers: Iterable[InferenceServer]) -> dict[int, Loaded]:
        """Return the names of the models in each server's memory by its key; None where it does not tell in time."""
        return self._kept.of(servers)

    def _ask(self, server: InferenceServer) -> Loaded:
        client = self._connect(server)
        return frozenset(client.loaded_models()) if isinstance(client, LoadedModelsClient) else None
