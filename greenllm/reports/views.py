"""The report of a study as a page and as files; nothing here changes anything."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.models import Study
from benchmarks.sending import announce_file
from greenllm.doors import readers_with
from greenllm.reports.against_paper import UnknownPair
from greenllm.reports.files import FORMATS, shown_parts
from greenllm.reports.links import Links
from greenllm.reports.pairing import WrongPair, choices, read_pairs
from greenllm.reports.queries import MOST_PROMPTS
from greenllm.reports.reporting import StudyReport, study_report
from greenllm.roles import VIEW_RESULTS
from labeling.unchanged import one_look

_TITLES = (("html", "File for sharing"), ("md", "Markdown"), ("csv", "CSV"), ("json", "JSON"))


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
@one_look()
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show the report of a study, with what-if figures and pairs of models as the query asks."""
    report, pairs, error = _report(request, name, site="", most_prompts=MOST_PROMPTS)
    context = {
        **shown_parts(report),
        "formats": _TITLES,
        "query": request.GET.urlencode(),
        "paired": pairs,
        "pair_choices": choices(report.cells.answered, pairs),
        "pair_error": error,
    }
    return render(request, "reports/page.html", context, status=400 if error or report.errors else 200)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
@one_look()
def file(request: HttpRequest, name: str, format_name: str) -> HttpResponse:
    """Return the report of a study as a file; its links lead back to this site."""
    if format_name not in FORMATS:
        raise Http404(f"a report has the formats {', '.join(FORMATS)}")
    content_type, made = FORMATS[format_name]
    if request.method == "HEAD":
        study = get_object_or_404(Study, name=name)
        return announce_file(name=f"{study.name}-report.{format_name}", content_type=f"{content_type}; charset=utf-8")
    report, _, error = _report(request, name, site=request.build_absolute_uri("/").rstrip("/"), most_prompts=None)
    if error or report.errors:
        return HttpResponse("\n".join([error, *report.errors]).strip(), status=400, content_type="text/plain")
    response = HttpResponse(made(report), content_type=f"{content_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{report.study.name}-report.{format_name}"'
    return response


def _report(
    request: HttpRequest, name: str, *, site: str, most_prompts: int | None
) -> tuple[StudyReport, dict[str, str], str]:
    """Return the report that was asked for, the pairs that it has, and what is wrong with those that were asked for."""
    study = get_object_or_404(Study.objects.select_related("machine"), name=name)
    asked = {key: request.GET.get(key, "") for key in ("intensity", "lifespan", "embodied")}
    pairs: dict[str, str] = {}
    error = ""
    try:
        pairs = read_pairs(request.GET.getlist("pair"))
        report = study_report(
            study=study, links=Links(study, site), asked=asked, paired=pairs, most_prompts=most_prompts
        )
    except (UnknownPair, WrongPair) as problem:
        pairs, error = {}, str(problem)
        report = study_report(study=study, links=Links(study, site), asked=asked, most_prompts=most_prompts)
    return report, pairs, error
