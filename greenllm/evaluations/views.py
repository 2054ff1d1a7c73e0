"""How `auto` chooses, and how good that is: the versions in force and the evaluations that were made."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.sending import announce_file
from greenllm.dashboards.sheets import as_csv
from greenllm.doors import may, readers_with
from greenllm.evaluations.forms import EvaluationForm, TuningForm, comparing_studies
from greenllm.evaluations.showing import Shown
from greenllm.evaluations.tables import SHEETS
from greenllm.evaluations.versions import all_versions, untuned, version_row
from greenllm.roles import CHANGE_FEDERATION, RUN_STUDIES, VIEW_RESULTS
from router.cascade import LEAST_ACCEPTED
from router.checker_figures import checker_figures
from router.models import Evaluation
from router.reporting import title_of

_EVALUATIONS_PER_PAGE, _VERSIONS_PER_PAGE, _CHECKERS_PER_PAGE = 20, 10, 30


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def overview(request: HttpRequest) -> HttpResponse:
    """Show the version in force, its history and every evaluation."""
    asked = {"study": request.GET["study"]} if "study" in request.GET else {}
    return show_overview(request, EvaluationForm(initial=asked), TuningForm(initial=asked))


def show_overview(
    request: HttpRequest, form: EvaluationForm, tuning_form: TuningForm, *, status: int = 200
) -> HttpResponse:
    """Render the page with its forms, filled as far as a person has filled them."""
    evaluations = Evaluation.objects.select_related("made_by", "version").defer("report", "plan").order_by("-pk")
    versions = Paginator(all_versions(), _VERSIONS_PER_PAGE).get_page(request.GET.get("versions"))
    newest = list(all_versions()[:2] if versions.number > 1 else versions[:2])
    latest_id = newest[0].pk if newest else 0
    context = {
        **_latest_finished(),
        "page": Paginator(evaluations, _EVALUATIONS_PER_PAGE).get_page(request.GET.get("page")),
        "versions": versions,
        "version_rows": [version_row(one, latest_id=latest_id) for one in versions],
        "in_force": version_row(newest[0], latest_id=latest_id) if newest else untuned(),
        "before": version_row(newest[1], latest_id=latest_id) if len(newest) > 1 else None,
        "checkers": Paginator(checker_figures(), _CHECKERS_PER_PAGE).get_page(request.GET.get("checkers")),
        "least_accepted": LEAST_ACCEPTED,
        "form": form,
        "tuning_form": tuning_form,
        "has_studies": comparing_studies().exists() if may(request, RUN_STUDIES) else False,
        "may_run": may(request, RUN_STUDIES),
        "may_tune": may(request, CHANGE_FEDERATION),
    }
    return render(request, "evaluations/overview.html", context, status=status)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def evaluation(request: HttpRequest, evaluation_id: int) -> HttpResponse:
    """Show one evaluation or tuning: how far it is, or all that it found."""
    found = _found(evaluation_id)
    context: dict[str, Any] = {**_progress(found), "may_tune": may(request, CHANGE_FEDERATION)}
    if found.report is not None:
        context |= _report_parts(found.report)
        context["tuning"] = _tuning(found, context["shown"])
    return render(request, "evaluations/evaluation.html", context)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def progress(request: HttpRequest, evaluation_id: int) -> HttpResponse:
    """Return how far it is, for the browser to renew; once it is done the browser loads the page again."""
    found = _found(evaluation_id)
    response = render(request, "evaluations/_progress.html", _progress(found))
    if not found.is_under_way:
        response["HX-Refresh"] = "true"
    return response


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def as_json(request: HttpRequest, evaluation_id: int) -> HttpResponse:
    """Return the whole stored report, with what it is of."""
    found = _finished(evaluation_id)
    response = announce_file(name=f"evaluation-{found.pk}.json", content_type="application/json")
    if request.method == "GET":
        response.content = _as_stored(found)
    return response


def _as_stored(found: Evaluation) -> bytes:
    facts = {"evaluation": found.pk, "kind": found.kind, "outcomes": found.outcomes, "plan": found.plan}
    made = {"finished_at": found.finished_at.isoformat() if found.finished_at else None}
    return JsonResponse({**facts, **made, "report": found.report}, json_dumps_params={"indent": 1}).content


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def as_csv_file(request: HttpRequest, evaluation_id: int, table: str) -> HttpResponse:
    """Return one table as a CSV file."""
    if table not in SHEETS:
        raise Http404("no table has this name")
    found = _finished(evaluation_id)
    response = announce_file(name=f"evaluation-{evaluation_id}-{table}.csv", content_type="text/csv; charset=utf-8")
    if request.method == "GET":
        response.content = as_csv(SHEETS[table](found.report or {}))
    return response


def _latest_finished() -> dict[str, Any]:
    """Return the latest finished evaluation with its charts; nothing where none is finished."""
    finished = Evaluation.objects.filter(kind=Evaluation.Kind.EVALUATION, state=Evaluation.State.FINISHED)
    latest = finished.order_by("-pk").first()
    if latest is None or latest.report is None:
        return {"latest": None}
    return {"latest": latest, **_report_parts(latest.report)}


def _report_parts(report: dict[str, Any]) -> dict[str, Any]:
    """Return what the sections of a report need."""
    shown = Shown(report)
    return {"shown": shown, "report": report, "charts": shown.charts}


def _found(evaluation_id: int) -> Evaluation:
    return get_object_or_404(Evaluation.objects.select_related("study", "made_by", "version"), pk=evaluation_id)


def _finished(evaluation_id: int) -> Evaluation:
    found = _found(evaluation_id)
    if found.report is None:
        raise Http404("it has no report")
    return found


def _progress(found: Evaluation) -> dict[str, Any]:
    return {"evaluation": found, "is_silent": found.is_silent(timezone.now())}


def _tuning(found: Evaluation, shown: Shown) -> dict[str, Any] | None:
    """Return what a tuning proposes, with its row on the held-out prompts."""
    told = (found.report or {}).get("tuning")
    if told is None:
        return None
    row = next(one for one in shown.rows if one.title == title_of(told["policy"]))
    return {**told, "row": row, "loss_share": told["loss"] / 100, "change_points": 100 * told["accuracy_change"]}
