"""Put the router's parts together from the settings; only interfaces use this."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial

from django.conf import settings
from django.utils import timezone

from benchmarks.federating import Timeouts, connect, find_embedder
from benchmarks.inference.base import InferenceClient
from benchmarks.inference.interruption import Interruption
from benchmarks.models import Deployment, InferenceServer
from labeling.wiring import sandbox
from router.checking import Checker, all_checkers
from router.connections import DatabasePlace
from router.embedding import Embedder, WeightsWatch
from router.generating import Gateway
from router.in_memory import LoadedModels
from router.index import VectorStore
from router.told_abilities import ToldAbilities

_BRIEF_S = 2.0  # for the questions what a server has in memory, and what its models can
_watch = WeightsWatch()


def timeouts() -> Timeouts:
    """Return how long to wait for a server, as the settings have it."""
    return Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)


def connect_server(server: InferenceServer, *, interruption: Interruption | None = None) -> InferenceClient:
    """Return the client of a server with the time-outs of the settings."""
    return connect(server=server, timeouts=timeouts(), interruption=interruption)


@lru_cache(maxsize=1)
def vector_store() -> VectorStore:
    """Return this process's store of vectors."""
    return VectorStore(
        chroma_url=settings.CHROMA_URL,
        cache_dir=settings.VAR_DIR / "index",
        exact_limit=settings.EXACT_SEARCH_LIMIT,
    )


def own_embedder() -> Deployment:
    """Return the deployment of the embedder that the settings name.

    Raises:
        NoEmbedder: it has not been added to the federation.
    """
    return find_embedder(name=settings.EMBEDDER_NAME, base_url=settings.EMBEDDER_HOST)


def embedder() -> Embedder:
    """Return the embedder that the settings name.

    Raises:
        NoEmbedder: it has not been added to the federation.
    """
    return embedder_on(own_embedder())


def embedder_for(place: DatabasePlace, interruption: Interruption | None = None) -> Embedder:
    """Return the embedder for a thread that answers: it has no database connection while the server works.

    Raises:
        NoEmbedder: it has not been added to the federation.
    """
    return replace(prompt_embedder_on(own_embedder(), interruption=interruption), waiting=place.given_back)


def embedder_on(deployment: Deployment, *, interruption: Interruption | None = None) -> Embedder:
    """Return the embedder of a deployment with its server."""
    return Embedder(deployment.language_model, connect_server(deployment.server, interruption=interruption), _watch)


def prompt_embedder_on(deployment: Deployment, *, interruption: Interruption | None = None) -> Embedder:
    """Return the embedder of a deployment for one prompt that waits for its decision, and so no longer than set."""
    limit_s = settings.EMBEDDING_TIMEOUT_S
    client = connect(
        server=deployment.server,
        timeouts=Timeouts(min(settings.CONNECT_TIMEOUT_S, limit_s), limit_s, limit_s),
        interruption=interruption,
    )
    return Embedder(deployment.language_model, client, _watch)


@lru_cache(maxsize=1)
def loaded_models() -> LoadedModels:
    """Return this process's knowledge of what the servers have in memory."""
    return LoadedModels(connect=_connect_briefly)


@lru_cache(maxsize=1)
def told_abilities() -> ToldAbilities:
    """Return this process's knowledge of what models can beyond text."""
    return ToldAbilities(connect=_connect_briefly)


def _connect_briefly(server: InferenceServer) -> InferenceClient:
    return connect(server=server, timeouts=Timeouts(_BRIEF_S, _BRIEF_S, _BRIEF_S))


def checkers() -> Mapping[str, Checker]:
    """Return every checker by name, with this machine's sandbox."""
    return all_checkers(find_sandbox=sandbox)


def keep_connection() -> None:
    """Hold the database connection: for a command, which has one for itself."""


def gateway(*, release: Callable[[], None] = keep_connection) -> Gateway:
    """Return what answering needs; a web process gives its connections back while a model generates."""
    return Gateway(
        embedder=embedder,
        store=vector_store(),
        connect=connect_server,
        clock=timezone.now,
        is_prompt_text_kept=settings.KEEP_PROMPT_TEXT,
        keeps_with_consent=settings.KEEP_WITH_CONSENT,
        checkers=checkers(),
        release=release,
        loaded=loaded_models().of,
    )


def interruptible_gateway(interruption: Interruption, place: DatabasePlace) -> Gateway:
    """Return what answering needs in a thread whose caller may leave before the end."""
    return Gateway(
        embedder=partial(embedder_for, place, interruption),
        store=vector_store(),
        connect=partial(connect_server, interruption=interruption),
        clock=timezone.now,
        is_prompt_text_kept=settings.KEEP_PROMPT_TEXT,
        keeps_with_consent=settings.KEEP_WITH_CONSENT,
        checkers=checkers(),
        release=place.release,
        loaded=loaded_models().of,
        claim=place.claim,
        is_interrupted=lambda: interruption.is_set,
    )
