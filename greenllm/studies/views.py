"""The list of studies, and one study as it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import F
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from benchmarks.controlling import CONTROL_TOKENS
from benchmarks.models import Response, Study
from benchmarks.pacing import recent_pace
from benchmarks.paging import place_in
from benchmarks.queueing import QueueState, queue_state
from benchmarks.sorting import Column, Sorting, heads, in_order
from benchmarks.spreading import outlier_ids
from greenllm.dashboards.counted import Tallied, progress_counted, tallied_of
from greenllm.dashboards.queries import study_tables
from greenllm.doors import may, readers_with
from greenllm.roles import RUN_STUDIES, VIEW_RESULTS
from greenllm.studies import queries
from greenllm.studies.listing import COLUMNS, PROMPTS, VERDICTS, Asked, response_page
from greenllm.studies.spreads import note_context
from greenllm.studies.watching import power_context
from labeling.jobs import GradingRun, latest_grading

_STUDIES_PER_PAGE = 25
_HEADS = {"study": "Study", "state": "State", "machine": "Machine", "when": "When"}
_SORTED: Mapping[str, Column] = {
    "study": F("name"), "state": F("state"), "machine": F("machine__name"),
    "when": Coalesce("finished_at", "started_at", "created_at"),
}  # fmt: skip
_RESPONSE_HEADS = {"number": "No.", "sci": "SCI (mgCO₂e)", "energy": "Energy", "took": "Took"}


@dataclass(frozen=True)
class Queue:
    """What the queue's server says of a study's machine and of its graders; `problem` where it says nothing."""

    state: QueueState | None = None
    grading: GradingRun | None = None
    problem: str = ""

    @property
    def is_unattended(self) -> bool:
        """Tell whether nobody would measure."""
        return self.state is not None and self.state.worker_count == 0


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def study_list(request: HttpRequest) -> HttpResponse:
    """Show every study, a page at a time, the latest first."""
    chosen = {name: request.GET.get(name, "") for name in ("state", "kind")}
    sorting = Sorting.of(request.GET.get("sort", ""), _SORTED)
    every = Study.objects.select_related("machine")
    studies = in_order(every, sorting, _SORTED, otherwise=("-created_at", "-pk"))
    for name, choices in (("state", Study.State.values), ("kind", Study.Kind.values)):
        if chosen[name] in choices:
            studies = studies.filter(**{name: chosen[name]})
    page = Paginator(studies, _STUDIES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": queries.study_rows(page.object_list),
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "states": Study.State.choices,
        "kinds": Study.Kind.choices,
        "query": f"{_query_of(chosen)}{sorting.query}",
        "heads": heads(_HEADS, sorting, kept=_query_of(chosen)),
        "may_run": may(request, RUN_STUDIES),
    }
    return render(request, "studies/list.html", context)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a study: how far it is, what it asks, its tables and its responses."""
    study = get_object_or_404(Study.objects.select_related("machine", "created_by"), name=name)
    tallies = tallied_of(study)
    asked = study.targets.select_related("deployment__language_model", "deployment__server").order_by("position")
    targets = list(asked)
    models = [one.deployment.language_model.name for one in targets]
    context = {
        **_live_context(request, study, tallies),
        **power_context(study),
        **_tables_context(study, tallies, models=models),
        **note_context(study, tallies),
        **_responses_context(request, study, tallies),
        "control_tokens": CONTROL_TOKENS,
        "idle_baselines": queries.idle_baselines(study) if study.idle_baseline_s else [],
        "parameter_sets": study.parameter_sets.order_by("pk"),
        "targets": targets,
    }
    return render(request, "studies/detail.html", context)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def live(request: HttpRequest, name: str) -> HttpResponse:
    """Return the part of a study's page that changes while it runs."""
    study = get_object_or_404(Study.objects.select_related("machine"), name=name)
    return render(request, "studies/_live.html", _live_context(request, study, tallied_of(study)))


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def tables(request: HttpRequest, name: str) -> HttpResponse:
    """Return the tables of a study, for the browser to renew while it runs."""
    study = get_object_or_404(Study, name=name)
    return render(request, "studies/_tables.html", {"study": study, **_tables_context(study, tallied_of(study))})


def _live_context(request: HttpRequest, study: Study, tallies: Sequence[Tallied]) -> dict[str, object]:
    progress = progress_counted(tallies)
    is_measured_here = study.machine_id is not None and study.kind in {Study.Kind.MEASURED, Study.Kind.ROUTER}
    is_running = study.state == Study.State.RUNNING
    pace = recent_pace(study=study) if is_running else None
    return {
        "study": study,
        "progress": progress,
        "done_count": progress.finished + progress.failed + progress.cancelled,
        "is_running": is_running,
        "pace": pace,
        "time_left_s": queries.time_left_s(progress, pace),
        "now_measured": queries.running_attempts(study) if is_running else [],
        "failures": queries.failed_responses(study) if progress.failed else [],
        "may_run": may(request, RUN_STUDIES),
        "is_measured_here": is_measured_here,
        "queue": _queue_of(study, is_asked_for_workers=is_measured_here),
    }


def _queue_of(study: Study, *, is_asked_for_workers: bool) -> Queue:
    try:
        state = queue_state(machine=study.machine) if study.machine and is_asked_for_workers else None
        return Queue(state, latest_grading(study=study))
    except RedisError as error:
        return Queue(problem=str(error))


def _tables_context(
    study: Study, tallies: Sequence[Tallied], *, models: Sequence[str] | None = None
) -> dict[str, object]:
    tables = study_tables(study, tallies, models=models)
    return {"tables": tables, "is_running": study.state == Study.State.RUNNING}


def _responses_context(request: HttpRequest, study: Study, tallies: Sequence[Tallied]) -> dict[str, object]:
    groups = queries.prompt_groups(study)
    asked, sorting = Asked.of(request.GET), Sorting.of(request.GET.get("sort", ""), COLUMNS)
    listed = response_page(study, asked=asked, place=place_in(request.GET), sorting=sorting, tallies=tallies)
    chosen = asdict(asked)
    return {
        "page": listed.page,
        "rows": listed.rows,
        "listed_outlier_ids": outlier_ids(study=study, among=listed.rows),
        "prompt_groups": groups,
        "prompt_count": sum(group.count for group in groups),
        "categories": sorted({group.category for group in groups}),
        "states": Response.State.choices,
        "verdicts": VERDICTS,
        "prompts": PROMPTS,
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "query": f"{_query_of(chosen)}{sorting.query}",
        "sorting": sorting,
        "heads": heads(_RESPONSE_HEADS, sorting, kept=_query_of(chosen)),
    }


def _query_of(chosen: dict[str, str]) -> str:
    """Return the filters as the start of a query string, for the links to other pages of the list."""
    kept = urlencode({name: value for name, value in chosen.items() if value})
    return f"{kept}&" if kept else ""
