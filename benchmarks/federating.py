"""Who is in the federation: machines, servers, models; adding and retiring them."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import psutil
from django.db import transaction
from django.utils.text import slugify

from benchmarks.describing import ensure_language_model
from benchmarks.inference.base import (
    ROUTING,
    ApiKey,
    InferenceClient,
    InferenceError,
    ModelDescription,
    ModelMissing,
    ServerUnreachable,
)
from benchmarks.inference.connecting import client_for, usual_base_url
from benchmarks.inference.interruption import Interruption
from benchmarks.models import CarbonIntensity, Deployment, InferenceServer, LanguageModel, Machine, Study

_LOOK_S = 1.0
DEFAULT_ZONE = "DE"
DEFAULT_INTENSITY_GCO2E_PER_KWH = 385.0
DEFAULT_INTENSITY_SOURCE = "Hoffmann and Majuntke (HotCarbon '24), Germany 2022, after Electricity Maps"


class UnknownModel(LookupError):
    """No deployment of that name is in the federation."""


class NoEmbedder(UnknownModel):
    """The embedder of the settings is not in the federation: nothing can be routed, whoever asks for what."""


class ModelNotOffered(LookupError):
    """The server does not have the model."""


class OtherKind(ValueError):
    """The address is known as that of another kind of server."""


class RouterIsNoModel(ValueError):
    """A router cannot be chosen by a router: it would ask itself for ever."""


class NobodyToAsk(RouterIsNoModel):
    """A model of imported outcomes is nowhere: it has a history and cannot answer."""


class RetiredModel(LookupError):
    """The model was retired: its history is kept, but it answers no more."""


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for a server, in seconds."""

    connect_s: float
    first_token_s: float
    total_s: float


def connect(
    *,
    server: InferenceServer,
    timeouts: Timeouts,
    environment: Mapping[str, str] = os.environ,
    interruption: Interruption | None = None,
) -> InferenceClient:
    """Return the client of a server, with its key from the environment; nothing is sent yet.

    `interruption` ends from another thread whatever the client waits for.
    """
    variable = server.api_key_variable
    return client_for(
        server.kind,
        server.base_url,
        connect_timeout_s=timeouts.connect_s,
        first_token_timeout_s=timeouts.first_token_s,
        total_timeout_s=timeouts.total_s,
        api_key=ApiKey(variable, environment.get(variable, "")) if variable else None,
        interruption=interruption,
    )


def wait_for_server(
    *,
    client: InferenceClient,
    patience_s: float,
    is_wanted: Callable[[], bool] = lambda: True,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until a server answers, or the patience is used up: an outage shall not use up every response's attempts.

    `is_wanted` is asked once a second, and ends the wait by saying no.
    """
    deadline = monotonic() + patience_s
    pause_s = 0.25
    while monotonic() < deadline:
        try:
            client.health()
        except ServerUnreachable:
            until = monotonic() + pause_s
            while (left_s := until - monotonic()) > 0:
                sleep(min(left_s, _LOOK_S))
                if not is_wanted():
                    return
            pause_s = min(pause_s * 2, 5.0)
        except InferenceError:
            return  # it answers: the attempt will tell what is wrong
        else:
            return


def ensure_machine(*, name: str) -> Machine:
    """Return the machine of that name; a new one gets the facts that can be read here and the paper's defaults."""
    machine, is_new = Machine.objects.get_or_create(
        name=name,
        defaults={
            "cpu_model": _cpu_model(),
            "cpu_count": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "zone": DEFAULT_ZONE,
        },
    )
    if is_new:
        ensure_intensity()
    return machine


def ensure_intensity() -> CarbonIntensity:
    """Return the default carbon intensity: the paper's, 385 gCO2e/kWh for Germany in 2022."""
    intensity, _ = CarbonIntensity.objects.get_or_create(
        zone=DEFAULT_ZONE,
        kind=CarbonIntensity.Kind.YEARLY_AVERAGE,
        source=DEFAULT_INTENSITY_SOURCE,
        year=2022,
        valid_from=None,
        defaults={"gco2e_per_kwh": DEFAULT_INTENSITY_GCO2E_PER_KWH},
    )
    return intensity


def _cpu_model() -> str:
    """Return the name that the kernel gives the processor, or the architecture where it gives none."""
    try:
        with open("/proc/cpuinfo", encoding="utf8") as lines:  # noqa: PTH123  a pseudo file
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def ensure_server(*, base_url: str, machine: Machine) -> InferenceServer:
    """Return the server at an address, added as an Ollama on the machine where it is new."""
    server = identify_server(base_url=base_url, machine=machine)
    if server.pk is None:
        server.save()
    return server


def identify_server(*, base_url: str, machine: Machine, kind: str = "", api_key_variable: str = "") -> InferenceServer:
    """Return the server at an address as it is to be, without saving: known or new, and an Ollama without a kind.

    Raises:
        OtherKind: the address is known as that of another kind of server.
    """
    known = find_server(base_url=base_url)
    if known is None:
        kind = kind or InferenceServer.Kind.OLLAMA
        base_url = usual_base_url(kind, base_url)
        name = _name_of(kind, base_url)
        return InferenceServer(
            name=name, kind=kind, base_url=base_url, machine=machine, api_key_variable=api_key_variable
        )
    if kind and known.kind != kind:
        raise OtherKind(
            f"{known.base_url} is known as the server {known} of the kind {known.kind!r}, not {kind!r}. "
            f"Leave the kind out or give that one, or correct the server in the admin."
        )
    known.api_key_variable = api_key_variable or known.api_key_variable
    return known


def find_server(*, base_url: str) -> InferenceServer | None:
    """Return the server at an address, in whichever form the address is given."""
    forms = {usual_base_url(kind, base_url) for kind in InferenceServer.Kind.values}
    return InferenceServer.objects.filter(base_url__in=forms).order_by("pk").first()


def _name_of(kind: str, base_url: str) -> str:
    parts = urlsplit(base_url)
    return slugify(f"{kind}-{parts.hostname or 'host'}-{parts.port or 80}".replace(".", "-"))


def add_model(*, name: str, server: InferenceServer, client: InferenceClient, now: datetime) -> Deployment:
    """Add a model that a server offers to the federation, as a candidate; one that is there already stays as it is.

    A retired model becomes a candidate again.

    Raises:
        ModelNotOffered: the server does not have it; the message lists what it has.
        OtherWeights: the name is taken by other weights.
        InferenceError: the server cannot be asked.
    """
    return add_described_model(description=describe_model(name=name, client=client), server=server, now=now)


def describe_model(*, name: str, client: InferenceClient) -> ModelDescription:
    """Return what a server tells about one of its models.

    Raises:
        ModelNotOffered: the server does not have it; the message lists what it has.
        InferenceError: the server cannot be asked.
    """
    try:
        return client.describe(name)
    except ModelMissing as error:
        offered = ", ".join(sorted(model.name for model in client.list_models())) or "nothing"
        raise ModelNotOffered(f"{error} It offers: {offered}.") from error


def add_described_model(*, description: ModelDescription, server: InferenceServer, now: datetime) -> Deployment:
    """Add a model by what its server told about it; see `add_model`.

    Raises:
        OtherWeights: the name is taken by other weights.
    """
    with transaction.atomic():
        server.is_router = server.is_router or ROUTING in description.capabilities
        if server.pk is None:
            server.save()
        else:  # `identify_server` may have changed the variable
            server.save(update_fields=["api_key_variable", "is_router"])
        model = ensure_language_model(description=description)
        deployment, _ = Deployment.objects.select_for_update().get_or_create(
            language_model=model, server=server, defaults={"state_changed_at": now}
        )
        if deployment.state == Deployment.State.RETIRED:
            change_state(deployment=deployment, state=Deployment.State.CANDIDATE, now=now)
    return deployment


def activate(*, deployment: Deployment, now: datetime) -> None:
    """Let the router choose a deployment from now on.

    Raises:
        RouterIsNoModel: it is a router itself, this installation's own or another one.
    """
    change_state(deployment=deployment, state=Deployment.State.ACTIVE, now=now)


def begin_evaluation(*, deployment: Deployment, now: datetime) -> None:
    """Mark a candidate as being evaluated; one that is further along stays where it is."""
    candidate = Deployment.State.CANDIDATE
    if deployment.state == candidate:
        change_state(deployment=deployment, state=Deployment.State.EVALUATING, now=now, only_from=candidate)


def retire(*, deployment: Deployment, now: datetime) -> None:
    """Take a deployment out of routing at once; its measurements and labels stay as history.

    The candidates of a decision are read from Postgres each time, so nothing has to be told or re-embedded.
    """
    change_state(deployment=deployment, state=Deployment.State.RETIRED, now=now)


def change_state(
    *,
    deployment: Deployment,
    state: Deployment.State,
    now: datetime,
    only_from: Deployment.State | None = None,
) -> bool:
    """Move a deployment to a state, with the moment it did; tell whether it moved.

    With `only_from` it moves only where the database, not the object at hand, has it in that state: somebody else may
    have moved it on since it was read.

    Raises:
        RouterIsNoModel: it would become active, and is a router itself.
        NobodyToAsk: it stands for imported outcomes.
    """
    if state == Deployment.State.ACTIVE and deployment.server.is_router:
        raise RouterIsNoModel(
            f"{deployment} is a GreenLLM router: a request could come back to itself for ever, so nothing is routed "
            f"to it. Measure it with manage.py run_study NAME --router."
        )
    if state != Deployment.State.RETIRED and deployment.study_targets.filter(study__kind=Study.Kind.IMPORTED).exists():
        raise NobodyToAsk(f"{deployment} stands for imported outcomes: it is nowhere, so nobody can ask it.")
    rows = Deployment.objects.filter(pk=deployment.pk)
    if only_from is not None:
        rows = rows.filter(state=only_from)
    if not rows.update(state=state, state_changed_at=now):
        return False
    deployment.state = state
    deployment.state_changed_at = now
    return True


def find_deployment(*, name: str, is_retired_allowed: bool = False) -> Deployment:
    """Return the chat deployment that a person or client means by a model's name; `:latest` may be left out.

    Raises:
        UnknownModel: the federation has no such model; the message lists what it has.
        RetiredModel: it was retired.
    """
    wanted = {name, name.removesuffix(":latest"), f"{name}:latest"}
    found = list(
        Deployment.objects.chat()
        .of_models()
        .filter(language_model__name__in=wanted)
        .select_related("language_model", "server")
        .order_by("pk")
    )
    # of several deployments of one name the active one is meant, then any that has not been retired
    ranks = {Deployment.State.ACTIVE.value: 0, Deployment.State.RETIRED.value: 2}
    found.sort(key=lambda deployment: (ranks.get(deployment.state, 1), deployment.pk))
    if not found:
        names = Deployment.objects.chat().serving().of_models().order_by("language_model__name")
        listed = ", ".join(names.values_list("language_model__name", flat=True).distinct()) or "no model yet"
        raise UnknownModel(f"The federation has no model {name!r}. It has: {listed}.")
    if found[0].state == Deployment.State.RETIRED and not is_retired_allowed:
        raise RetiredModel(f"The model {name!r} was retired; add it again with manage.py add_model {name}.")
    return found[0]


def find_embedder(*, name: str, base_url: str) -> Deployment:
    """Return the embedding deployment of a name on a server, the one added last where its weights changed.

    Raises:
        NoEmbedder: it has not been added.
    """
    found = (
        Deployment.objects.serving()
        .filter(
            language_model__purpose=LanguageModel.Purpose.EMBEDDING,
            language_model__name__in={name, name.removesuffix(":latest"), f"{name}:latest"},
            server__base_url=base_url,
        )
        .select_related("language_model", "server")
        .order_by("-added_at", "-pk")
        .first()
    )
    if found is None:
        raise NoEmbedder(
            f"The embedder {name!r} on {base_url} is not in the federation; add it with manage.py add_model {name}, "
            f"or set GREENLLM_EMBEDDER and GREENLLM_EMBEDDER_HOST."
        )
    return found
