"""How well people and graders judge: for admins and researchers; names of people are shown to admins only."""

from collections.abc import Sequence
from urllib.parse import urlencode

import orjson
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.sending import announce_file
from greenllm.dashboards.sheets import as_csv
from greenllm.doors import may, people_with
from greenllm.quality.figures import agreement_chart, drift_chart, graders_chart, pace_chart, people_chart
from greenllm.quality.showing import (
    DriftForm,
    agreement_series,
    chosen_cell,
    drift_rows,
    drift_series,
    grader_series,
    people_series,
)
from greenllm.quality.tables import SHEETS
from greenllm.roles import CHANGE_PEOPLE, VIEW_QUALITY
from labeling.confusion import DECIDED, SUSPICIOUS, Cell, Concordance, answers_in, compare_graders
from labeling.drift import Per, drift
from labeling.models import Verdict
from labeling.pace import pace
from labeling.reliability import reliability
from labeling.tallies import people_who_judged
from labeling.unchanged import JUDGED, Shelf, one_look, unchanged

_FEW = 10  # suspicious labels shown at once; the page of answers has them all
_PER_PAGE = 25
_JSON = Shelf(most=2)  # of some megabytes each: with people's names, and without


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
@one_look()
def overview(request: HttpRequest) -> HttpResponse:
    """Show agreement, people, graders and suspicious labels."""
    found = reliability()
    names = _names(request, [one.person_id for one in found.people])
    paced = pace()
    context = {
        "found": found,
        "pairs": [(names[a], names[b], one) for (a, b), one in found.by_pair.items()],
        "people": [(names[one.person_id], one) for one in found.people],
        "graders": [(one, _cells(one)) for one in found.graders],
        "pace": paced,
        "suspicions": answers_in(cell=SUSPICIOUS, comparison=found.comparison, limit=_FEW),
        "suspicions_url": _url_of(SUSPICIOUS),
        "shows_names": may(request, CHANGE_PEOPLE),
        "charts": {
            "agreement": agreement_chart(agreement_series(found)),
            "people": people_chart(people_series(found, names)),
            "pace": pace_chart(
                [one.first_at.date().isoformat() for one in paced.stretches],
                [one.label_count for one in paced.stretches],
                [one.labels_per_hour for one in paced.stretches],
            ),
            "graders": graders_chart(grader_series(found)),
        },
    }
    return render(request, "quality/overview.html", context)


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
@one_look()
def over_time(request: HttpRequest) -> HttpResponse:
    """Show how the labels of one person, or of all, change over time."""
    names = _names(request, people_who_judged())
    form = DriftForm(request.GET, names=names)
    person_id, per = form.chosen()
    found = drift(per=per, person_id=person_id)
    rows = drift_rows(found)
    context = {
        "form": form,
        "found": found,
        "rows": rows,
        "who": "all people" if person_id is None else names[person_id],
        "of_days": per is Per.DAYS,
        "has_labels": bool(names),
        "chart": drift_chart(
            drift_series(rows),
            x_title="First day of the period (UTC)" if per is Per.DAYS else "Labels in their order",
            of_days=per is Per.DAYS,
        ),
    }
    return render(request, "quality/over_time.html", context)


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
@one_look()
def answers(request: HttpRequest) -> HttpResponse:
    """Show the answers behind one count of graders against people."""
    cell = chosen_cell(request.GET)
    if cell is None:
        raise Http404("no such pair of verdicts")
    comparison = compare_graders()
    page = Paginator(range(comparison.count(cell)), _PER_PAGE).get_page(request.GET.get("page"))
    rows = answers_in(cell=cell, comparison=comparison, limit=_PER_PAGE, offset=max(0, page.start_index() - 1))
    return render(
        request,
        "quality/answers.html",
        {"cell": cell, "page": page, "rows": rows, "query": f"{urlencode(_query_of(cell))}&"},
    )


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
@one_look()
def as_csv_file(request: HttpRequest, table: str) -> HttpResponse:
    """Return one table as a CSV file."""
    if table not in SHEETS:
        raise Http404("no table has this name")
    response = announce_file(name=f"quality-{table}.csv", content_type="text/csv; charset=utf-8")
    if request.method == "GET":
        found = reliability()
        names = _names(request, [one.person_id for one in found.people])
        response.content = as_csv(SHEETS[table](found, names))
    return response


@require_safe
@never_cache
@people_with(VIEW_QUALITY)
@one_look()
def as_json(request: HttpRequest) -> HttpResponse:
    """Return every table: a list of objects each, with the columns of the CSV files."""
    if request.method == "HEAD":
        return HttpResponse(content_type="application/json")
    found = reliability()
    names = _names(request, [one.person_id for one in found.people])

    def make() -> bytes:
        return orjson.dumps({table: make(found, names).objects() for table, make in SHEETS.items()})

    text = unchanged(("quality.json", *names.items()), make, studies=[JUDGED], shelf=_JSON)
    return HttpResponse(text, content_type="application/json")


def _cells(one: Concordance) -> list[tuple[int, str]]:
    """Return the confusion counts: correct, incorrect and unsure by the grader, each with people's right and wrong.

    Each comes with the page of the answers behind it.
    """
    cells = [Cell(grade, verdict, one.grader, one.category) for grade in Verdict.values for verdict in DECIDED]
    return [(one.count(cell.grade, cell.verdict), _url_of(cell)) for cell in cells]


def _url_of(cell: Cell) -> str:
    return f"{reverse('quality:answers')}?{urlencode(_query_of(cell))}"


def _query_of(cell: Cell) -> dict[str, str]:
    values = {"grader": cell.grader, "category": cell.category, "grade": cell.grade, "verdict": cell.verdict}
    return {name: value for name, value in values.items() if value is not None}


def _names(request: HttpRequest, ids: Sequence[int]) -> dict[int, str]:
    """Return what people are called on the page: by name for admins, numbered for everybody else."""
    if not may(request, CHANGE_PEOPLE):
        return {person_id: f"person {number}" for number, person_id in enumerate(ids, start=1)}
    people = get_user_model()._default_manager.filter(pk__in=ids).order_by("pk")
    return dict(people.values_list("pk", "username"))
