"""The dashboards of one study: the paper's tables and figures from its data, and their CSV files."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from benchmarks.federating import UnknownModel
from benchmarks.inference.base import InferenceError
from benchmarks.models import Study
from benchmarks.sending import announce_file
from greenllm.dashboards import charting
from greenllm.dashboards.queries import latest_study, studies_to_show, study_tables
from greenllm.dashboards.sheets import Sheet, as_csv
from greenllm.doors import may, people_with, readers_with
from greenllm.roles import RUN_STUDIES, VIEW_RESULTS
from router import wiring
from router.embedding import EmbedderMismatch
from router.evaluating import Comparison, NothingToCompare, compare, stored_comparison
from router.index import IndexStoreError
from router.indexing import NoIndex
from router.models import PromptIndex
from router.policy import NoCandidate
from router.vectors import DimensionMismatch, UnusableEmbedding

_TOLD = (
    InferenceError, NoIndex, NoCandidate, EmbedderMismatch, DimensionMismatch, UnusableEmbedding, IndexStoreError,
    UnknownModel, NothingToCompare,
)  # fmt: skip


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def study_tables_page(request: HttpRequest) -> HttpResponse:
    """Show the tables and charts of the chosen study, or of the latest one."""
    listed = studies_to_show()
    study = _chosen_study(request) or latest_study() or next(iter(listed), None)
    context: dict[str, object] = {"studies": listed, "study": study}
    if study is not None:
        context |= _study_context(study)
        context["may_compare"] = may(request, RUN_STUDIES)
    return render(request, "dashboards/study_tables.html", context)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def chart_csv(request: HttpRequest, chart: str) -> HttpResponse:
    """Return the numbers of one chart or table as a CSV file."""
    study = _chosen_study(request) or latest_study()
    if study is None:
        raise Http404("no study has begun")
    if chart not in charting.TABLE_SHEETS and chart != "figure-2":
        raise Http404("no chart has this name")
    response = announce_file(name=f"{study.name}-{chart}.csv", content_type="text/csv; charset=utf-8")
    if request.method == "GET":
        response.content = as_csv(_sheet_of(study, chart))
    return response


@require_POST
@people_with(RUN_STUDIES)
def compare_router(request: HttpRequest) -> HttpResponse:
    """Route the validation prompts of a study with the router of today, and keep the decisions for Figure 2."""
    study = get_object_or_404(Study, name=request.POST.get("study", ""))
    try:
        compared = compare(study=study, embedder=wiring.embedder(), store=wiring.vector_store(), clock=timezone.now)
    except _TOLD as error:
        messages.error(request, f"The router could not be compared: {error}")
    else:
        messages.success(request, f"The router decided on {compared.prompt_count} validation prompts.")
    return redirect(f"{reverse('dashboards:study-tables')}?study={study.name}#figure-2-title")


def _chosen_study(request: HttpRequest) -> Study | None:
    name = request.GET.get("study", "")
    return get_object_or_404(Study.objects.select_related("machine"), name=name) if name else None


def _sheet_of(study: Study, chart: str) -> Sheet:
    if chart in charting.TABLE_SHEETS:
        return charting.TABLE_SHEETS[chart](study_tables(study))
    try:
        return charting.comparison_sheet(stored_comparison(study=study))
    except NothingToCompare as error:
        raise Http404(str(error)) from error


def _study_context(study: Study) -> dict[str, object]:
    tables = study_tables(study)
    if not tables.cells and not study.responses.finished().exists():
        return {"tables": tables, "is_empty": True}
    context: dict[str, object] = {"tables": tables, "qualities": tables.total.qualities}
    if tables.cells:
        context["accuracy_chart"] = charting.accuracy_against_sci(tables)
        context["category_chart"] = charting.sci_by_category(tables)
    return context | _comparison_context(study, tables.models)


def _comparison_context(study: Study, models: tuple[str, ...]) -> dict[str, object]:
    try:
        compared = stored_comparison(study=study)
    except NothingToCompare:
        return {"comparison": None}
    return {
        "comparison": compared,
        "figure_2": charting.figure_2(compared, models),
        "is_outdated": _is_outdated(compared),
    }


def _is_outdated(compared: Comparison) -> bool:
    """Tell whether the stored decisions were made with another index than the current one."""
    if not compared.routed_count:
        return False
    current = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).values_list("pk", flat=True).first()
    return compared.index_ids != {current}
