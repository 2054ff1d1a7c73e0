"""Bring outcomes and embeddings together into the table that policies are evaluated on."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from benchmarks.datasets.outcome_table import DEFAULT_QUALITY, QUALITIES, OutcomeTable
from benchmarks.models import Measurement, Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of
from router.evaluation.perturbing import PERTURBATIONS
from router.evaluation.running import Written
from router.evaluation.table import Table
from router.indexing import text_of
from router.vectors import Matrix


class NothingJudged(LookupError):
    """A study has no answers that a policy could be evaluated on."""


class Embedding(Protocol):
    """What turns texts into unit vectors."""

    def embed(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> Matrix:
        """Return one unit vector a text, as rows."""


UNITS = {"energy_j": "J", "sci_gco2e": "gCO2e"}


def table_of(outcomes: OutcomeTable, *, embedder: Embedding, on_progress: Callable[[int], None] | None = None) -> Table:
    """Return the table of outcomes, each prompt with its embedding; a model without any cost is left out.

    Raises:
        Whatever the embedder raises.
    """
    costly = [name for name, gaps in zip(outcomes.models, np.isnan(outcomes.costs).T, strict=True) if not gaps.all()]
    outcomes = outcomes.of_models(costly)
    return Table(
        models=outcomes.models,
        vectors=embedder.embed(outcomes.texts, on_progress=on_progress),
        categories=outcomes.categories,
        category_names=outcomes.category_names,
        texts=outcomes.texts,
        scores=outcomes.scores,
        costs=outcomes.costs,
        unit=UNITS[outcomes.cost_kind],
    )


def outcomes_of_study(study: Study, *, embedded_text: str) -> OutcomeTable:
    """Return what the models of a study did on its prompts: verdicts as scores, means over repeats, SCI as costs.

    Only measurements of the quality that most have count, because figures of unlike kind are not ranked together.

    Raises:
        NothingJudged: the study has no model with judged and measured answers.
    """
    rows = list(
        Response.objects.finished()
        .filter(study=study)
        .select_related("prompt__category", "deployment__language_model", "measurement")
        .order_by("prompt_id", "pk")
    )
    verdicts = verdicts_of(row.pk for row in rows)
    prompts = {row.prompt_id: row.prompt for row in rows}
    models = sorted({row.deployment.language_model.name for row in rows})
    quality = _usual_quality(rows)
    shape = (len(prompts), len(models))
    sums, counts = np.zeros((2, *shape)), np.zeros((2, *shape))
    row_of = {key: number for number, key in enumerate(prompts)}
    for row in rows:
        cell = (row_of[row.prompt_id], models.index(row.deployment.language_model.name))
        is_correct = verdicts.get(row.pk, UNDECIDED).is_correct
        measured = row.measurement
        cost = measured.sci_gco2e if measured is not None and _quality_of(measured) == quality else None
        for which, value in enumerate((is_correct, cost)):
            if value is not None:
                sums[(which, *cell)] += float(value)
                counts[(which, *cell)] += 1
    with np.errstate(invalid="ignore"):
        scores, costs = sums / counts
    kept = [column for column in range(len(models)) if counts[:, :, column].sum(axis=1).all()]
    if not kept:
        raise NothingJudged(
            f"The study {study} has no model with judged and {quality} answers; label its answers, then try again."
        )
    names = sorted({prompt.category.name for prompt in prompts.values()})
    return OutcomeTable(
        prompt_ids=tuple(str(key) for key in prompts),
        texts=tuple(text_of(prompt, embedded_text) for prompt in prompts.values()),
        categories=np.array([names.index(prompt.category.name) for prompt in prompts.values()], dtype=np.int64),
        category_names=tuple(names),
        models=tuple(models[column] for column in kept),
        scores=scores[:, kept],
        costs=costs[:, kept],
        cost_kind="sci_gco2e",
        qualities=np.full(costs[:, kept].shape, QUALITIES.index(quality), dtype=np.uint8),
    )


def written_otherwise(
    table: Table, *, embedder: Embedding, seed: int, on_progress: Callable[[int], None] | None = None
) -> dict[str, Written]:
    """Return all prompts of a table with typos and in other framings, embedded anew."""
    found = {}
    for name, write in PERTURBATIONS.items():
        texts = tuple(write(text, seed=seed) for text in table.texts)
        found[name] = Written(texts, embedder.embed(texts, on_progress=on_progress))
    return found


def _usual_quality(rows: Sequence[Response]) -> str:
    counts = dict.fromkeys(QUALITIES, 0)
    for row in rows:
        if row.measurement is not None and (quality := _quality_of(row.measurement)) in counts:
            counts[quality] += 1
    return max(counts, key=lambda quality: counts[quality])  # max keeps the first of equals


def _quality_of(measured: Measurement) -> str:
    """Return how an SCI came about; one that a file of outcomes gave without any energy does not say."""
    is_given = measured.sci_gco2e is not None and measured.energy_j is None
    return DEFAULT_QUALITY if is_given else measured.quality
