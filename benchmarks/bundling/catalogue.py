"""The catalogue's members: what was asked, on which machine, and who answered.

At home in another installation, each is matched by what it is: categories and data sets by name, prompts by data set
and id, language models by name and digest, machines by their facts, servers by name on their machine.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count

from django.db.models import Q
from django.utils.text import slugify

from benchmarks.bundling.archive import Line, Place, Row
from benchmarks.bundling.members import Incoming, Member, Outgoing
from benchmarks.bundling.rows import Shape, database_errors, in_batches
from benchmarks.models import (
    Category,
    Dataset,
    Deployment,
    InferenceServer,
    LanguageModel,
    Machine,
    Prompt,
    StudyDeployment,
    StudyPrompt,
)

_CATEGORY = Shape(Category)
_DATASET = Shape(Dataset, frozenset({"imported_at"}))
_MACHINE = Shape(Machine)
_MODEL = Shape(LanguageModel, frozenset({"added_at"}))
_PROMPT = Shape(Prompt)
# an address means nothing elsewhere, and where a key stands is nobody's business
_SERVER = Shape(InferenceServer, frozenset({"base_url", "api_key_variable", "added_at"}))
# what makes two rows of one name the same computer, as far as a score depends on it
_IDENTITY = (
    "zone", "total_embodied_emissions_gco2e", "expected_lifespan_s", "resource_share", "cpu_model", "cpu_count",
    "memory_bytes",
)  # fmt: skip
_SAME_TASK = ("text", "item_text", "reference", "checks")
_NAME_LENGTH = 40


def _prompts_of(outgoing: Outgoing) -> "list[Prompt]":
    of_study = Q(study_tasks__study=outgoing.study) | Q(responses__study=outgoing.study)
    ids = Prompt.objects.filter(of_study).values("pk")
    return list(Prompt.objects.filter(pk__in=ids).only("pk", "category_id", "dataset_id"))


def _deployments_of(outgoing: Outgoing) -> "list[Deployment]":
    of_study = Q(study_targets__study=outgoing.study) | Q(responses__study=outgoing.study)
    ids = Deployment.objects.filter(of_study).values("pk")
    return list(Deployment.objects.filter(pk__in=ids).select_related("language_model", "server__machine"))


def _write_categories(outgoing: Outgoing) -> Iterator[Row]:
    ids = {prompt.category_id for prompt in _prompts_of(outgoing)}
    yield from map(_CATEGORY.row_of, Category.objects.filter(pk__in=ids).order_by("name"))


def _read_categories(incoming: Incoming, lines: Iterator[Line]) -> None:
    for line in lines:
        values = _CATEGORY.values_of(line)
        with database_errors(line.place, line.place):
            category, _ = Category.objects.get_or_create(name=values["name"], defaults=values)
        incoming.category_ids[category.name] = category.pk


def _write_datasets(outgoing: Outgoing) -> Iterator[Row]:
    ids = {prompt.dataset_id for prompt in _prompts_of(outgoing)}
    yield from map(_DATASET.row_of, Dataset.objects.filter(pk__in=ids).order_by("name"))


def _read_datasets(incoming: Incoming, lines: Iterator[Line]) -> None:
    for line in lines:
        values = _DATASET.values_of(line)
        with database_errors(line.place, line.place):
            dataset, is_new = Dataset.objects.get_or_create(name=values["name"], defaults=values)
        if not is_new and dataset.version != values["version"]:
            raise line.place.error(
                f"the data set {dataset.name!r} is here in the version {dataset.version or 'none'!r}, in the bundle in "
                f"{values['version'] or 'none'!r}: their prompts are not the same."
            )
        incoming.dataset_ids[dataset.name] = dataset.pk


def _write_machines(outgoing: Outgoing) -> Iterator[Row]:
    used = (
        Q(studies=outgoing.study)
        | Q(measurements__response__study=outgoing.study)
        | Q(servers__deployments__in=[deployment.pk for deployment in _deployments_of(outgoing)])
    )
    ids = Machine.objects.filter(used).values("pk")
    yield from map(_MACHINE.row_of, Machine.objects.filter(pk__in=ids).order_by("name"))


def _read_machines(incoming: Incoming, lines: Iterator[Line]) -> None:
    for line in lines:
        values = _MACHINE.values_of(line)
        with database_errors(line.place, line.place):
            incoming.machines[values["name"]] = _machine(values, incoming.notes)


def _machine(values: dict[str, object], notes: list[str]) -> Machine:
    """Return the computer of these facts; of several of one name every other one has a number behind it."""
    told = str(values["name"])
    for number in count(1):
        name = told if number == 1 else f"{told[: _NAME_LENGTH - 4]}-{number}"
        known = Machine.objects.filter(name=name).first()
        if known is None:
            if number > 1:
                notes.append(
                    f"A machine {told} is here with other facts, so that the study's one is kept apart as {name}."
                )
            return Machine.objects.create(**{**values, "name": name})
        if all(getattr(known, fact) == values[fact] for fact in _IDENTITY):
            return known
    raise AssertionError  # count() never ends


def _write_servers(outgoing: Outgoing) -> Iterator[Row]:
    servers = {deployment.server.pk: deployment.server for deployment in _deployments_of(outgoing)}
    for server in sorted(servers.values(), key=lambda server: server.name):
        yield {**_SERVER.row_of(server), "machine": server.machine.name}


def _read_servers(incoming: Incoming, lines: Iterator[Line]) -> None:
    for line in lines:
        values = _SERVER.values_of(line, "machine")
        machine = incoming.machines.get(str(line.row["machine"]))
        if machine is None:
            raise line.place.error(f"there is no machine {line.row['machine']!r} in the bundle.")
        with database_errors(line.place, line.place):
            incoming.server_ids[values["name"]] = _server(values, machine).pk


def _server(values: dict[str, object], machine: Machine) -> InferenceServer:
    """Return the server of that name on that machine; a new one gets an address that leads nowhere (RFC 6761)."""
    told = str(values["name"])
    for number in count(1):
        name = told if number == 1 else f"{told[:55]}-{number}"
        known = InferenceServer.objects.filter(name=name).first()
        if known is None:
            address = f"http://{slugify(name)}.{machine.name}.invalid"
            return InferenceServer.objects.create(**{**values, "name": name}, machine=machine, base_url=address)
        if known.machine_id == machine.pk and known.kind == values["kind"]:
            return known
    raise AssertionError  # count() never ends


def _write_models(outgoing: Outgoing) -> Iterator[Row]:
    models = {deployment.language_model.pk: deployment.language_model for deployment in _deployments_of(outgoing)}
    yield from map(_MODEL.row_of, sorted(models.values(), key=lambda model: (model.name, model.digest)))


def _read_models(incoming: Incoming, lines: Iterator[Line]) -> None:
    for line in lines:
        values = _MODEL.values_of(line)
        key = (values["name"], values.get("digest", ""))
        with database_errors(line.place, line.place):
            model, _ = LanguageModel.objects.get_or_create(name=key[0], digest=key[1], defaults=values)
        incoming.language_model_ids[key] = model.pk


def _write_deployments(outgoing: Outgoing) -> Iterator[Row]:
    positions = dict(outgoing.study.targets.values_list("deployment_id", "position"))
    found = sorted(
        _deployments_of(outgoing),
        key=lambda one: (
            positions.get(one.pk, len(positions) + 1),
            one.language_model.name,
            one.language_model.digest,
            one.server.name,
        ),
    )
    for number, deployment in enumerate(found, start=1):
        outgoing.deployment_lines[deployment.pk] = number
        model = deployment.language_model
        yield {
            "model": model.name,
            "digest": model.digest,
            "server": deployment.server.name,
            "position": positions.get(deployment.pk),
        }


def _read_deployments(incoming: Incoming, lines: Iterator[Line]) -> None:
    for line in lines:
        row = line.row
        model_id = incoming.language_model_ids.get((str(row.get("model")), str(row.get("digest"))))
        server_id = incoming.server_ids.get(str(row.get("server")))
        if model_id is None or server_id is None:
            raise line.place.error("its model or its server is not in the bundle.")
        with database_errors(line.place, line.place):
            deployment, _ = Deployment.objects.get_or_create(
                language_model_id=model_id, server_id=server_id, defaults={"state_changed_at": incoming.now}
            )
            if (position := _position(line)) is not None:
                StudyDeployment.objects.create(study=incoming.made, deployment=deployment, position=position)
        incoming.deployment_ids.append(deployment.pk)


def _position(line: Line) -> int | None:
    position = line.row.get("position")
    if position is not None and (isinstance(position, bool) or not isinstance(position, int) or position < 0):
        raise line.place.error(f"'position' cannot be {position!r}.")
    return position


def _write_prompts(outgoing: Outgoing) -> Iterator[Row]:
    positions = dict(outgoing.study.tasks.values_list("prompt_id", "position"))
    ids = [prompt.pk for prompt in _prompts_of(outgoing)]
    order = Prompt.objects.filter(pk__in=ids).order_by("dataset__name", "external_id").values_list("pk", flat=True)
    in_order = sorted(order, key=lambda pk: positions.get(pk, len(positions) + 1))  # stable, so the rest stays sorted
    for batch in in_batches(in_order):
        prompts = Prompt.objects.select_related("dataset", "category").in_bulk(batch)
        for pk in batch:
            outgoing.prompt_lines[pk] = len(outgoing.prompt_lines) + 1
            prompt = prompts[pk]
            yield {
                "dataset": prompt.dataset.name,
                "category": prompt.category.name,
                "task_position": positions.get(pk),
                **_PROMPT.row_of(prompt),
            }


def _read_prompts(incoming: Incoming, lines: Iterator[Line]) -> None:
    places = _Places(incoming)
    for batch in in_batches(lines):
        known = _known_prompts(incoming, batch)
        made: list[Prompt] = []
        of_batch: list[tuple[Line, Prompt]] = []
        for line in batch:
            offered = _offered(incoming, line)
            stored = known.get((offered.dataset_id, offered.external_id))
            if stored is None:
                places.take(offered)
                known[offered.dataset_id, offered.external_id] = offered
                made.append(offered)
            else:
                _require_same(stored, offered, line.place, incoming.notes)
            of_batch.append((line, stored or offered))
        with database_errors(batch[0].place, batch[-1].place):
            Prompt.objects.bulk_create(made)
            StudyPrompt.objects.bulk_create(
                StudyPrompt(study=incoming.made, prompt=prompt, position=line.row["task_position"])
                for line, prompt in of_batch
                if line.row["task_position"] is not None
            )
        incoming.prompt_ids.extend(prompt.pk for _, prompt in of_batch)


def _known_prompts(incoming: Incoming, batch: Sequence[Line]) -> dict[tuple[int, str], Prompt]:
    wanted = {str(line.row.get("external_id")) for line in batch}
    found = Prompt.objects.filter(dataset_id__in=incoming.dataset_ids.values(), external_id__in=wanted)
    return {(prompt.dataset_id, prompt.external_id): prompt for prompt in found.order_by("pk")}


def _offered(incoming: Incoming, line: Line) -> Prompt:
    values = _PROMPT.values_of(line, "dataset", "category", "task_position")
    dataset_id = incoming.dataset_ids.get(str(line.row["dataset"]))
    category_id = incoming.category_ids.get(str(line.row["category"]))
    if dataset_id is None or category_id is None:
        raise line.place.error("its data set or its category is not in the bundle.")
    return Prompt(dataset_id=dataset_id, category_id=category_id, **values)


def _require_same(stored: Prompt, offered: Prompt, place: Place, notes: list[str]) -> None:
    differing = [name for name in _SAME_TASK if getattr(stored, name) != getattr(offered, name)]
    if stored.category_id != offered.category_id:
        differing.append("category")
    if differing:
        raise place.error(
            f"the prompt {offered.external_id!r} is here with another {', '.join(differing)}: answers to unlike "
            f"prompts cannot stand together. Import into an installation where this data set is the same."
        )
    if stored.role != offered.role:
        notes.append(
            f"The prompt {stored.external_id} is for {stored.role} here, for {offered.role} in the bundle: it stays."
        )


class _Places:
    """The positions of prompts in their data set and category; a new prompt whose one is taken goes to the end."""

    def __init__(self, incoming: Incoming) -> None:
        self._taken: dict[tuple[int, int], set[int]] = defaultdict(set)
        known = Prompt.objects.filter(dataset_id__in=incoming.dataset_ids.values()).order_by("pk")
        for dataset_id, category_id, position in known.values_list("dataset_id", "category_id", "position"):
            self._taken[dataset_id, category_id].add(position)

    def take(self, prompt: Prompt) -> None:
        taken = self._taken[prompt.dataset_id, prompt.category_id]
        if prompt.position in taken:
            prompt.position = max(taken) + 1
        taken.add(prompt.position)


CATALOGUE_BEFORE_STUDY = (
    Member("categories.jsonl", _write_categories, _read_categories),
    Member("datasets.jsonl", _write_datasets, _read_datasets),
    Member("machines.jsonl", _write_machines, _read_machines),
)
CATALOGUE_OF_STUDY = (
    Member("servers.jsonl", _write_servers, _read_servers),
    Member("language_models.jsonl", _write_models, _read_models),
    Member("deployments.jsonl", _write_deployments, _read_deployments),
    Member("prompts.jsonl", _write_prompts, _read_prompts),
)
