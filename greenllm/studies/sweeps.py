"""The page of a sweep: energy, output tokens and accuracy against the parameter that varies."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.intervals import mean_interval, share_interval
from benchmarks.models import ParameterSet, Response, Study
from benchmarks.sweeping import value_of, varied_parameters, written
from greenllm.doors import readers_with
from greenllm.roles import VIEW_RESULTS
from greenllm.studies.sweep_figures import Line, Point, accuracy_chart, energy_chart, tokens_chart
from labeling.verdicts import UNDECIDED, Decision, verdicts_of


@dataclass(frozen=True)
class _Answer:
    energy_j: float | None
    quality: str
    tokens: int | None
    verdict: Decision


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def sweep(request: HttpRequest, name: str) -> HttpResponse:
    """Plot what a sweep found against one of its parameters."""
    study = get_object_or_404(Study, name=name)
    sets = list(study.parameter_sets.order_by("pk"))
    varied = varied_parameters(sets)
    asked = request.GET.get("by", "")
    parameter = asked if asked in varied else next(iter(varied), "")
    lines = sweep_lines(study, sets, varied, parameter) if parameter else []
    context = {
        "study": study,
        "varied": varied,
        "parameter": parameter,
        "lines": lines,
        "charts": [make(lines, parameter) for make in (energy_chart, tokens_chart, accuracy_chart)] if lines else [],
        "is_running": study.state == Study.State.RUNNING,
    }
    return render(request, "studies/sweep.html", context)


def sweep_lines(study: Study, sets: Sequence[ParameterSet], varied: Sequence[str], parameter: str) -> list[Line]:
    """Return a line for each model and each combination of the other parameters, over all finished answers."""
    answers = _answers(study)
    others = {one.pk: _told(one, [name for name in varied if name != parameter]) for one in sets}
    targets = study.targets.select_related("deployment__language_model", "deployment__server").order_by("position")
    names = [target.deployment.language_model.name for target in targets]
    lines = []
    for target, model in zip(targets, names, strict=True):
        title = f"{model} on {target.deployment.server}" if names.count(model) > 1 else model
        for told in dict.fromkeys(others.values()):
            points = [
                _point(value_of(one, parameter), answers[target.deployment_id, one.pk])
                for one in sets
                if others[one.pk] == told
            ]
            shown = sorted(
                (one for one in points if one.response_count), key=lambda one: (one.value is None, one.value)
            )
            if shown:
                lines.append(Line(title, told, tuple(shown)))
    return lines


def _answers(study: Study) -> Mapping[tuple[int, int], list[_Answer]]:
    rows = list(
        Response.objects.finished()
        .filter(study=study)
        .order_by("pk")
        .values_list(
            "pk",
            "deployment_id",
            "parameter_set_id",
            "measurement__energy_j",
            "measurement__quality",
            "output_token_count",
        )
    )
    verdicts = verdicts_of(row[0] for row in rows)
    found: dict[tuple[int, int], list[_Answer]] = defaultdict(list)
    for pk, deployment_id, set_id, energy_j, quality, tokens in rows:
        found[deployment_id, set_id].append(
            _Answer(energy_j, quality or "missing", tokens, verdicts.get(pk, UNDECIDED))
        )
    return found


def _told(parameters: ParameterSet, names: Sequence[str]) -> str:
    values = [(name, value_of(parameters, name)) for name in names]
    return ", ".join(
        f"{name}={written(value) if isinstance(value, int | float) else value}" if value is not None else f"no {name}"
        for name, value in values
    )


def _point(value: object, answers: Sequence[_Answer]) -> Point:
    judged = [one for one in answers if one.verdict.is_correct is not None]
    return Point(
        value=float(value) if isinstance(value, int | float) else None,
        response_count=len(answers),
        energy_j=mean_interval([one.energy_j for one in answers if one.energy_j is not None]),
        tokens=mean_interval([float(one.tokens) for one in answers if one.tokens is not None]),
        accuracy=share_interval(sum(bool(one.verdict.is_correct) for one in judged), len(judged)),
        qualities=tuple(sorted({one.quality for one in answers})),
        sources=tuple(sorted({one.verdict.source for one in judged})),
    )
