"""Make a study of a table of outcomes: its prompts, its models, which nobody can ask, and what each answer cost.

Nobody knows which weights answered elsewhere, so that each table has language models of its own: no verdict of it
counts for a model of the federation. They stand on a server with an address that leads nowhere (RFC 6761), retired.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np
from django.db import transaction
from django.db.models import ProtectedError

from benchmarks.datasets.outcome_table import QUALITIES, OutcomeTable
from benchmarks.models import (
    CarbonIntensity,
    Category,
    Dataset,
    Deployment,
    InferenceServer,
    LanguageModel,
    Machine,
    Measurement,
    ParameterSet,
    Prompt,
    Response,
    Study,
    StudyDeployment,
    StudyPrompt,
)
from benchmarks.models.catalog import category_title
from benchmarks.scoring import apply_operational_score
from benchmarks.study_plan import StudyError, check_free_name

MACHINE_NAME = "elsewhere"
_BOUNDARY = {
    "energy_j": "as the outcomes tell it; operational emissions only, because no time is known",
    "sci_gco2e": "as the outcomes tell it; their SCI stands as given",
}
_SCI_ALONE = "The outcomes give SCI and no energy."
_NO_COST = "The outcomes have no cost of this answer."
_BATCH = 2000


@dataclass(frozen=True)
class OutcomeStudy:
    """A study of a table, before its answers; prompts and deployments are in the order of the table."""

    study: Study
    parameter_set: ParameterSet
    prompts: tuple[Prompt, ...]
    deployments: tuple[Deployment, ...]


@dataclass(frozen=True)
class StoredAnswer:
    """One stored answer and its score, None where nobody judged it."""

    response: Response
    score: float | None


def require_new_outcomes(*, table: OutcomeTable, name: str) -> None:
    """Refuse a table that is here already, or a name that is taken or none.

    Raises:
        StudyError: which says what is wrong.
    """
    known = Study.objects.filter(uuid=_uuid_of(table)).first()
    if known is not None:
        raise StudyError(f"These outcomes are here already, as the study {known}. Nothing was imported.")
    check_free_name(name)


def create_outcome_study(
    *, table: OutcomeTable, name: str, folder_name: str, intensity: CarbonIntensity, now: datetime
) -> OutcomeStudy:
    """Create a finished study of a table with its prompts and models; call it within a transaction.

    Raises:
        StudyError: the table is here already, or the name is taken.
    """
    require_new_outcomes(table=table, name=name)
    study = Study.objects.create(
        name=name,
        title=f"Outcomes of {folder_name}"[:200],
        kind=Study.Kind.IMPORTED,
        state=Study.State.FINISHED,
        uuid=_uuid_of(table),
        carbon_intensity_gco2e_per_kwh=intensity.gco2e_per_kwh,
        carbon_intensity_source=intensity.origin,
        finished_at=now,
        imported_at=now,
        imported_from={
            "outcomes": folder_name,
            "cost": table.cost_kind,
            "content_sha256": table.content_hash,
            "notes": list(table.notices),
        },
    )
    prompts, deployments = _prompts(table, name), _deployments(table, study, now)
    StudyPrompt.objects.bulk_create(
        (StudyPrompt(study=study, prompt=prompt, position=place) for place, prompt in enumerate(prompts, start=1)),
        batch_size=_BATCH,
    )
    StudyDeployment.objects.bulk_create(
        StudyDeployment(study=study, deployment=one, position=place) for place, one in enumerate(deployments, start=1)
    )
    parameters = ParameterSet.objects.create(study=study, name="not told", num_ctx=None)
    return OutcomeStudy(study, parameters, prompts, deployments)


def store_answers(*, made: OutcomeStudy, table: OutcomeTable, now: datetime) -> Iterator[list[StoredAnswer]]:
    """Store the answers of a study batch by batch, each with what it cost; call it within a transaction.

    A cell with neither score nor cost has no answer.
    """
    cells = np.argwhere(~(np.isnan(table.scores) & np.isnan(table.costs)))
    for first in range(0, len(cells), _BATCH):
        batch = [(int(row), int(column)) for row, column in cells[first : first + _BATCH]]
        measurements = Measurement.objects.bulk_create(_measurement(made.study, table, at) for at in batch)
        responses = Response.objects.bulk_create(
            Response(
                study=made.study,
                deployment=made.deployments[column],
                prompt=made.prompts[row],
                parameter_set=made.parameter_set,
                sequence=first + place,
                state=Response.State.FINISHED,
                measurement=measurement,
                finished_at=now,
            )
            for place, ((row, column), measurement) in enumerate(zip(batch, measurements, strict=True), start=1)
        )
        scores = [float(table.scores[at]) for at in batch]
        yield [
            StoredAnswer(response, None if np.isnan(score) else score)
            for response, score in zip(responses, scores, strict=True)
        ]


@dataclass(frozen=True)
class Discarded:
    """What went with a study of outcomes, and the prompts that stay because something else knows them."""

    prompt_count: int
    model_count: int
    kept_prompt_count: int


def discard_answers(*, study: Study, kept_ids: Sequence[int], now: datetime) -> None:
    """Delete the answers of a study of outcomes with what they cost, but those; call it within a transaction.

    Raises:
        ProtectedError: something stands on one of them.
    """
    answers = study.responses.exclude(pk__in=kept_ids)
    measurement_ids = list(answers.exclude(measurement=None).values_list("measurement_id", flat=True))
    answers.delete()
    Measurement.objects.filter(pk__in=measurement_ids).delete()
    study.imported_from = {**study.imported_from, "taken_back_at": now.isoformat()}
    study.save(update_fields=["imported_from"])


def discard_study(*, study: Study) -> Discarded:
    """Delete a study of outcomes that has no answers left, its models, and its prompts where nothing else has them.

    Categories stay, for nobody knows who else names them; call it within a transaction.
    """
    prompt_ids = list(study.tasks.values_list("prompt_id", flat=True))
    dataset_ids = set(Prompt.objects.filter(pk__in=prompt_ids).values_list("dataset_id", flat=True))
    deployments = list(study.deployments.select_related("language_model", "server"))
    study.delete()
    for deployment in deployments:
        deployment.delete()
        deployment.language_model.delete()
    for server in {one.server for one in deployments}:
        server.delete()
    alone = Prompt.objects.filter(pk__in=prompt_ids, study_tasks=None, responses=None, role=Prompt.Role.UNUSED)
    prompt_count = alone.count()
    try:
        with transaction.atomic():
            alone.delete()
            Dataset.objects.filter(pk__in=dataset_ids, prompts=None).delete()
    except ProtectedError:  # an index has taken them up
        prompt_count = 0
    return Discarded(prompt_count, len(deployments), len(prompt_ids) - prompt_count)


def _uuid_of(table: OutcomeTable) -> UUID:
    """Return the same id for the same cells, so that neither a second import nor a bundle makes a second study."""
    return uuid5(NAMESPACE_URL, f"outcomes:{table.content_hash}")


def _prompts(table: OutcomeTable, name: str) -> tuple[Prompt, ...]:
    """Return the prompts of a table; tables of the same prompts share them, so that their studies can be compared."""
    version = f"sha256:{table.prompts_hash}"
    dataset = Dataset.objects.filter(version=version).first()
    if dataset is None:
        dataset = Dataset.objects.create(
            name=f"{name[:50]}-{table.prompts_hash[:8]}", title=f"Prompts of the outcomes {name}", version=version
        )
        Prompt.objects.bulk_create(_new_prompts(table, dataset), batch_size=_BATCH)
    known = {prompt.external_id: prompt for prompt in dataset.prompts.order_by("pk")}
    return tuple(known[prompt_id] for prompt_id in table.prompt_ids)


def _new_prompts(table: OutcomeTable, dataset: Dataset) -> Iterator[Prompt]:
    categories = [
        Category.objects.get_or_create(name=name, defaults={"title": category_title(name)})[0]
        for name in table.category_names
    ]
    counts = [0] * len(categories)
    for prompt_id, text, number in zip(table.prompt_ids, table.texts, table.categories, strict=True):
        counts[number] += 1
        yield Prompt(
            dataset=dataset,
            category=categories[number],
            external_id=prompt_id,
            position=counts[number],
            role=Prompt.Role.UNUSED,  # an index of the federation's own prompts shall not know them
            item_text=text,
            text=text,
        )


def _deployments(table: OutcomeTable, study: Study, now: datetime) -> tuple[Deployment, ...]:
    machine, _ = Machine.objects.get_or_create(
        name=MACHINE_NAME, defaults={"title": "No machine of ours: where imported outcomes come from"}
    )
    short = str(study.uuid)[:8]
    server = InferenceServer.objects.create(
        name=f"outcomes-{short}",
        kind=InferenceServer.Kind.OPENAI,
        base_url=f"http://outcomes-{short}.{MACHINE_NAME}.invalid",
        machine=machine,
    )
    models = LanguageModel.objects.bulk_create(
        LanguageModel(name=name, digest=f"outcomes-{study.uuid}") for name in table.models
    )
    return tuple(
        Deployment.objects.bulk_create(
            Deployment(language_model=model, server=server, state=Deployment.State.RETIRED, state_changed_at=now)
            for model in models
        )
    )


def _measurement(study: Study, table: OutcomeTable, at: tuple[int, int]) -> Measurement:
    cost = float(table.costs[at])
    measurement = Measurement(
        purpose=Measurement.Purpose.IMPORTED, quality="missing", boundary=_BOUNDARY[table.cost_kind]
    )
    if np.isnan(cost):
        measurement.missing_reason = _NO_COST
    elif table.cost_kind == "sci_gco2e":
        measurement.sci_gco2e, measurement.missing_reason = cost, _SCI_ALONE
    else:
        measurement.energy_j, measurement.quality = cost, QUALITIES[table.qualities[at]]
        intensity = study.carbon_intensity_gco2e_per_kwh
        if intensity is not None:
            apply_operational_score(measurement, intensity, study.carbon_intensity_source)
    return measurement
