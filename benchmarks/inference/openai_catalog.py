"""Which server it is that speaks the OpenAI wire, and what it tells about its models beyond their names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import openai
from pydantic import BaseModel

from benchmarks.inference.base import ROUTING, ModelDescription
from benchmarks.inference.demands import TOOL_CHOICE, TOOLS, VISION
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.openai_wire import EmbeddingAnswer, OpenAIConnection

_LLAMA_CPP_OWNER = "llamacpp"
_LLAMA_CPP_HEADER = "llama.cpp"
_VLLM_OWNER = "vllm"
_GREENLLM_OWNER = "greenllm"
_CAPABILITY_OF_TYPE = {"llm": "completion", "vlm": "completion", "embeddings": "embedding"}
_SEEING = "vlm"
_PARAMETERS_PER_UNIT = (("B", 1_000_000_000), ("M", 1_000_000), ("K", 1_000))


class LoadedFacts(BaseModel):
    """What llama.cpp tells about a model in memory; older servers leave the context out."""

    n_ctx: int | None = None
    n_embd: int | None = None
    n_params: int | None = None
    size: int | None = None
    ftype: str | None = None


class ListedModel(BaseModel):
    """One entry of `/v1/models` with the fields that llama.cpp (meta, status) and vLLM (max_model_len) add."""

    id: str
    owned_by: str | None = None
    aliases: list[str] | None = None
    meta: LoadedFacts | None = None
    status: dict[str, object] | None = None
    max_model_len: int | None = None


class ModelList(BaseModel):
    """What `/v1/models` says."""

    data: list[ListedModel]


class StudioModel(BaseModel):
    """One entry of LM Studio's `/api/v0/models`."""

    id: str
    type: str
    state: str
    arch: str | None = None
    quantization: str | None = None
    max_context_length: int | None = None
    loaded_context_length: int | None = None


class StudioList(BaseModel):
    """What LM Studio's `/api/v0/models` says."""

    data: list[StudioModel]


class ContextSetting(BaseModel):
    """The context of one conversation."""

    n_ctx: int | None = None


class Modalities(BaseModel):
    """What a model of llama.cpp takes in beside text."""

    vision: bool = False


class TemplateAbilities(BaseModel):
    """What the chat template of a model of llama.cpp knows."""

    supports_tools: bool | None = None


class ServerProperties(BaseModel):
    """What llama.cpp's `/props` says; older servers leave modalities and abilities out."""

    build_info: str | None = None
    default_generation_settings: ContextSetting | None = None
    modalities: Modalities | None = None
    chat_template_caps: TemplateAbilities | None = None


class VersionAnswer(BaseModel):
    """What vLLM's `/version` says."""

    version: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """The models of one server by every name it knows them by.

    `is_router` marks a llama.cpp server that loads and unloads models by itself.
    """

    flavour: Flavour
    is_router: bool
    models: dict[str, ModelDescription]

    @property
    def knows_tasks(self) -> bool:
        """Say whether the list tells which models embed."""
        return self.flavour is Flavour.LM_STUDIO


def read_catalog(connection: OpenAIConnection) -> Catalog:
    """Ask which models there are, and tell by the answer which server it is.

    Raises `ValueError` when the answer is no list of models.
    """
    answer = connection.ask("/v1/models")
    listed = ModelList.model_validate(answer.json()).data
    owners = {model.owned_by for model in listed}
    if _LLAMA_CPP_OWNER in owners or answer.headers.get("server") == _LLAMA_CPP_HEADER:
        flavour = Flavour.LLAMA_CPP
    elif _VLLM_OWNER in owners:
        flavour = Flavour.VLLM
    elif _GREENLLM_OWNER not in owners and (studio := _studio_models(connection)):
        return Catalog(Flavour.LM_STUDIO, is_router=False, models={model.id: _of_studio(model) for model in studio})
    else:
        flavour = Flavour.OTHER
    is_router = flavour is Flavour.LLAMA_CPP and any(model.status for model in listed)
    return Catalog(flavour, is_router, {name: _of_list(model) for model in listed for name in _names(model)})


def completed(connection: OpenAIConnection, catalog: Catalog, model: ModelDescription) -> ModelDescription:
    """Add to a model of the catalogue what only a further question tells: its context, and whether it embeds.

    A router is not asked, because that would load the model.
    """
    if catalog.knows_tasks or catalog.is_router or ROUTING in model.capabilities:
        return model
    if catalog.flavour is Flavour.LLAMA_CPP and model.context_length is None:
        model = replace(model, context_length=context_of_slot(connection, model.name))
    vector = _embedding_of_a_word(connection, model.name)
    if vector is None:
        return replace(model, capabilities=("completion",))
    return replace(model, capabilities=("embedding",), embedding_length=len(vector))


def context_of_slot(connection: OpenAIConnection, name: str) -> int | None:
    """Ask a llama.cpp server how long a conversation can be, in tokens; None where it does not tell."""
    settings = _properties(connection, name).default_generation_settings
    return settings.n_ctx if settings else None


def abilities_of(connection: OpenAIConnection, catalog: Catalog, model: ModelDescription) -> dict[str, bool]:
    """Tell what a model can beyond text, as far as its server does; LM Studio teaches every model to call tools.

    A llama.cpp router is not asked, because that would load the model.
    """
    if catalog.flavour is Flavour.LM_STUDIO:
        return {TOOLS: True, TOOL_CHOICE: True, VISION: VISION in model.capabilities}
    if catalog.flavour is not Flavour.LLAMA_CPP or catalog.is_router:
        return {}
    told = _properties(connection, model.name)
    known = {} if told.modalities is None else {VISION: told.modalities.vision}
    can_call = told.chat_template_caps.supports_tools if told.chat_template_caps else None
    return known if can_call is None else {**known, TOOLS: can_call, TOOL_CHOICE: can_call}


def _properties(connection: OpenAIConnection, name: str) -> ServerProperties:
    answer = connection.ask(f"/props?model={quote(name, safe='')}&autoload=false")
    return ServerProperties.model_validate(answer.json())


def version_of(connection: OpenAIConnection, flavour: Flavour) -> str:
    """Give the name of the server and, where it tells one, its version."""
    told = ""
    if flavour is Flavour.LLAMA_CPP:
        told = ServerProperties.model_validate(connection.ask("/props").json()).build_info or ""
    elif flavour is Flavour.VLLM:
        told = VersionAnswer.model_validate(connection.ask("/version").json()).version
    return f"{flavour.value} {told}".strip()


def _studio_models(connection: OpenAIConnection) -> Sequence[StudioModel]:
    try:
        return StudioList.model_validate(connection.ask("/api/v0/models").json()).data
    except (openai.APIStatusError, ValueError):
        return ()  # another server: it has no such path, or says something else there


def _embedding_of_a_word(connection: OpenAIConnection, name: str) -> list[float] | None:
    """Try to embed: llama.cpp and vLLM do not tell what a model is for, but a chat model refuses to embed."""
    try:
        answer = connection.tell("/v1/embeddings", {"model": name, "input": ["word"], "encoding_format": "float"})
        return EmbeddingAnswer.model_validate(answer.json()).vectors()[0]
    except (openai.APIStatusError, ValueError, IndexError):
        return None


def _names(model: ListedModel) -> Sequence[str]:
    return [model.id, *(model.aliases or ())]


def _of_list(model: ListedModel) -> ModelDescription:
    facts = model.meta or LoadedFacts()
    return ModelDescription(
        name=model.id,
        digest="",
        size_bytes=facts.size,
        family="",
        parameter_size=_rounded(facts.n_params),
        quantization=facts.ftype or "",
        context_length=model.max_model_len or facts.n_ctx,
        embedding_length=facts.n_embd,
        capabilities=("completion", ROUTING) if model.owned_by == _GREENLLM_OWNER else (),
    )


def _of_studio(model: StudioModel) -> ModelDescription:
    capability = _CAPABILITY_OF_TYPE.get(model.type)
    return ModelDescription(
        name=model.id,
        digest="",
        size_bytes=None,
        family=model.arch or "",
        parameter_size="",
        quantization=model.quantization or "",
        context_length=model.loaded_context_length or model.max_context_length,
        capabilities=(*((capability,) if capability else ()), *((VISION,) if model.type == _SEEING else ())),
    )


def _rounded(parameter_count: int | None) -> str:
    """Write a number of parameters as Ollama does, for example 134.52M."""
    if parameter_count is None:
        return ""
    for unit, size in _PARAMETERS_PER_UNIT:
        if parameter_count >= size:
            return f"{parameter_count / size:.4g}{unit}" if unit == "B" else f"{parameter_count / size:.2f}{unit}"
    return str(parameter_count)
