"""What a report reads of a study, added up by Postgres: no query returns a row for each answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection

from benchmarks.models import Category, Deployment, LanguageModel, Study
from benchmarks.products import Products, pairs_of
from greenllm.reports.cells import POPULATIONS, ReportCell
from labeling.renewing import Touched, renewed

MOST_BASES = 50
MOST_PROMPTS = 100  # of Table 2 on a page; a file has them all

_FIGURES = {
    "sci": "measurement.sci_gco2e",
    "energy": "measurement.energy_j",
    "net": "measurement.net_energy_j",
    # energies without a time count as such; what a what-if makes of them `ReportCell.untimed_count` tells
    "time": "coalesce(measurement.time_reserved_s, 0) * coalesce(measurement.resource_share, 1)",
    "tokens": "nullif(response.output_token_count, 0)::float8",
    "right": "decided.is_correct::int",
}


def _products_sql(name: str) -> str:
    """Return the columns that make the `Products` of a population."""
    terms = [_FIGURES[figure] for figure in POPULATIONS[name]]
    condition = " AND ".join(f"{term} IS NOT NULL" for term in terms)
    if name.endswith("_of_right"):
        condition += " AND decided.is_correct"
    only = f"FILTER (WHERE {condition})"
    sums = [f"sum({term}) {only}" for term in terms]
    sums += [f"sum(({terms[a]})::float8 * ({terms[b]})) {only}" for a, b in pairs_of(len(terms))]
    return ", ".join([f"count(*) {only}", *(f"coalesce({one}, 0)::float8" for one in sums)])


_JOINED = """
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
JOIN benchmarks_category AS category ON category.id = prompt.category_id
JOIN benchmarks_deployment AS deployment ON deployment.id = response.deployment_id
JOIN benchmarks_languagemodel AS model ON model.id = deployment.language_model_id
LEFT JOIN benchmarks_measurement AS measurement ON measurement.id = response.measurement_id
LEFT JOIN benchmarks_machine AS machine ON machine.id = measurement.machine_id
WHERE response.study_id = %(study)s AND response.state = 'finished'
"""
# the verdict of each answer is known already, as `labeling.verdicts` has it
_DECIDED = """
SELECT response_id, verdict_source AS source,
       CASE verdict WHEN 'correct' THEN true WHEN 'incorrect' THEN false END AS is_correct
FROM labeling_currentanswer WHERE study_id = %(study)s
"""
_FROM = f"""
FROM benchmarks_response AS response LEFT JOIN ({_DECIDED}) AS decided ON decided.response_id = response.id {_JOINED}
"""
# of some cells: their answers are found in an index alone, before anything else is read
_SOME = f"""
WITH decided AS MATERIALIZED (
    {_DECIDED} AND deployment_id = ANY(%(deployments)s) AND category_id = ANY(%(categories)s)
)
"""
_FROM_SOME = f"FROM decided JOIN benchmarks_response AS response ON response.id = decided.response_id {_JOINED}"
_BASIS = (
    "carbon_intensity_gco2e_per_kwh", "carbon_intensity_source", "total_embodied_emissions_gco2e",
    "expected_lifespan_s", "resource_share", "boundary", "method_version",
)  # fmt: skip
_COUNTS = """
count(*), count(decided.is_correct), count(*) FILTER (WHERE decided.is_correct),
count(*) FILTER (WHERE measurement.energy_j IS NOT NULL AND measurement.time_reserved_s IS NULL),
array_agg(DISTINCT coalesce(measurement.quality, 'missing')),
coalesce(array_agg(DISTINCT decided.source) FILTER (WHERE decided.is_correct IS NOT NULL), '{}')
"""
_VALIDATION = f"""
WITH asked AS (
    SELECT prompt.id FROM benchmarks_prompt AS prompt
    JOIN benchmarks_category AS category ON category.id = prompt.category_id
    WHERE prompt.role = 'validation' AND EXISTS (
        SELECT FROM benchmarks_response AS response
        WHERE response.prompt_id = prompt.id AND response.study_id = %(study)s AND response.state = 'finished')
    ORDER BY category.name, prompt.position, prompt.id LIMIT %(most)s
)
SELECT prompt.id, prompt.external_id, category.name, left(prompt.item_text, 80), model.name, min(response.id),
       count(*), count(decided.is_correct), count(*) FILTER (WHERE decided.is_correct),
       coalesce(array_agg(DISTINCT coalesce(measurement.quality, 'missing')) FILTER (WHERE decided.is_correct), '{{}}'),
       {_products_sql("sci_of_right")}
{_FROM} AND prompt.id IN (SELECT id FROM asked)
GROUP BY prompt.id, category.name, model.name ORDER BY category.name, prompt.position, prompt.id, model.name
"""  # noqa: S608 - put together of constants


@dataclass(frozen=True)
class Basis:
    """What SCI was made with, and what the answers of that add up to (training and validation)."""

    machine: str
    carbon_intensity_gco2e_per_kwh: float | None
    carbon_intensity_source: str
    total_embodied_emissions_gco2e: float | None
    expected_lifespan_s: int | None
    resource_share: float | None
    boundary: str
    method_version: str
    answer_count: int
    qualities: tuple[str, ...]
    energy: Products
    sci: Products

    @property
    def key(self) -> tuple[str | float | None, ...]:
        """Return all that it is, apart from the answers."""
        return tuple(getattr(self, name) for name in ("machine", *_BASIS))

    def with_answers_of(self, other: "Basis") -> "Basis":
        """Return it with the answers of the same basis in another cell."""
        return replace(
            self,
            answer_count=self.answer_count + other.answer_count,
            qualities=tuple(sorted({*self.qualities, *other.qualities})),
            energy=self.energy + other.energy,
            sci=self.sci + other.sci,
        )


@dataclass(frozen=True)
class PromptCell:
    """One model on one validation prompt: its answers, how many are judged and right, and the right ones' SCI.

    `response_id` is that of its first answer, `qualities` are those of the right ones' energies.
    """

    prompt_id: int
    model: str
    response_id: int
    answer_count: int
    judged_count: int
    correct_count: int
    qualities: tuple[str, ...]
    sci_of_right: Products


@dataclass(frozen=True)
class ValidationPrompt:
    """One validation prompt with its cells by model."""

    name: str
    category: str
    text: str
    cells: Mapping[str, PromptCell]


def report_cells(study: Study) -> dict[tuple[str, str], ReportCell]:
    """Return the cells of a study by category and model, over its training answers. One query.

    They are kept until an answer of the study changes; then those of its model and category are worked out anew.
    """
    return renewed(
        ("reports.cells", study.pk),
        lambda: _report_cells(study),
        lambda cells, touched: _renewed(study, cells, touched),
        studies=[study.pk],
        kind=dict[tuple[str, str], ReportCell],
    )


def _renewed(
    study: Study, cells: Mapping[tuple[str, str], ReportCell], touched: Touched
) -> dict[tuple[str, str], ReportCell]:
    """Return cells with those that answers changed in worked out anew; all of them where one came or went."""
    models = LanguageModel.objects.filter(deployments__in=touched.deployment_ids).values(
        "name"
    )  # a name may come twice
    deployments = dict(
        Deployment.objects.filter(language_model__name__in=models).values_list("pk", "language_model__name")
    )
    categories = dict(Category.objects.filter(pk__in=touched.category_ids).values_list("pk", "name"))
    fresh = _report_cells(study, _Block(list(deployments), list(categories)))
    names = {*categories.values()}, {*deployments.values()}
    if fresh.keys() != {key for key in cells if key[0] in names[0] and key[1] in names[1]}:
        return _report_cells(study)
    return {key: fresh.get(key, cell) for key, cell in cells.items()}


@dataclass(frozen=True)
class _Block:
    """The cells of some deployments in some categories."""

    deployments: list[int]
    categories: list[int]


def _report_cells(study: Study, block: _Block | None = None) -> dict[tuple[str, str], ReportCell]:
    """Return all cells, or those of a block."""
    names = list(POPULATIONS)
    columns = ", ".join(_products_sql(name) for name in names)
    rows = _rows_of(
        f"category.name, model.name, {_COUNTS}, {columns}",
        "AND prompt.role <> 'validation' GROUP BY 1, 2 ORDER BY 1, 2",
        study,
        block,
    )
    found = {}
    for category, model, answers, judged, right, untimed, qualities, sources, *values in rows:
        products: dict[str, Products] = {}
        rest: Sequence[Any] = values
        for name in names:
            products[name], rest = _taken(rest, len(POPULATIONS[name]))
        found[category, model] = ReportCell(
            category, model, answers, judged, right, tuple(qualities), tuple(sources), products, untimed
        )
    return found


def _rows_of(columns: str, rest: str, study: Study, block: _Block | None) -> list[tuple[Any, ...]]:
    """Return columns of a study's finished answers, or of those in a block; `rest` is what ends the query."""
    if block is None:
        return _rows(f"SELECT {columns} {_FROM} {rest}", study)
    query = f"{_SOME} SELECT {columns} {_FROM_SOME} {rest}"
    return _rows(query, study, deployments=block.deployments, categories=block.categories)


def bases(study: Study) -> list[Basis]:
    """Return what the SCI of a study's answers was made with, the most used first, `MOST_BASES` at most. One query.

    Kept as `report_cells` are.
    """
    by_cell = renewed(
        ("reports.bases", study.pk),
        lambda: _bases(study),
        lambda cells, touched: _renewed_bases(study, cells, touched),
        studies=[study.pk],
        kind=_BasesOfCells,
    )
    return _most_used(by_cell)


_BasesOfCells = dict[tuple[int, int], list[Basis]]  # by deployment and category


def _renewed_bases(study: Study, cells: _BasesOfCells, touched: Touched) -> _BasesOfCells:
    """Return the bases of each cell, worked out anew where answers changed."""
    block = _Block(sorted(touched.deployment_ids), sorted(touched.category_ids))
    kept = {key: one for key, one in cells.items() if key[0] not in block.deployments or key[1] not in block.categories}
    return dict(sorted((kept | _bases(study, block)).items()))


def _bases(study: Study, block: _Block | None = None) -> _BasesOfCells:
    """Return the bases of the answers of each cell, or of each in a block."""
    keys = ", ".join(f"measurement.{name}" for name in _BASIS)
    by = f"response.deployment_id, prompt.category_id, machine.name, {keys}"
    rows = _rows_of(
        f"""response.deployment_id, prompt.category_id, coalesce(machine.name, ''), {keys}, count(*),
        array_agg(DISTINCT measurement.quality), {_products_sql("energy")}, {_products_sql("sci")}""",
        f"AND measurement.id IS NOT NULL GROUP BY {by} ORDER BY {by}",
        study,
        block,
    )
    made: _BasesOfCells = {}
    for deployment_id, category_id, *row in rows:
        given, (count, qualities, *values) = row[: len(_BASIS) + 1], row[len(_BASIS) + 1 :]
        energy, rest = _taken(values, len(POPULATIONS["energy"]))
        sci, _ = _taken(rest, len(POPULATIONS["sci"]))
        columns: list[Any] = [*given, count, tuple(qualities), energy, sci]
        made.setdefault((deployment_id, category_id), []).append(Basis(*columns))
    return made


def _most_used(cells: _BasesOfCells) -> list[Basis]:
    """Return the bases of all cells together, the most used first."""
    found: dict[tuple[Any, ...], Basis] = {}
    for one in (basis for of_cell in cells.values() for basis in of_cell):
        before = found.get(one.key)
        found[one.key] = one if before is None else before.with_answers_of(one)
    by_key = sorted(found.items(), key=lambda item: [(part is None, part) for part in item[0]])
    return sorted((one for _, one in by_key), key=lambda one: -one.answer_count)[:MOST_BASES]


def validation_prompts(study: Study, *, most: int | None = MOST_PROMPTS) -> list[ValidationPrompt]:
    """Return the first validation prompts that have finished answers, with a cell for each model. One query."""
    rows = _rows(_VALIDATION, study, most=most)
    found: dict[int, ValidationPrompt] = {}
    cells: dict[int, dict[str, PromptCell]] = {}
    for pk, name, category, text, model, *rest in rows:
        own = cells.setdefault(pk, {})
        found.setdefault(pk, ValidationPrompt(name, category, text, own))
        sci, _ = _taken(rest[5:], 1)
        columns: list[Any] = [pk, model, *rest[:4], tuple(rest[4]), sci]
        own[model] = PromptCell(*columns)
    return list(found.values())


def validation_prompt_count(study: Study) -> int:
    """Return how many validation prompts have a finished answer."""
    finished = study.responses.filter(state="finished", prompt__role="validation")
    return finished.values("prompt_id").distinct().count()


def studied_models(study: Study) -> list[LanguageModel]:
    """Return the models that a study asks, in its order, each name once. One query."""
    targets = study.targets.select_related("deployment__language_model").order_by("position")
    return list({one.deployment.language_model.name: one.deployment.language_model for one in targets}.values())


def _taken(values: Sequence[Any], width: int) -> tuple[Products, Sequence[Any]]:
    """Return the `Products` at the beginning of a row's values, and the rest."""
    last = 1 + width + len(pairs_of(width))
    return Products(values[0], tuple(values[1 : 1 + width]), tuple(values[1 + width : last])), values[last:]


def _rows(query: str, study: Study, **values: int | list[int] | None) -> list[tuple[Any, ...]]:
    """Return rows of numbers and words."""
    with connection.cursor() as cursor:
        cursor.execute(query, {"study": study.pk, **values})
        return list(cursor.fetchall())
