"""The page that shows what admins and programs did, and the same as CSV."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from django.apps import apps
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.moments import written_moment
from benchmarks.paging import Order, keyed_page, place_in
from benchmarks.sending import announce_file
from benchmarks.sorting import Sorting, heads, in_order
from greenllm.acts.forms import ActsForm
from greenllm.acts.watched import WATCHED, name_of
from greenllm.dashboards.sheets import Sheet, as_csv
from greenllm.doors import people_with
from greenllm.models import AdminAct
from greenllm.roles import CHANGE_PEOPLE

_ON_A_PAGE = 50
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")  # as Postgres writes one
MOST_IN_A_FILE = 100_000
_HEADER = (
    "when (UTC)", "who", "person", "from address", "what", "of what", "id", "before", "after", "where", "OS user",
    "program",
)  # fmt: skip
_HEADS = {"when": "When (UTC)", "who": "Who", "from": "From"}
_SORTED: Mapping[str, F] = {"when": F("happened_at"), "who": F("person__username"), "from": F("address")}
_LATEST_FIRST = Order(column="happened_at", is_descending=True)


@require_safe
@never_cache
@people_with(CHANGE_PEOPLE)
def acts(request: HttpRequest) -> HttpResponse:
    """List what was done, the latest first or sorted by a head."""
    form, sorting = ActsForm(request.GET), Sorting.of(request.GET.get("sort", ""), _SORTED)
    asked = _asked(form)
    column = _SORTED[sorting.name].name if sorting.name else ""
    order = Order(column=column, is_descending=sorting.is_descending) if column else _LATEST_FIRST
    place, count = place_in(request.GET), asked.count()
    page = keyed_page(asked, order=order, place=place, size=_ON_A_PAGE, count=count)
    query = request.GET.copy()
    for name in ("page", "after", "before", "sort"):
        query.pop(name, None)
    kept = f"{query.urlencode()}&" if query else ""
    found = AdminAct.objects.select_related("person").in_bulk(page.keys)
    context = {
        "form": form,
        "page": page,
        "rows": [(found[pk], name_of(found[pk].table), _changes(found[pk])) for pk in page.keys if pk in found],
        "query": f"{kept}{sorting.query}",
        "sorting": sorting,
        "heads": heads(_HEADS, sorting, kept=kept),
        "is_narrowed": any(query.values()),
    }
    return render(request, "account/acts.html", context, status=200 if form.is_valid() else 400)


@require_safe
@never_cache
@people_with(CHANGE_PEOPLE)
def acts_csv(request: HttpRequest) -> HttpResponse:
    """Return the listed acts as CSV in the order of the list, at most so many of the first."""
    response = announce_file(name="acts.csv", content_type="text/csv; charset=utf-8")
    if request.method == "GET":
        sorting = Sorting.of(request.GET.get("sort", ""), _SORTED)
        acts = in_order(_asked(ActsForm(request.GET)), sorting, _SORTED, otherwise=("-happened_at", "-pk"))
        rows = tuple(_row(act) for act in acts.select_related("person")[:MOST_IN_A_FILE])
        response.content = as_csv(Sheet(_HEADER, rows))
    return response


def _asked(form: ActsForm) -> QuerySet[AdminAct]:
    found = AdminAct.objects.all()
    if not form.is_valid():
        return found.none()
    asked = form.cleaned_data
    if asked["name"]:
        named = Q(person__username__icontains=asked["name"]) | Q(os_user__icontains=asked["name"])
        found = found.filter(named | Q(program__icontains=asked["name"]))
    if asked["place"]:
        found = found.filter(place=asked["place"])
    if asked["table"]:
        found = found.filter(table=asked["table"])
    return found.filter(happened_at__date__gte=asked["since"]) if asked["since"] else found


def _changes(act: AdminAct) -> list[tuple[str, str, str]]:
    """Return for each column its name, what it was and what it is."""
    names = sorted({*act.before, *act.after})
    return [(_column_name(act, name), _shown(act.before, name), _shown(act.after, name)) for name in names]


def _column_name(act: AdminAct, name: str) -> str:
    """Return what a column is called; where a program ended, what it counts are rows of tables."""
    return _table_titles().get(name, name.replace("_", " ")) if act.kind == AdminAct.Kind.ENDED else name


@cache
def _table_titles() -> dict[str, str]:
    """Return what the rows of every table are called, by its name in Postgres."""
    models = apps.get_models(include_auto_created=True)
    titles = {model._meta.db_table: str(model._meta.verbose_name_plural) for model in models}
    return titles | {table: name_of(table) for table in WATCHED if table not in titles}


def _shown(values: dict[str, Any], name: str) -> str:
    """Return a value as a page shows it: a moment in the form of all dates, anything else as it is kept."""
    value = values.get(name)
    if isinstance(value, str):
        return written_moment(datetime.fromisoformat(value), to_second=True) if _is_moment(name, value) else value
    return "" if value is None else json.dumps(value)


def _is_moment(name: str, value: str) -> bool:
    """Tell whether a column holds a moment: those are named so, and what stands there has to be one."""
    return name.endswith("_at") and _MOMENT.fullmatch(value) is not None


def _row(act: AdminAct) -> tuple[str | int | None, ...]:
    return (
        f"{act.happened_at:%Y-%m-%d %H:%M:%S}",
        act.person.username if act.person else "",
        act.person_id,
        act.address or "",
        act.kind,
        name_of(act.table),
        act.object_id,
        json.dumps(act.before, sort_keys=True),
        json.dumps(act.after, sort_keys=True),
        act.place,
        act.os_user,
        act.program,
    )
