"""The page of a study's spread: how far repeats and prompts lie apart, and what the control workload says."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.controlling import CONTROL_TOKENS
from benchmarks.drifting import ControlReport, control_report
from benchmarks.models import Study
from benchmarks.sending import announce_file
from benchmarks.sorting import Sorting, heads, sorted_rows
from benchmarks.spread import MAX_MODIFIED_Z, MIN_COUNT_FOR_OUTLIERS
from benchmarks.spread_rows import SPREAD_TABLES, spread_table
from benchmarks.spreading import (
    CellFigures,
    PromptsOfCells,
    PromptSpread,
    outlier_ids,
    prompt_spreads,
)
from benchmarks.spreadsheets import harmless_row
from greenllm.charts import Chart
from greenllm.dashboards.counted import Tallied, count_of, finished_of, tallied_of
from greenllm.doors import readers_with
from greenllm.roles import VIEW_RESULTS
from greenllm.studies.kept_spread import kept_spread
from greenllm.studies.spread_figures import CellPoint, ControlPoint, cells_chart, control_chart
from labeling.unchanged import Shelf, one_look, unchanged

_ROWS_PER_PAGE = 50
MOST_READ = 5000  # answers that the page of a study looks through for outliers
_SORTED = Shelf(most=3)  # all prompts of a study, some dozen megabytes of a large one
_PAGES = Shelf(most=20)  # pages of prompts
_HEADS = {
    "model": "Model", "category": "Category", "prompt": "Prompt", "energy": "Energy, mean", "sci": "SCI, mean (mgCO₂e)",
}  # fmt: skip
_Keys = Mapping[str, Callable[[Any], Any]]  # Any: rows of one view, and what is compared of them
_KEYS: Mapping[str, _Keys] = {
    "cells": {
        "model": lambda row: row.cell.model,
        "category": lambda row: row.cell.category,
        "energy": lambda row: row.energy_j and row.energy_j.between_prompts.mean,
        "sci": lambda row: row.sci_gco2e and row.sci_gco2e.between_prompts.mean,
    },
    "prompts": {
        "model": lambda row: row.cell.model,
        "category": lambda row: row.cell.category,
        "prompt": lambda row: row.prompt,
        "energy": lambda row: row.energy_j and row.energy_j.mean,
        "sci": lambda row: row.sci_gco2e and row.sci_gco2e.mean,
    },
}
_VIEWS = {"cells": "By cell", "prompts": "By prompt", "control": "Control runs"}


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
@one_look()
def spread(request: HttpRequest, name: str) -> HttpResponse:
    """Show mean, median, variation and interval of energy and SCI, of each cell or prompt; or the control runs."""
    study = get_object_or_404(Study, name=name)
    control = control_report(study=study)
    views = {key: title for key, title in _VIEWS.items() if key != "control" or control is not None}
    view = request.GET.get("per", "cells")
    view = view if view in views else "cells"
    kept = kept_spread(study)
    cells = kept.cells
    sorting = Sorting.of(request.GET.get("sort", ""), _KEYS.get(view, {}))
    tables: dict[str, Sequence[object]] = {
        "cells": cells,
        "prompts": _sortable_prompts(study)
        if sorting.name and view == "prompts"
        else _KeptPrompts(study, cells, kept.asked),
        "control": control.runs if control is not None else (),
    }
    rows = sorted_rows(tables[view], sorting, _KEYS.get(view, {}))
    page = Paginator(rows, _ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "study": study,
        "view": view,
        "views": views.items(),
        "page": page,
        "query": f"per={view}&{sorting.query}",
        "heads": heads(_HEADS, sorting, kept=f"per={view}&"),
        "chart": _cells_chart(page.object_list) if view == "cells" else None,
        "control": control,
        "control_tokens": CONTROL_TOKENS,
        "control_chart": _control_chart(control) if control is not None and view == "control" else None,
        "is_running": study.state == Study.State.RUNNING,
        **_summary(study, cells),
    }
    return render(request, "studies/spread.html", context)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def note(request: HttpRequest, name: str) -> HttpResponse:
    """Return what a study's page tells of its spread, for the browser to renew while it runs."""
    study = get_object_or_404(Study, name=name)
    tallies = tallied_of(study) if study.repeats >= MIN_COUNT_FOR_OUTLIERS else ()
    return render(request, "studies/_spread.html", note_context(study, tallies))


def note_context(study: Study, tallies: Sequence[Tallied]) -> dict[str, object]:
    """Return what the fragment on a study's page shows: its outliers, and whether its machine drifted.

    Of more answers than `MOST_READ` outliers are not looked for here: the page of the spread does. `tallies` are the
    counts of its answers; where there are too few repeats for outliers nobody looks at them.
    """
    can_tell = study.repeats >= MIN_COUNT_FOR_OUTLIERS
    are_untold = can_tell and count_of(finished_of(tallies)) > MOST_READ
    found = outlier_ids(study=study) if can_tell and not are_untold else frozenset()
    return {
        "study": study,
        "outlier_count": len(found),
        "are_outliers_untold": are_untold,
        "control": control_report(study=study),
        "is_running": study.state == Study.State.RUNNING,
    }


@require_safe
@readers_with(VIEW_RESULTS)
@one_look()
def as_csv(request: HttpRequest, name: str, per: str) -> HttpResponse:
    """Give the spread of each cell or of each prompt, or the control runs, as CSV."""
    study = get_object_or_404(Study, name=name)
    if per not in SPREAD_TABLES:
        raise Http404(f"There is no spread of {per}.")
    answer = announce_file(name=f"{study.name}-spread-{per}.csv", content_type="text/csv; charset=utf-8")
    if request.method == "HEAD":
        return answer
    columns, rows = spread_table(study=study, per=per)
    writer = csv.writer(answer)
    writer.writerow(columns)
    writer.writerows(map(harmless_row, rows))
    return answer


class _KeptPrompts(PromptsOfCells):
    """The prompts of cells, whose pages are read once."""

    @overload
    def __getitem__(self, place: int) -> PromptSpread: ...
    @overload
    def __getitem__(self, place: slice) -> list[PromptSpread]: ...
    def __getitem__(self, place: int | slice) -> PromptSpread | list[PromptSpread]:
        asked = place.indices(len(self)) if isinstance(place, slice) else place
        key = ("studies.prompts_of_cells", self.study.pk, asked)
        return unchanged(key, lambda: PromptsOfCells.__getitem__(self, place), studies=[self.study.pk], shelf=_PAGES)


def _sortable_prompts(study: Study) -> list[PromptSpread]:
    """Return all prompts: which come first is not known before all are read."""
    return unchanged(
        ("studies.sorted_spread", study.pk), lambda: prompt_spreads(study=study), studies=[study.pk], shelf=_SORTED
    )


def _summary(study: Study, cells: Sequence[CellFigures]) -> dict[str, object]:
    return {
        "answer_count": sum(one.answer_count for one in cells),
        "missing_count": sum(one.missing_count for one in cells),
        "outlier_count": sum(one.outlier_count for one in cells),
        "is_repeated": any(one.answer_count > one.prompt_count for one in cells),
        "can_tell_outliers": study.repeats >= MIN_COUNT_FOR_OUTLIERS,
        "min_count": MIN_COUNT_FOR_OUTLIERS,
        "max_z": MAX_MODIFIED_Z,
        "has_sets": len({one.cell.parameters for one in cells}) > 1,
    }


def _cells_chart(cells: Iterable[CellFigures]) -> Chart | None:
    shown = list(cells)
    has_sets = len({one.cell.parameters for one in shown}) > 1
    points = [
        CellPoint(
            f"{one.cell.model} ({one.cell.parameters})" if has_sets else one.cell.model,
            one.cell.category,
            one.energy_j.between_prompts,
        )
        for one in shown
        if one.energy_j is not None
    ]
    return cells_chart(points) if points else None


def _control_chart(control: ControlReport) -> Chart | None:
    points = [ControlPoint(run.hours, run.energy_j) for run in control.runs if run.energy_j is not None]
    return control_chart(points, control.drift) if points else None
