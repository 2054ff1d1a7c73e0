"""How the inference servers are right now: which answer, and what they have in memory."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from benchmarks.inference.base import InferenceClient, InferenceError, LoadedModelsClient
from benchmarks.models import InferenceServer

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 16


@dataclass(frozen=True)
class ServerState:
    """What a server said a moment ago: its version, or the problem with it, and its models in memory.

    `loaded` is None where the server does not tell, or is away.
    """

    version: str
    problem: str
    loaded: frozenset[str] | None

    @property
    def is_well(self) -> bool:
        """Tell whether the server answers."""
        return not self.problem


def probe_servers(
    *,
    servers: Sequence[InferenceServer],
    connect: Callable[[InferenceServer], InferenceClient],
    patience_s: float,
) -> dict[int, ServerState]:
    """Ask every server at the same time how it is, and return each one's state by its primary key.

    A server that is away, refuses or has not answered after `patience_s` seconds has a state that says so; nothing
    is raised for it. The clients made by `connect` end their own questions, so none is left behind for long.
    """
    if not servers:
        return {}
    pool = ThreadPoolExecutor(min(len(servers), _MOST_AT_ONCE))
    running = {server.pk: pool.submit(_state_of, server, connect) for server in servers}
    done, _ = wait(running.values(), timeout=patience_s)
    pool.shutdown(wait=False, cancel_futures=True)
    late = ServerState("", f"It has not answered within {patience_s:g} s.", None)
    return {pk: future.result() if future in done else late for pk, future in running.items()}


def _state_of(server: InferenceServer, connect: Callable[[InferenceServer], InferenceClient]) -> ServerState:
    try:
        client = connect(server)
        version = client.health().version
    except InferenceError as error:
        return ServerState("", str(error), None)
    except Exception:  # an outer edge: a bug with one server must not hide the others
        logger.exception("server %s cannot be asked", server.pk)
        return ServerState("", "It cannot be asked; the log of the web process says why.", None)
    return ServerState(version, "", _loaded(client))


def _loaded(client: InferenceClient) -> frozenset[str] | None:
    if not isinstance(client, LoadedModelsClient):
        return None
    try:
        return frozenset(client.loaded_models())
    except InferenceError as error:
        logger.info("a server does not tell what it has in memory: %s", error)
        return None
