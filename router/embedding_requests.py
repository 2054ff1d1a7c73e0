"""Embed texts for a client: with a model that it names, or for `auto` with the router's own embedder."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.federating import UnknownModel
from benchmarks.inference.base import Embeddings, InferenceError, PromptTooLong
from benchmarks.models import Deployment, LanguageModel
from benchmarks.models.catalog import DeploymentQuerySet
from router.answering import Caller, is_auto, new_public_id
from router.ended import Ended
from router.generating import Gateway, storable
from router.models import GatewayRequest, UpstreamAttempt
from router.observing import observe
from router.terms import Scope

_SHORTEST_BEGINNING = 64  # characters; a model that takes less than that embeds nothing


@dataclass(frozen=True)
class Embedded:
    """The vectors of one request, and the rows that it left."""

    request: GatewayRequest
    deployment: Deployment
    embeddings: Embeddings


def embed_texts(
    *,
    gateway: Gateway,
    find_own: Callable[[], Deployment],
    caller: Caller,
    requested_model: str,
    texts: tuple[str, ...],
    is_cut: bool,
) -> Embedded:
    """Embed texts with a model of the federation; where `is_cut`, of a text that is too long its beginning.

    `find_own` returns the router's own embedder. No database connection is used while the server works.

    Raises:
        UnknownModel, NoEmbedder: the federation has no such embedding model.
        InferenceError: its server failed. The row of the request says so each time.
    """
    request = GatewayRequest.objects.create(
        public_id=new_public_id(),
        surface=caller.surface,
        api_key_id=caller.api_key_id,
        user_id=caller.user_id,
        requested_model=requested_model[:200],
        prompt_text="\n".join(texts) if gateway.is_prompt_text_kept else "",
        prompt_sha256=hashlib.sha256("\n".join(texts).encode()).hexdigest(),
        started_at=gateway.clock(),
    )
    ended = Ended(request, caller.key_name, caller.key_prefix, scope=Scope.EMBED)
    try:
        deployment = find_embedding_model(requested_model=requested_model, find_own=find_own)
        ended.deployment = deployment
        attempt = UpstreamAttempt.objects.create(request=request, deployment=deployment, started_at=gateway.clock())
        ended.attempts.append(attempt)
        embeddings = _embed(gateway, deployment, texts, is_cut=is_cut)
    except (UnknownModel, InferenceError) as error:
        _close(gateway, ended, error)
        raise
    attempt.prompt_token_count = embeddings.prompt_token_count
    attempt.total_duration_ns = embeddings.duration_ns
    _close(gateway, ended)
    return Embedded(request, deployment, embeddings)


def find_embedding_model(*, requested_model: str, find_own: Callable[[], Deployment]) -> Deployment:
    """Return the deployment that a client means by a model's name; `:latest` may be left out, `auto` is our own.

    Raises:
        UnknownModel, NoEmbedder: the federation has none of that name; the message lists what it has.
    """
    if is_auto(requested_model):
        return find_own()
    name = requested_model
    found = (
        embedding_deployments()
        .filter(language_model__name__in={name, name.removesuffix(":latest"), f"{name}:latest"})
        .order_by("-added_at", "-pk")
        .first()
    )
    if found is None:
        names = embedding_deployments().order_by("language_model__name").values_list("language_model__name", flat=True)
        listed = ", ".join(names.distinct()) or "none yet"
        raise UnknownModel(f"The federation has no embedding model {name!r}. It has: {listed}.")
    return found


def embedding_deployments() -> DeploymentQuerySet:
    """Return the deployments that embed and have not been retired."""
    return (
        Deployment.objects.serving()
        .of_models()
        .filter(language_model__purpose=LanguageModel.Purpose.EMBEDDING)
        .select_related("language_model", "server")
    )


def _embed(gateway: Gateway, deployment: Deployment, texts: tuple[str, ...], *, is_cut: bool) -> Embeddings:
    client, name = gateway.connect(deployment.server), deployment.language_model.name
    gateway.release()
    try:
        return client.embed(name, texts)
    except PromptTooLong:
        if not is_cut:
            raise
    found = [_of_beginning(lambda text: client.embed(name, [text]), text) for text in texts]
    counts = [one.prompt_token_count for one in found]
    durations = [one.duration_ns for one in found]
    return Embeddings(
        [one.vectors[0] for one in found],
        found[0].dimension,
        prompt_token_count=None if None in counts else sum(filter(None, counts)),
        duration_ns=None if None in durations else sum(filter(None, durations)),
    )


def _of_beginning(embed: Callable[[str], Embeddings], text: str) -> Embeddings:
    while True:
        try:
            return embed(text)
        except PromptTooLong:
            if len(text) < _SHORTEST_BEGINNING:
                raise
            text = text[: len(text) // 2]


def _close(gateway: Gateway, ended: Ended, error: Exception | None = None) -> None:
    gateway.claim()
    request, now = ended.request, gateway.clock()
    for attempt in ended.attempts:
        attempt.outcome = UpstreamAttempt.Outcome.FAILED if error else UpstreamAttempt.Outcome.FINISHED
        attempt.error_kind = type(error).__name__ if error else ""
        attempt.error = storable(error) if error else ""
        attempt.finished_at = now
        attempt.save()
    request.state = GatewayRequest.State.FAILED if error else GatewayRequest.State.ANSWERED
    request.error_code = type(error).__name__ if error else ""
    request.error = storable(error) if error else ""
    request.finished_at = now
    request.save(update_fields=["state", "error_code", "error", "finished_at"])
    observe(ended)
