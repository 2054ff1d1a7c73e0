"""Put the router's parts together from the settings; only interfaces use this."""

from collections.abc import Callable
from functools import lru_cache, partial

from django.conf import settings
from django.utils import timezone

from benchmarks.federating import Timeouts, connect, find_embedder
from benchmarks.inference.base import InferenceClient
from benchmarks.inference.interruption import Interruption
from benchmarks.models import InferenceServer
from router.answering import Gateway
from router.connections import DatabasePlace
from router.embedding import Embedder
from router.index import VectorStore


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


def embedder(*, interruption: Interruption | None = None) -> Embedder:
    """Return the embedder that the settings name.

    Raises:
        NoEmbedder: it has not been added to the federation.
    """
    deployment = find_embedder(name=settings.EMBEDDER_NAME, base_url=settings.EMBEDDER_HOST)
    return Embedder(deployment.language_model, connect_server(deployment.server, interruption=interruption))


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
        release=release,
    )


def interruptible_gateway(interruption: Interruption, place: DatabasePlace) -> Gateway:
    """Return what answering needs in a thread whose caller may leave before the end."""
    return Gateway(
        embedder=partial(embedder, interruption=interruption),
        store=vector_store(),
        connect=partial(connect_server, interruption=interruption),
        clock=timezone.now,
        is_prompt_text_kept=settings.KEEP_PROMPT_TEXT,
        keeps_with_consent=settings.KEEP_WITH_CONSENT,
        release=place.release,
        claim=place.claim,
        is_interrupted=lambda: interruption.is_set,
    )
