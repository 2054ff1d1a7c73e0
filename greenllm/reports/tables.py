"""The tables of a report from what a study's answers add up to. Pure but for the words of links."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.models import LanguageModel
from benchmarks.units import SECONDS_PER_YEAR, size_in_words
from greenllm.reports.cells import TOKENS, Basis, ReportCell, pooled
from greenllm.reports.grids import Cell, Figure, Grid, Unit
from greenllm.reports.queries import PromptCell, ValidationPrompt

ALL = "all"
LinkTo = Callable[[ReportCell, str], str]  # to the answers of a cell, with one verdict or with any
LinkToPrompt = Callable[[PromptCell], str]  # to the answers of a model to a prompt
NO_RIGHT = "no right answer with an SCI"
NOT_JUDGED = "not judged yet"
NO_ENERGY = "no answer has an energy"
NO_TOKENS = "no token counts"
NO_IDLE = "no idle power was measured"
_KINDS = (("sci", Unit.SCI, "SCI", "mgCO2e"), ("energy", Unit.ENERGY, "energy, gross", "J"))
_NET = ("net", Unit.ENERGY, "energy, net of idle", "J")


@dataclass(frozen=True)
class StudyCells:
    """The cells of a study in the order of its models."""

    models: tuple[str, ...]
    cells: dict[tuple[str, str], ReportCell]

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Return the categories that have answers."""
        return tuple(sorted({category for category, _ in self.cells}))

    @cached_property
    def totals(self) -> dict[str, ReportCell]:
        """Return each model over all categories; only models with answers."""
        by_model = {model: [one for (_, name), one in self.cells.items() if name == model] for model in self.models}
        return {model: pooled("", model, cells) for model, cells in by_model.items() if cells}

    @cached_property
    def total(self) -> ReportCell:
        """Return all models over all categories."""
        return pooled("", "", self.cells.values())

    @property
    def answered(self) -> tuple[str, ...]:
        """Return the models that have answers."""
        return tuple(self.totals)


def table_1(models: Sequence[LanguageModel], cells: StudyCells) -> Grid:
    """Return the models: architecture, parameters, size and task."""
    rows = [
        (
            model.name,
            (
                Cell(text=model.family), Cell(text=model.parameter_size), Cell(text=model.quantization),
                Cell(text=size_in_words(model.size_bytes) if model.size_bytes else ""), Cell(text=model.task),
                Cell(text=f"{cells.totals[model.name].answer_count:,}" if model.name in cells.totals else "0"),
            ),
        )
        for model in models
    ]  # fmt: skip
    return Grid(
        "table-1", "Table 1: the models", "What their servers tell of the models; a dash where one tells nothing",
        "Model", ("Architecture", "Parameters", "Quantization", "Size", "Task", "Training answers"), tuple(rows),
    )  # fmt: skip


def table_2(prompts: Sequence[ValidationPrompt], models: Sequence[str], link: LinkToPrompt) -> Grid:
    """Return the validation prompts by model: the SCI where the answer was right."""
    rows = [
        (f"{one.category}, {one.name}", tuple(_answer(one.cells.get(model), link) for model in models))
        for one in prompts
    ]
    return Grid(
        "table-2", "Table 2: the validation prompts",
        "SCI of each right answer to a prompt that the router never learned, mgCO2e; “wrong” where it was not right",
        "Prompt", tuple(models), tuple(rows),
    )  # fmt: skip


def table_3(cells: StudyCells, link: LinkTo) -> Grid:
    """Return the mean SCI of the right answers, category by model."""
    return _by_category(
        cells, link, "correct", lambda cell: Figure.of_interval(
            cell.mean_sci_of_right, Unit.SCI, of=cell.correct_count, qualities=cell.qualities, why=NO_RIGHT
        ),
        "table-3", "Table 3: what a right answer costs", "Mean SCI of the right answers, mgCO2e per prompt",
    )  # fmt: skip


def table_4(cells: StudyCells, link: LinkTo) -> Grid:
    """Return the accuracy, category by model."""
    return _by_category(
        cells, link, "", lambda cell: Figure.of_interval(
            cell.accuracy, Unit.SHARE, of=cell.answer_count, why=NOT_JUDGED,
            qualities=("by graders",) if "grader" in cell.sources else (),
        ),
        "table-4", "Table 4: how often it is right", "Accuracy: the share of judged answers that are right",
    )  # fmt: skip


def table_5(cells: StudyCells, link: LinkTo) -> Grid:
    """Return the sum of SCI over all answers, category by model."""
    return _by_category(
        cells, link, "", lambda cell: Figure(
            cell.sum_sci, Unit.SCI, cell.products["sci"].n, cell.answer_count, qualities=cell.qualities, why=NO_ENERGY
        ),
        "table-5", "Table 5: what all answers cost", "Sum of SCI over all answers, right or wrong, mgCO2e",
    )  # fmt: skip


def by_functional_unit(cells: StudyCells, link: LinkTo) -> Grid:
    """Return SCI and energy, gross and net of idle, per prompt, per 1,000 output tokens and per right answer."""
    kinds = (*_KINDS, _NET)
    columns = tuple(
        f"{name} per {per} ({unit})"
        for _, _, name, unit in kinds
        for per in ("prompt", f"{TOKENS:,} tokens", "right answer")
    )
    return Grid(
        "functional-units", "Other functional units, gross and net of idle",
        "SCI and energy per prompt, per 1,000 output tokens and per right answer, over all training answers",
        "Model", tuple(column[0].upper() + column[1:] for column in columns),
        tuple((model, _units(cell, link)) for model, cell in cells.totals.items()),
        (ALL, _units(cells.total, link)) if len(cells.totals) > 1 else None,
        ("Per right answer: what all judged answers cost, by how many of them are right. Net of idle: what the machine "
         "draws beyond doing nothing; the standard counts gross.",),
    )  # fmt: skip


def by_basis(found: Sequence[Basis]) -> Grid:
    """Return what SCI was made with: a row for each machine, intensity and lifespan that the study's answers have."""
    rows = []
    for one in found:
        energy = Figure.of_interval(
            one.energy.mean((1, 0)), Unit.ENERGY, of=one.answer_count, qualities=one.qualities, why=NO_ENERGY
        )
        sci = Figure.of_interval(
            one.sci.mean((1,)), Unit.SCI, of=one.answer_count, qualities=one.qualities, why=NO_ENERGY
        )
        years = None if one.expected_lifespan_s is None else one.expected_lifespan_s / SECONDS_PER_YEAR
        told = (
            Cell(text=_told(one.carbon_intensity_gco2e_per_kwh)), Cell(text=one.carbon_intensity_source),
            Cell(text=_told(None if one.total_embodied_emissions_gco2e is None
                            else one.total_embodied_emissions_gco2e / 1000)),
            Cell(text=_told(years)), Cell(text=_told(one.resource_share)), Cell(text=one.boundary),
        )  # fmt: skip
        rows.append((one.machine or "not told", (*told, Cell(energy), Cell(sci))))
    return Grid(
        "bases", "By machine, intensity and lifespan",
        "What each SCI was made with, over training and validation answers, and what those answers cost per prompt",
        "Machine",
        ("Intensity (gCO2e/kWh)", "Source of the intensity", "Embodied (kgCO2e)", "Lifespan (years)", "Share",
         "Boundary", "Energy per prompt (J)", "SCI per prompt (mgCO2e)"),
        tuple(rows),
    )  # fmt: skip


def _by_category(  # noqa: PLR0917 - words at the end
    cells: StudyCells,
    link: LinkTo,
    verdict: str,
    made: Callable[[ReportCell], Figure],
    name: str,
    title: str,
    caption: str,
) -> Grid:
    def shown(cell: ReportCell | None) -> Cell:
        return Cell() if cell is None else Cell(made(cell), url=link(cell, verdict))

    models = cells.answered
    rows = tuple(
        (category, tuple(shown(cells.cells.get((category, model))) for model in models))
        for category in cells.categories
    )
    total = (ALL, tuple(shown(cells.totals[model]) for model in models)) if len(cells.categories) > 1 else None
    return Grid(name, title, caption, "Category", models, rows, total)


def _answer(cell: PromptCell | None, link: LinkToPrompt) -> Cell:
    if cell is None:
        return Cell()
    url = link(cell)
    if cell.judged_count == 0:
        return Cell(text=NOT_JUDGED, url=url)
    if cell.correct_count == 0:
        some = f" ({cell.judged_count} of {cell.answer_count} judged)" if cell.judged_count < cell.answer_count else ""
        return Cell(text=f"wrong{some}", url=url)
    sci = cell.sci_of_right.mean((1,))
    figure = Figure.of_interval(sci, Unit.SCI, of=cell.answer_count, qualities=cell.qualities, why=NO_RIGHT)
    return Cell(figure, url=url)


def _units(cell: ReportCell, link: LinkTo) -> tuple[Cell, ...]:
    made = []
    for kind, unit, *_ in (*_KINDS, _NET):
        lacking = NO_IDLE if kind == "net" else NO_ENERGY
        for interval, why in (
            (cell.per_prompt(kind), lacking),
            (cell.per_tokens(kind), lacking if cell.per_prompt(kind) is None else NO_TOKENS),
            (cell.per_right_answer(kind), lacking if cell.per_prompt(kind) is None else NO_RIGHT),
        ):
            figure = Figure.of_interval(interval, unit, of=cell.answer_count, qualities=cell.qualities, why=why)
            made.append(Cell(figure, url=link(cell, "")))
    return tuple(made)


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"
