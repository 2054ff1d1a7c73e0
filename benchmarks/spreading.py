"""How far the answers of a study lie apart: of each prompt, of each cell, and which of them are outliers.

A cell is a model with a set of parameters on a category. Repeats are answers of one cell to one prompt.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean
from typing import Protocol, overload

from django.db.models import Q, QuerySet

from benchmarks.models import Response, Study
from benchmarks.spread import (
    MIN_COUNT_FOR_OUTLIERS,
    CellSpread,
    Spread,
    cell_spread_of_prompts,
    mean_without,
    outliers_of,
    spread_of,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A model, named with its server where two of a study have one name, a category and a set of parameters."""

    model: str
    category: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """One finished answer; what is missing is None."""

    response_id: int
    energy_j: float | None
    sci_gco2e: float | None
    quality: str


@dataclass(frozen=True, slots=True)
class _Repeated:
    """One prompt in one cell with its answers, nothing of which is worked out."""

    cell: Cell
    dataset: str
    prompt: str
    role: str
    repeats: list[Repeat]


@dataclass(frozen=True, slots=True)
class PromptSpread:
    """The repeats of one prompt in one cell; `outlier_ids` are responses whose energy is an outlier among them."""

    cell: Cell
    dataset: str
    prompt: str
    role: str
    repeats: tuple[Repeat, ...]
    outlier_ids: frozenset[int]
    energy_j: Spread | None
    sci_gco2e: Spread | None

    @property
    def missing_count(self) -> int:
        """Return how many energies are missing."""
        return len(self.repeats) - (self.energy_j.n if self.energy_j else 0)

    @property
    def qualities(self) -> tuple[str, ...]:
        """Return how the energies came about."""
        return tuple(sorted({one.quality for one in self.repeats}))

    @property
    def energy_without_j(self) -> float | None:
        """Return what the mean energy would be without the outliers; None where there is none."""
        return self._without([(one.response_id, one.energy_j) for one in self.repeats])

    @property
    def sci_without_gco2e(self) -> float | None:
        """Return what the mean SCI would be without the answers whose energy is an outlier; None without any."""
        return self._without([(one.response_id, one.sci_gco2e) for one in self.repeats])

    def _without(self, values: list[tuple[int, float | None]]) -> float | None:
        known = [(pk, value) for pk, value in values if value is not None]
        left_out = {index for index, (pk, _) in enumerate(known) if pk in self.outlier_ids}
        return mean_without([value for _, value in known], left_out) if left_out else None


@dataclass(frozen=True, slots=True)
class CellFigures:
    """A cell of a study: its prompts counted once each, however often they were repeated."""

    cell: Cell
    prompt_count: int
    answer_count: int
    missing_count: int
    outlier_count: int
    qualities: tuple[str, ...]
    energy_j: CellSpread | None
    sci_gco2e: CellSpread | None
    energy_without_j: float | None
    sci_without_gco2e: float | None


@dataclass(frozen=True)
class Block:
    """Cells of a study with any parameters: the models, named as in `Cell`, each with a category."""

    cells: frozenset[tuple[str, str]]

    @classmethod
    def around(cls, cells: Collection[Cell]) -> "Block":
        """Return the smallest one that has some cells."""
        return cls(frozenset((one.model, one.category) for one in cells))

    def __contains__(self, cell: Cell) -> bool:
        return (cell.model, cell.category) in self.cells

    @property
    def models_by_category(self) -> dict[str, set[str]]:
        """Return the models of each category."""
        found: dict[str, set[str]] = defaultdict(set)
        for model, category in self.cells:
            found[category].add(model)
        return dict(found)


def model_titles(study: Study) -> dict[int, str]:
    """Return how cells name the deployments that a study asks, in its order. One query."""
    targets = study.targets.select_related("deployment__language_model", "deployment__server").order_by("position")
    models = [target.deployment for target in targets]
    names = [one.language_model.name for one in models]
    return {
        one.pk: f"{name} on {one.server}" if names.count(name) > 1 else name
        for one, name in zip(models, names, strict=True)
    }


def prompt_spreads(
    *, study: Study, block: Block | None = None, among: Collection[int] | None = None
) -> list[PromptSpread]:
    """Return the spread of every prompt in every cell over the finished answers, in the order of the study's models.

    With `block`, of its cells only, and with `among` of the answers with these ids: nothing is read of others.
    """
    return [_prompt_spread(one) for one in _repeated(study, block, among)]


def _repeated(study: Study, block: Block | None, among: Collection[int] | None = None) -> list[_Repeated]:
    """Return the prompts of every cell with their answers, as `prompt_spreads` has them."""
    titles = model_titles(study)
    places = {pk: place for place, pk in enumerate(titles)}
    answers = _answers(study, block, titles)
    rows = (
        (answers if among is None else answers.filter(pk__in=among))
        .order_by("prompt__category__name", "parameter_set_id", "prompt__dataset__name", "prompt__position", "repeat")
        .values_list(
            "deployment_id", "parameter_set_id", "prompt_id", "deployment__language_model__name",
            "prompt__category__name", "parameter_set__name", "prompt__dataset__name", "prompt__external_id",
            "prompt__role", "pk", "measurement__energy_j", "measurement__sci_gco2e", "measurement__quality",
        )
    )  # fmt: skip
    found: dict[tuple[int, int, int], _Repeated] = {}
    for (
        deployment,
        sets,
        prompt,
        model,
        category,
        parameters,
        dataset,
        name,
        role,
        pk,
        energy_j,
        sci_gco2e,
        quality,
    ) in rows:
        key = (deployment, sets, prompt)
        if key not in found:
            found[key] = _Repeated(Cell(titles.get(deployment, model), category, parameters), dataset, name, role, [])
        found[key].repeats.append(Repeat(pk, energy_j, sci_gco2e, quality or "missing"))
    # stable: the rest is in the query's order
    return [found[key] for key in sorted(found, key=lambda key: places.get(key[0], len(places)))]


def _answers(study: Study, block: Block | None, titles: dict[int, str]) -> QuerySet[Response]:
    """Return the finished answers of a study, or those of a block; `titles` name its deployments."""
    found = Response.objects.finished().filter(study=study)
    if block is None:
        return found
    chosen = Q(pk__in=())
    for category, models in sorted(block.models_by_category.items()):
        named = Q(deployment__in=[pk for pk, title in titles.items() if title in models])
        named |= ~Q(deployment__in=titles) & Q(deployment__language_model__name__in=models)
        chosen |= named & Q(prompt__category__name=category)
    return found.filter(chosen)


def _prompt_spread(prompt: _Repeated) -> PromptSpread:
    known = [(one.response_id, one.energy_j) for one in prompt.repeats if one.energy_j is not None]
    energy_j = spread_of([energy_j for _, energy_j in known])
    return PromptSpread(
        cell=prompt.cell,
        dataset=prompt.dataset,
        prompt=prompt.prompt,
        role=prompt.role,
        repeats=tuple(prompt.repeats),
        outlier_ids=frozenset(known[place][0] for place in energy_j.outliers) if energy_j else frozenset(),
        energy_j=energy_j,
        sci_gco2e=spread_of([one.sci_gco2e for one in prompt.repeats if one.sci_gco2e is not None]),
    )


def _outliers(energies: Sequence[tuple[int, float]]) -> frozenset[int]:
    return frozenset(energies[index][0] for index in outliers_of([energy_j for _, energy_j in energies]))


def cell_figures(spreads: Iterable[PromptSpread]) -> list[CellFigures]:
    """Return the figures of each cell from the spreads of its prompts, in their order."""
    cells: dict[Cell, list[PromptSpread]] = defaultdict(list)
    for one in spreads:
        cells[one.cell].append(one)
    return [_figures(cell, prompts) for cell, prompts in cells.items()]


def _figures(cell: Cell, prompts: list[PromptSpread]) -> CellFigures:
    outlier_count = sum(len(one.outlier_ids) for one in prompts)
    return CellFigures(
        cell=cell,
        prompt_count=len(prompts),
        answer_count=sum(len(one.repeats) for one in prompts),
        missing_count=sum(one.missing_count for one in prompts),
        outlier_count=outlier_count,
        qualities=tuple(sorted({quality for one in prompts for quality in one.qualities})),
        energy_j=cell_spread_of_prompts(one.energy_j for one in prompts),
        sci_gco2e=cell_spread_of_prompts(one.sci_gco2e for one in prompts),
        energy_without_j=_mean_of_means((one.energy_without_j, one.energy_j) for one in prompts)
        if outlier_count
        else None,
        sci_without_gco2e=_mean_of_means((one.sci_without_gco2e, one.sci_gco2e) for one in prompts)
        if outlier_count
        else None,
    )


class PromptsOfCells(Sequence[PromptSpread]):
    """The prompts of a study's cells, one cell after the other; only the cells of a slice are read. For a paginator."""

    def __init__(self, study: Study, cells: Sequence[CellFigures]) -> None:
        self.study = study
        self._cells = cells

    def __len__(self) -> int:
        return sum(one.prompt_count for one in self._cells)

    @overload
    def __getitem__(self, place: int) -> PromptSpread: ...
    @overload
    def __getitem__(self, place: slice) -> list[PromptSpread]: ...
    def __getitem__(self, place: int | slice) -> PromptSpread | list[PromptSpread]:
        if isinstance(place, int):
            place = range(len(self))[place]
            return self[place : place + 1][0]
        begin, end, _ = place.indices(len(self))
        ends = list(accumulate(one.prompt_count for one in self._cells))
        begins = [0, *ends][: len(ends)]
        read = [n for n, (first, after) in enumerate(zip(begins, ends, strict=True)) if first < end and after > begin]
        of_cell: dict[Cell, list[_Repeated]] = {self._cells[n].cell: [] for n in read}
        for one in _repeated(self.study, Block.around(of_cell)) if read else ():
            if one.cell in of_cell:
                of_cell[one.cell].append(one)
        found = [one for prompts in of_cell.values() for one in prompts]
        before = begins[read[0]] if read else 0
        return [_prompt_spread(one) for one in found[begin - before : end - before]]


def _mean_of_means(means: Iterable[tuple[float | None, Spread | None]]) -> float | None:
    known = [spread.mean if without is None else without for without, spread in means if spread is not None]
    return fmean(known) if known else None


class Asking(Protocol):
    """What asked a prompt of a model, such as a response."""

    @property
    def deployment_id(self) -> int: ...
    @property
    def prompt_id(self) -> int: ...


def outlier_ids(*, study: Study, among: Collection[Asking] | None = None) -> frozenset[int]:
    """Return the responses whose energy is an outlier among the repeats of its prompt, all of them or some.

    With `among`, those of the same models and prompts as these are looked at. Nothing is read of a study that has too
    few repeats for any.
    """
    if study.repeats < MIN_COUNT_FOR_OUTLIERS:
        return frozenset()
    found = Response.objects.finished().filter(study=study, measurement__energy_j__isnull=False)
    if among is not None:
        found = found.filter(_asked_as(among))
    groups: dict[tuple[int, int, int], list[tuple[int, float]]] = defaultdict(list)
    names = ("deployment_id", "parameter_set_id", "prompt_id", "pk", "measurement__energy_j")
    for deployment, sets, prompt, pk, energy_j in found.order_by("pk").values_list(*names):
        groups[deployment, sets, prompt].append((pk, energy_j))
    return frozenset().union(*(_outliers(energies) for energies in groups.values()))


def _asked_as(responses: Collection[Asking]) -> Q:
    """Return the condition of the same prompts to the same models as these; of no response none fulfils it."""
    prompts: dict[int, set[int]] = defaultdict(set)
    for one in responses:
        prompts[one.deployment_id].add(one.prompt_id)
    found = Q(pk__in=())
    for deployment, asked in prompts.items():
        found |= Q(deployment=deployment, prompt__in=asked)
    return found
