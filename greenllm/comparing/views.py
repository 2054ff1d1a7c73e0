"""The pages of two studies side by side and of a study's break-even point; both change nothing."""

import math
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from benchmarks.federating import UnknownModel
from benchmarks.inference.base import InferenceError
from benchmarks.models import LanguageModel, Study
from greenllm.comparing.as_text import METHOD, break_even_sentence, own_lines, saving_lines
from greenllm.comparing.breaking_even import BreakEven, NoBaseline, break_even, own_carbon
from greenllm.comparing.studies import NothingToPair, StudyComparison, compare_studies
from greenllm.doors import readers_with
from greenllm.roles import VIEW_RESULTS
from labeling.models import AnswerTally
from labeling.unchanged import one_look
from router.embedding import EmbedderMismatch
from router.index import IndexStoreError
from router.indexing import NoIndex
from router.policy import NoCandidate
from router.vectors import DimensionMismatch, UnusableEmbedding
from router.wiring import embedder, vector_store

_ROUTER_TROUBLE = (
    NoIndex, EmbedderMismatch, DimensionMismatch, UnusableEmbedding, IndexStoreError, NoCandidate, InferenceError,
    UnknownModel,
)  # fmt: skip
_SHOWN_STUDIES = 200


@require_safe
@readers_with(VIEW_RESULTS)
@one_look()
def compare(request: HttpRequest) -> HttpResponse:
    """Show a form for two studies and, where both are named, their comparison."""
    asked = {name: request.GET.get(name, "").strip() for name in ("a", "b", "model_a", "model_b", "intensity")}
    errors: dict[str, str] = {}
    comparison = _comparison(asked, errors) if asked["a"] and asked["b"] else None
    context = {
        "studies": list(Study.objects.order_by("-created_at", "pk").values_list("name", flat=True)[:_SHOWN_STUDIES]),
        "asked": asked,
        "errors": errors,
        "comparison": comparison,
        "groups": _groups(comparison) if comparison is not None else [],
        "method": METHOD,
    }
    return render(request, "comparing/compare.html", context, status=400 if errors else 200)


def _comparison(asked: dict[str, str], errors: dict[str, str]) -> StudyComparison | None:
    found = {study.name: study for study in Study.objects.filter(name__in={asked["a"], asked["b"]}).order_by("pk")}
    for name in ("a", "b"):
        if asked[name] not in found:
            errors[name] = f"There is no study {asked[name]!r}; choose one of the list."
    if bool(asked["model_a"]) != bool(asked["model_b"]):
        errors["model_a" if not asked["model_a"] else "model_b"] = "Name a model for both sides, or for none."
    intensity = _intensity(asked["intensity"], errors)
    if errors:
        return None
    try:
        return compare_studies(
            a=found[asked["a"]],
            b=found[asked["b"]],
            across_models=(asked["model_a"], asked["model_b"]) if asked["model_a"] else None,
            intensity=intensity,
        )
    except NothingToPair as error:
        errors["b"] = str(error)
        return None


def _intensity(text: str, errors: dict[str, str]) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 100_000:
        errors["intensity"] = "The carbon intensity is a number of gCO2e/kWh such as 385."
        return None
    return value


def _groups(comparison: StudyComparison) -> list[tuple[str, list[object]]]:
    return [(model, list(rows)) for model, rows in groupby(comparison.rows, key=lambda row: row.model)]


@require_safe
@readers_with(VIEW_RESULTS)
def break_even_point(request: HttpRequest, name: str) -> HttpResponse:
    """Show what a study emitted and, once a baseline is chosen, how many routed prompts repay it."""
    study = get_object_or_404(Study.objects.select_related("machine"), name=name)
    asked = AnswerTally.objects.filter(study_id=study.pk).values("deployment_id")  # however many answers there are
    models = LanguageModel.objects.filter(deployments__in=asked).distinct().order_by("name")
    context: dict[str, object] = {
        "study": study,
        "models": list(models.values_list("name", flat=True)),
        "baseline": request.GET.get("baseline", ""),
    }
    if "baseline" not in request.GET:
        return render(request, "comparing/break_even.html", {**context, "own": own_lines(own_carbon(study=study))})
    try:
        found = _break_even(study, request.GET["baseline"])
    except (NoBaseline, *_ROUTER_TROUBLE) as error:
        own = own_lines(own_carbon(study=study))
        return render(request, "comparing/break_even.html", {**context, "own": own, "error": str(error)}, status=400)
    shown = {
        "found": found,
        "own": own_lines(found.own),
        "saving": saving_lines(found),
        "sentence": break_even_sentence(found),
    }
    return render(request, "comparing/break_even.html", {**context, **shown})


def _break_even(study: Study, baseline: str) -> BreakEven:
    return break_even(
        study=study,
        embedder=embedder(),
        store=vector_store(),
        clock=timezone.now,
        baseline=baseline or None,
        is_recorded=False,  # a page that is only looked at leaves nothing behind
    )
