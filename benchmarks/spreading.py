"""How far the answers of a study lie apart: of each prompt, of each cell, and which of them are outliers.

A cell is a model with a set of parameters on a category. Repeats are answers of one cell to one prompt.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean
from typing import Protocol, overload

from django.db.models import Q, QuerySet

from benchmarks.models import Prompt, Response, Study
from benchmarks.spread import (
    MIN_COUNT_FOR_OUTLIERS,
    CellSpread,
    Spread,
    cell_spread_of_prompts,
    mean_without,
    outliers_of,
    spread_of,
)

Asked = tuple[int, int, int]  # ids of the deployment, of the parameter set and of the prompt

# the order of prompts in a cell, but for that of the study's deployments
_ORDER = (
    "prompt__category__name", "parameter_set_id", "prompt__dataset__name", "prompt__position", "prompt_id",
    "deployment_id",
)  # fmt: skip
_ASKED = ("deployment_id", "parameter_set_id", "prompt_id")
_CELL = ("deployment__language_model__name", "prompt__category__name", "parameter_set__name")


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
class Repeated:
    """One prompt in one cell with its answers, nothing of which is worked out; a cell may have two of one name."""

    cell: Cell
    asked: Asked
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


def model_titles(study: Study) -> dict[int, str]:
    """Return how cells name the deployments that a study asks, in its order. One query."""
    targets = study.targets.select_related("deployment__language_model", "deployment__server").order_by("position")
    models = [target.deployment for target in targets]
    names = [one.language_model.name for one in models]
    return {
        one.pk: f"{name} on {one.server}" if names.count(name) > 1 else name
        for one, name in zip(models, names, strict=True)
    }


def prompt_spreads(*, study: Study) -> list[PromptSpread]:
    """Return the spread of every prompt in every cell over the finished answers, in the order of the study's models."""
    return [prompt_spread(one) for one in repeated_prompts(study=study)]


def repeated_prompts(*, study: Study, among: Collection[int] | None = None) -> list[Repeated]:
    """Return every prompt in every cell with its finished answers, in the order of the study's models.

    With `among`, of the answers with these ids alone: nothing is read of others.
    """
    titles = model_titles(study)
    answers = Response.objects.finished().filter(study=study)
    return _repeated(answers if among is None else answers.filter(pk__in=among), titles)


def _repeated(answers: QuerySet[Response], titles: Mapping[int, str]) -> list[Repeated]:
    """Return answers by what was asked, in the order of `titles`."""
    names = ("prompt__external_id", "prompt__role", "pk")
    figures = ("measurement__energy_j", "measurement__sci_gco2e", "measurement__quality")
    rows = answers.order_by(*_ORDER, "repeat").values_list(*_ASKED, *_CELL, "prompt__dataset__name", *names, *figures)
    found: dict[Asked, Repeated] = {}
    for *ids, model, category, parameters, dataset, name, role, pk, energy_j, sci_gco2e, quality in rows:
        asked = (ids[0], ids[1], ids[2])
        if asked not in found:
            cell = Cell(titles.get(asked[0], model), category, parameters)
            found[asked] = Repeated(cell, asked, dataset, name, role, [])
        found[asked].repeats.append(Repeat(pk, energy_j, sci_gco2e, quality or "missing"))
    return [found[asked] for asked in _in_order(found, titles)]


def _in_order(asked: Iterable[Asked], titles: Mapping[int, str]) -> list[Asked]:
    """Return what was asked in the order of the deployments, and else in that in which it comes."""
    places = {pk: place for place, pk in enumerate(titles)}
    return sorted(asked, key=lambda one: places.get(one[0], len(places)))


def _in_cells(of_cells: Sequence[Collection[Asked]], titles: Mapping[int, str]) -> list[Asked]:
    """Return what was asked in some cells, one after the other, each in the order of `_repeated`. One query."""
    prompts = Prompt.objects.filter(pk__in={prompt for asked in of_cells for *_, prompt in asked})
    ids = prompts.order_by("dataset__name", "position", "pk").values_list("pk", flat=True)
    place_of = {pk: place for place, pk in enumerate(ids)}
    known = [[one for one in asked if one[2] in place_of] for asked in of_cells]
    in_order = (sorted(asked, key=lambda one: (one[1], place_of[one[2]], one[0])) for asked in known)
    return [one for asked in in_order for one in _in_order(asked, titles)]


def _answers_of(cells: Collection[Cell], study: Study, titles: Mapping[int, str]) -> QuerySet[Response]:
    """Return the finished answers of some cells and of those with other parameters; `titles` name the deployments."""
    models_of: dict[str, set[str]] = defaultdict(set)
    for one in cells:
        models_of[one.category].add(one.model)
    chosen = Q(pk__in=())
    for category, models in sorted(models_of.items()):
        named = Q(deployment__in=[pk for pk, title in titles.items() if title in models])
        named |= ~Q(deployment__in=titles) & Q(deployment__language_model__name__in=models)
        chosen |= named & Q(prompt__category__name=category)
    return Response.objects.finished().filter(chosen, study=study)


def prompt_spread(prompt: Repeated) -> PromptSpread:
    """Return how far the answers to one prompt lie apart."""
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
    """The prompts of a study's cells, one cell after the other, for a paginator; only what a slice shows is read.

    `asked` returns what was asked in a cell, in any order.
    """

    def __init__(self, study: Study, cells: Sequence[CellFigures], asked: Callable[[Cell], Collection[Asked]]) -> None:
        self.study = study
        self._cells = cells
        self._asked = asked

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
        if not read:
            return []
        cells = [self._cells[n].cell for n in read]
        titles = model_titles(self.study)
        before = begins[read[0]]
        chosen = _in_cells([self._asked(cell) for cell in cells], titles)[begin - before : end - before]
        answers = _answers_of(cells, self.study, titles)
        repeated = _repeated(answers.filter(prompt__in={prompt for *_, prompt in chosen}), titles)
        found = {one.asked: one for one in repeated}
        return [prompt_spread(found[asked]) for asked in chosen if asked in found]


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
