"""Compare a federation file with the federation and the servers, and apply the difference in one step.

Everything is asked of the servers while planning; applying only writes, in one transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from benchmarks.describing import OtherWeights, require_same_weights
from benchmarks.federating import (
    ModelNotOffered,
    add_described_model,
    change_state,
    describe_model,
    ensure_machine,
    find_server,
    retire,
)
from benchmarks.federation_file import FederationFile, FederationFileError, FileMistake, ModelEntry, ServerEntry
from benchmarks.inference.base import InferenceClient, InferenceError, ModelDescription
from benchmarks.models import Deployment, InferenceServer, LanguageModel, Response
from benchmarks.reach import in_force


@dataclass(frozen=True)
class PlannedServer:
    """A server of the file, the row it is (None for a new one), and what is to change in words."""

    entry: ServerEntry
    known_id: int | None
    step: str


@dataclass(frozen=True)
class PlannedModel:
    """A model of the file, what its server tells about it, and what is to change in words."""

    entry: ModelEntry
    description: ModelDescription
    steps: tuple[str, ...]


@dataclass(frozen=True)
class PlannedRetirement:
    """A deployment to take out of routing."""

    deployment_id: int
    step: str


@dataclass(frozen=True)
class FederationPlan:
    """What applying a file changes; `unnamed` are the models that stay although the file does not name them."""

    servers: tuple[PlannedServer, ...]
    models: tuple[PlannedModel, ...]
    retirements: tuple[PlannedRetirement, ...]
    unnamed: tuple[str, ...]

    @property
    def steps(self) -> list[str]:
        """Return every change in words, in the order in which they are applied."""
        servers = [server.step for server in self.servers if server.step]
        models = [step for model in self.models for step in model.steps]
        return servers + models + [retirement.step for retirement in self.retirements]


@dataclass
class _Survey:
    """What has been found out about the file so far."""

    mistakes: list[FileMistake] = field(default_factory=list)
    server_lines: dict[int, int] = field(default_factory=dict)
    matched_ids: set[int] = field(default_factory=set)
    replaced: list[PlannedRetirement] = field(default_factory=list)

    def note(self, line: int, key: str, problem: object) -> None:
        self.mistakes.append(FileMistake(line, key, str(problem)))


def plan_federation(
    *, file: FederationFile, connect: Callable[[InferenceServer], InferenceClient], retires_missing: bool
) -> FederationPlan:
    """Find out what a file changes, asking every server that it names models of; nothing is written.

    Raises:
        FederationFileError: a server cannot be asked, lists nothing or does not offer a model, or an entry
            contradicts what is known; every one is named by its key and line.
    """
    survey = _Survey()
    servers = [_plan_server(entry, survey) for entry in file.servers]
    models: list[PlannedModel] = []
    for server in servers:
        entries = [entry for entry in file.models if entry.server == server.entry.name]
        if entries:
            models += _plan_models(server, entries, connect, survey)
    if survey.mistakes:
        raise FederationFileError(file.path, sorted(survey.mistakes, key=lambda mistake: mistake.line))
    gone = survey.matched_ids | {retirement.deployment_id for retirement in survey.replaced}
    unnamed = list(
        Deployment.objects.serving()
        .of_models()
        .exclude(pk__in=gone)
        .select_related("language_model", "server")
        .order_by("pk")
    )
    missing = [PlannedRetirement(one.pk, f"retire {one}: the file does not name it") for one in unnamed]
    return FederationPlan(
        servers=tuple(servers),
        models=tuple(models),
        retirements=(*survey.replaced, *(missing if retires_missing else ())),
        unnamed=() if retires_missing else tuple(str(one) for one in unnamed),
    )


def apply_plan(*, plan: FederationPlan, now: datetime) -> None:
    """Make the federation what the plan says: all of it, or nothing."""
    with transaction.atomic():
        servers = {server.entry.name: _apply_server(server) for server in plan.servers}
        for model in plan.models:
            _apply_model(model, servers[model.entry.server], now)
        for retirement in plan.retirements:
            deployment = Deployment.objects.select_for_update().get(pk=retirement.deployment_id)
            if deployment.state != Deployment.State.RETIRED:
                retire(deployment=deployment, now=now)


def _plan_server(entry: ServerEntry, survey: _Survey) -> PlannedServer:
    if problem := in_force().problem_with(entry.url):
        survey.note(entry.line, "servers.url", problem)
    by_url = find_server(base_url=entry.url)
    by_name = InferenceServer.objects.filter(name=entry.name).first()
    if by_url and by_name and by_url != by_name:
        survey.note(entry.line, "servers.url", f"{entry.url} is the address of another known server, {by_url}")
    known = by_url or by_name
    if known is None:
        step = f"add the server {entry.name} ({entry.kind}, {entry.url}, on the machine {entry.machine})"
        return PlannedServer(entry, None, step)
    if known.pk in survey.server_lines:
        line = survey.server_lines[known.pk]
        survey.note(entry.line, "servers.name", f"it is the known server {known}, which line {line} is too")
    survey.server_lines[known.pk] = entry.line
    if known.machine.name != entry.machine and Response.objects.filter(deployment__server=known).exists():
        survey.note(
            entry.line,
            "servers.machine",
            f"{known} was measured on {known.machine}; give a server on {entry.machine} an address of its own",
        )
    changes = [
        f"{word} {was or 'none'} -> {becomes or 'none'}"
        for word, was, becomes in (
            ("name", known.name, entry.name),
            ("kind", known.kind, entry.kind),
            ("address", known.base_url, entry.url),
            ("machine", known.machine.name, entry.machine),
            ("variable of its key", known.api_key_variable, entry.api_key_variable),
        )
        if was != becomes
    ]
    return PlannedServer(entry, known.pk, f"change the server {known}: {', '.join(changes)}" if changes else "")


def _plan_models(
    server: PlannedServer,
    entries: Sequence[ModelEntry],
    connect: Callable[[InferenceServer], InferenceClient],
    survey: _Survey,
) -> list[PlannedModel]:
    client = connect(_row_of(server.entry))
    try:
        listed = {model.name: model for model in client.list_models()}
    except InferenceError as error:
        survey.note(server.entry.line, "servers.url", error)
        return []
    if not listed:
        survey.note(
            server.entry.line, "servers.url", "the server lists no models; pull, create or load one there first"
        )
        return []
    planned = []
    for entry in entries:
        try:
            planned.append(_plan_model(entry, server, client, listed, survey))
        except (ModelNotOffered, OtherWeights, InferenceError) as error:
            survey.note(entry.line, "models.name", error)
    return planned


def _plan_model(
    entry: ModelEntry,
    server: PlannedServer,
    client: InferenceClient,
    listed: dict[str, ModelDescription],
    survey: _Survey,
) -> PlannedModel:
    found = listed.get(entry.name) or listed.get(f"{entry.name}:latest")
    deployment = _deployment_of(found, server) if found else None
    # Only the description tells what a new model is for; for a known one the list is enough, and asks less.
    description = found if found and deployment else describe_model(name=entry.name, client=client)
    deployment = deployment or _deployment_of(description, server)
    known = LanguageModel.objects.filter(name=description.name, digest=description.digest).first()
    if known:
        require_same_weights(model=known, description=description)
    if deployment:
        survey.matched_ids.add(deployment.pk)
    survey.replaced += _replaced_by(description, server)
    return PlannedModel(entry, description, _steps_of(entry, description, deployment, known))


def _deployment_of(description: ModelDescription, server: PlannedServer) -> Deployment | None:
    return Deployment.objects.filter(
        server_id=server.known_id,
        language_model__name=description.name,
        language_model__digest=description.digest,
    ).first()


def _replaced_by(description: ModelDescription, server: PlannedServer) -> list[PlannedRetirement]:
    """Find what the server had under this name before: it cannot answer any more, whatever the file says."""
    earlier = (
        Deployment.objects.serving()
        .filter(server_id=server.known_id, language_model__name=description.name)
        .exclude(language_model__digest=description.digest)
        .select_related("language_model", "server")
        .order_by("pk")
    )
    return [
        PlannedRetirement(one.pk, f"retire {one} ({one.language_model.digest[:12]}): the server has other weights now")
        for one in earlier
    ]


def _steps_of(
    entry: ModelEntry, description: ModelDescription, deployment: Deployment | None, known: LanguageModel | None
) -> tuple[str, ...]:
    what = f"{description.name} on {entry.server}"
    steps = []
    if deployment is None:
        steps.append(f"add {what}, {entry.state}")
    elif deployment.state == Deployment.State.RETIRED:
        steps.append(f"bring {what} back, {entry.state}")
    elif entry.state == "active" and deployment.state != Deployment.State.ACTIVE:
        steps.append(f"activate {what}")
    elif entry.state == "candidate" and deployment.state == Deployment.State.ACTIVE:
        steps.append(f"take {what} out of routing: a candidate again")
    if entry.task is not None and entry.task != (known.task if known else ""):
        steps.append(f"set the task of {description.name} to {entry.task!r}")
    return tuple(steps)


def _row_of(entry: ServerEntry) -> InferenceServer:
    """Give a row that is not saved: enough to connect."""
    return InferenceServer(
        name=entry.name, kind=entry.kind, base_url=entry.url, api_key_variable=entry.api_key_variable
    )


def _apply_server(server: PlannedServer) -> InferenceServer:
    machine = ensure_machine(name=server.entry.machine)
    if server.known_id is None:
        row = _row_of(server.entry)
    else:
        row = InferenceServer.objects.select_for_update().get(pk=server.known_id)
        row.name, row.kind, row.base_url = server.entry.name, server.entry.kind, server.entry.url
        row.api_key_variable = server.entry.api_key_variable
    row.machine = machine
    row.save()
    return row


def _apply_model(model: PlannedModel, server: InferenceServer, now: datetime) -> None:
    deployment = add_described_model(description=model.description, server=server, now=now)
    if model.entry.state == "active" and deployment.state != Deployment.State.ACTIVE:
        change_state(deployment=deployment, state=Deployment.State.ACTIVE, now=now)
    elif model.entry.state == "candidate" and deployment.state == Deployment.State.ACTIVE:
        change_state(deployment=deployment, state=Deployment.State.CANDIDATE, now=now)
    task = model.entry.task
    if task is not None and deployment.language_model.task != task:
        deployment.language_model.task = task
        deployment.language_model.save(update_fields=["task"])
