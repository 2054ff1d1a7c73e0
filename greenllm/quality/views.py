"""How well people and graders judge: for admins and researchers; names of people are shown to admins only."""

from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from greenllm.dashboards.sheets import as_csv
from greenllm.doors import may, people_with
from greenllm.quality.tables import SHEETS
from greenllm.roles import CHANGE_PEOPLE, VIEW_QUALITY
from labeling.models import Verdict
from labeling.reliability import Reliability, reliability

_SUSPICIONS_PER_PAGE = 25
_DECIDED = (Verdict.CORRECT.value, Verdict.INCORRECT.value)


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
def overview(request: HttpRequest) -> HttpResponse:
    """Show agreement, people, graders and suspicious labels."""
    found = reliability()
    names = _names(request, found)
    context = {
        "found": found,
        "pairs": [(names[a], names[b], one) for (a, b), one in found.by_pair.items()],
        "people": [(names[one.person_id], one) for one in found.people],
        "graders": [
            (one, [(one.precision(verdict), one.recall(verdict)) for verdict in _DECIDED], _cells(one.count))
            for one in found.graders
        ],
        "suspicions": Paginator(found.suspicions, _SUSPICIONS_PER_PAGE).get_page(request.GET.get("page")),
        "shows_names": may(request, CHANGE_PEOPLE),
    }
    return render(request, "quality/overview.html", context)


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
def as_csv_file(request: HttpRequest, table: str) -> HttpResponse:
    """Return one table as a CSV file."""
    if table not in SHEETS:
        raise Http404("no table has this name")
    found = reliability()
    response = HttpResponse(
        as_csv(SHEETS[table](found, _names(request, found))), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="quality-{table}.csv"'
    return response


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
def as_json(request: HttpRequest) -> JsonResponse:
    """Return every table: a list of objects each, with the columns of the CSV files."""
    found = reliability()
    names = _names(request, found)
    sheets = {table: make(found, names) for table, make in SHEETS.items()}
    return JsonResponse(
        {table: [dict(zip(sheet.header, row, strict=True)) for row in sheet.rows] for table, sheet in sheets.items()}
    )


def _cells(count: Callable[[str, str], int]) -> list[int]:
    """Return the confusion counts: correct, incorrect and unsure by the grader, each with people's right and wrong."""
    return [count(grade, verdict) for grade in Verdict.values for verdict in _DECIDED]


def _names(request: HttpRequest, found: Reliability) -> dict[int, str]:
    """Return what people are called on the page: by name for admins, numbered for everybody else."""
    ids = [one.person_id for one in found.people]
    if not may(request, CHANGE_PEOPLE):
        return {person_id: f"person {number}" for number, person_id in enumerate(ids, start=1)}
    people = get_user_model()._default_manager.filter(pk__in=ids)
    return dict(people.values_list("pk", "username"))
