"""The page of a study's spread: how far the repeats of its prompts and the prompts of its cells lie apart."""

import csv
from collections.abc import Iterable, Sequence

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.models import Study
from benchmarks.spread import MAX_MODIFIED_Z, MIN_COUNT_FOR_OUTLIERS
from benchmarks.spread_rows import CELL_COLUMNS, PROMPT_COLUMNS, cell_rows, prompt_rows
from benchmarks.spreading import CellFigures, cell_figures, prompt_spreads
from greenllm.charts import Chart
from greenllm.doors import readers_with
from greenllm.roles import VIEW_RESULTS
from greenllm.studies.spread_figures import CellPoint, cells_chart

_ROWS_PER_PAGE = 50
_VIEWS = {"cells": "By cell", "prompts": "By prompt"}


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def spread(request: HttpRequest, name: str) -> HttpResponse:
    """Show mean, median, variation and interval of energy and SCI, of each cell or of each prompt."""
    study = get_object_or_404(Study, name=name)
    view = request.GET.get("per", "cells")
    view = view if view in _VIEWS else "cells"
    spreads = prompt_spreads(study=study)
    cells = cell_figures(spreads)
    rows: Sequence[object] = cells if view == "cells" else spreads
    page = Paginator(rows, _ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "study": study,
        "view": view,
        "views": _VIEWS.items(),
        "page": page,
        "query": f"per={view}&",
        "chart": _chart(page.object_list) if view == "cells" else None,
        "answer_count": sum(one.answer_count for one in cells),
        "missing_count": sum(one.missing_count for one in cells),
        "outlier_count": sum(one.outlier_count for one in cells),
        "is_repeated": any(len(one.repeats) > 1 for one in spreads),
        "can_tell_outliers": study.repeats >= MIN_COUNT_FOR_OUTLIERS,
        "min_count": MIN_COUNT_FOR_OUTLIERS,
        "max_z": MAX_MODIFIED_Z,
        "has_sets": len({one.cell.parameters for one in cells}) > 1,
        "is_running": study.state == Study.State.RUNNING,
    }
    return render(request, "studies/spread.html", context)


@require_safe
@readers_with(VIEW_RESULTS)
def as_csv(request: HttpRequest, name: str, per: str) -> HttpResponse:  # noqa: ARG001  # Django gives it
    """Give the spread of each cell or of each prompt as CSV."""
    study = get_object_or_404(Study, name=name)
    rows: Iterable[Sequence[object]]
    if per == "cells":
        columns, rows = CELL_COLUMNS, cell_rows(study=study, cells=cell_figures(prompt_spreads(study=study)))
    elif per == "prompts":
        columns, rows = PROMPT_COLUMNS, prompt_rows(study=study, spreads=prompt_spreads(study=study))
    else:
        raise Http404(f"There is no spread of {per}.")
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{study.name}-spread-{per}.csv"'
    writer = csv.writer(answer)
    writer.writerow(columns)
    writer.writerows(rows)
    return answer


def _chart(cells: Iterable[CellFigures]) -> Chart | None:
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
