"""Which models clients are offered: the router's own names first, then the models of the federation."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.inference.base import ROUTING, InferenceClient, InferenceError, LoadedModel, LoadedModelsClient
from benchmarks.inference.demands import TOOLS, VISION
from benchmarks.models import Deployment, InferenceServer, LanguageModel
from router.abilities import Able
from router.answering import AUTO_MODEL, is_auto
from router.embedding_requests import embedding_deployments
from router.wires.ollama_catalog import ROUTER_FAMILY, OfferedModel, RunningModel, router_digest
from router.wishes import DIALS

AUTO_NAMES = (AUTO_MODEL, *DIALS)
_BEYOND_TEXT = (TOOLS, VISION)  # as Ollama's list calls them too

Tell = Callable[[Iterable[Deployment]], Mapping[int, Able]]


def offered_models(tell: Tell) -> list[OfferedModel]:
    """Return `auto` and its dials, every active model, and the models that embed, by name; `tell` what each can.

    What some active model can `auto` can, because it chooses among those that can what a request needs.
    """
    deployments = _deployments()
    able = tell([one for one in deployments if not _embeds(one)])
    return [*_auto_models(able.values()), *(_offered(one, able.get(one.pk, {})) for one in deployments)]


def find_offered(name: str, tell: Tell) -> OfferedModel | None:
    """Return the offered model that a client means by a name; `:latest` may be left out or added."""
    if is_auto(name):
        wanted = name if name in DIALS else AUTO_MODEL
        return next(model for model in offered_models(tell) if model.name == wanted)
    forms = {name, name.removesuffix(":latest"), f"{name}:latest"}
    found = next((one for one in _deployments() if one.language_model.name in forms), None)
    if found is None:
        return None
    return _offered(found, {} if _embeds(found) else tell([found]).get(found.pk, {}))


def loaded_models(
    *, connect: Callable[[InferenceServer], InferenceClient], release: Callable[[], None]
) -> list[RunningModel]:
    """Return the offered models that are in the memory of their servers now, as far as the servers tell.

    No database connection is used while the servers are asked.
    """
    by_server: dict[InferenceServer, list[Deployment]] = {}
    for deployment in _deployments():
        by_server.setdefault(deployment.server, []).append(deployment)
    clients = {server: connect(server) for server in by_server}
    release()
    found = []
    for server, deployments in by_server.items():
        loaded = _in_memory(clients[server])
        for deployment in deployments:
            name = deployment.language_model.name
            told = loaded.get(name) or loaded.get(f"{name}:latest")
            if told is not None:
                found.append(_running(deployment, told))
    return found


def _in_memory(client: InferenceClient) -> Mapping[str, LoadedModel]:
    if not isinstance(client, LoadedModelsClient):
        return {}
    try:
        return client.loaded_models()
    except InferenceError:
        return {}  # a server that is away has nothing in memory that could answer


def _running(deployment: Deployment, told: LoadedModel) -> RunningModel:
    """Return a model in memory as its server tells of it, and what is known of it otherwise."""
    model = _offered(deployment, {})
    as_loaded = replace(
        model,
        digest=told.digest or model.digest,
        size_bytes=model.size_bytes if told.size_bytes is None else told.size_bytes,
        context_length=told.context_length or model.context_length,
        file_format=told.file_format,
    )
    expires_at = "" if told.expires_at is None else _rfc_3339(told.expires_at)
    return RunningModel(as_loaded, told.size_vram_bytes, expires_at)


def _auto_models(able: Collection[Able]) -> list[OfferedModel]:
    together = {ability: any(one.get(ability) for one in able) for ability in _BEYOND_TEXT}
    first = Deployment.objects.order_by("added_at").values_list("added_at", flat=True).first()
    modified_at = _rfc_3339(first) if first else "1970-01-01T00:00:00Z"
    return [
        OfferedModel(
            name,
            modified_at,
            digest=router_digest(name),
            family=ROUTER_FAMILY,
            capabilities=("completion", *_told(together), ROUTING),
        )
        for name in AUTO_NAMES
    ]


def _deployments() -> list[Deployment]:
    """Return one deployment of each name, of several the one added last: those that answer, then those that embed."""
    chosen: dict[str, Deployment] = {}
    chat = Deployment.objects.active().of_models().select_related("language_model", "server")
    for deployments in (chat, embedding_deployments()):
        for one in deployments.order_by("language_model__name", "added_at", "pk"):
            chosen[one.language_model.name] = one
    return list(chosen.values())


def _embeds(deployment: Deployment) -> bool:
    return deployment.language_model.purpose == LanguageModel.Purpose.EMBEDDING


def _told(able: Able) -> tuple[str, ...]:
    return tuple(ability for ability in _BEYOND_TEXT if able.get(ability))


def _offered(deployment: Deployment, able: Able) -> OfferedModel:
    model = deployment.language_model
    can = "embedding" if _embeds(deployment) else "completion"
    return OfferedModel(
        model.name,
        _rfc_3339(deployment.added_at),
        digest=model.digest,
        size_bytes=model.size_bytes,
        family=model.family,
        parameter_size=model.parameter_size,
        quantization=model.quantization,
        context_length=model.context_length,
        embedding_length=model.embedding_length,
        capabilities=(can, *_told(able), ROUTING),
    )


def _rfc_3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
