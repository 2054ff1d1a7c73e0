"""The page of a new study, and what it says before the study is made: how many responses, and about how long."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from benchmarks.controlling import control_run_count
from benchmarks.federating import Timeouts
from benchmarks.inference.base import InferenceError, UnsupportedParameter
from benchmarks.launching import ask_versions
from benchmarks.models import Deployment, Prompt, Study
from benchmarks.pacing import Pace, paces_of
from benchmarks.study_plan import MAX_RESPONSES
from benchmarks.studying import StudyError, create_study
from greenllm.doors import people_with
from greenllm.roles import RUN_STUDIES
from greenllm.studies.forms import StudyForm

_FIELD_OF = {"deployments": "models", "prompts": "datasets"}  # the service's words for the form's fields


@dataclass(frozen=True)
class ModelEstimate:
    """What one model would do in a new study."""

    deployment: Deployment
    response_count: int
    pace: Pace | None
    back_to_back: int = 1

    @property
    def seconds(self) -> float | None:
        """Return about how long it takes; None for a model that never answered."""
        return None if self.pace is None else self.pace.median_s * self.response_count * self.back_to_back


@dataclass(frozen=True)
class Besides:
    """What a study does beside its responses: how often, and about how long all of it takes (None: unknown)."""

    what: str
    count: int
    seconds: float | None


@dataclass(frozen=True)
class Estimate:
    """How many responses a study makes, what it does beside them, and about how long that takes."""

    prompt_count: int
    repeats: int
    parameter_set_count: int
    models: tuple[ModelEstimate, ...]
    besides: tuple[Besides, ...] = ()

    @property
    def response_count(self) -> int:
        """Return how many responses it makes."""
        return sum(model.response_count for model in self.models)

    @property
    def seconds(self) -> float | None:
        """Return about how long it takes; None where a model never answered."""
        seconds = [*(one.seconds for one in self.models), *(one.seconds for one in self.besides)]
        return None if None in seconds else sum(filter(None, seconds))

    @property
    def is_too_large(self) -> bool:
        """Tell whether the study would be refused for its size."""
        return self.response_count > MAX_RESPONSES


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(RUN_STUDIES)
def new(request: HttpRequest) -> HttpResponse:
    """Show the form; check it, or make the study."""
    if request.method != "POST":
        return _page(request, StudyForm())
    form = StudyForm(request.POST)
    if form.is_valid() and request.POST.get("step") != "check":
        study = _create(form, created_by_id=request.user.pk)
        if study is not None:
            messages.success(request, f"The study {study} is made. Nothing is measured before you start it.")
            return redirect("studies:detail", name=study.name)
    return _page(request, form)


@require_POST
@people_with(RUN_STUDIES)
def estimate(request: HttpRequest) -> HttpResponse:
    """Return how many responses the form makes as it stands, and about how long that takes."""
    form = StudyForm(request.POST)
    form.is_valid()
    return render(request, "studies/_estimate.html", {"estimate": estimate_of(form), "form": form})


def estimate_of(form: StudyForm) -> Estimate | None:
    """Return the estimate of a form that says whom to ask what; None of one that does not yet."""
    needed = {"models", "datasets", "categories", "role", "limit", "repeats"}
    if not form.is_bound or not needed <= form.cleaned_data.keys():
        return None
    deployments: list[Deployment] = form.cleaned_data["models"]
    repeats = form.cleaned_data["repeats"]
    prompt_count = form.prompts().count()
    set_count = form.parameter_set_count()
    back_to_back = form.cleaned_data.get("back_to_back") or 1
    paces = paces_of(deployment_ids=[deployment.pk for deployment in deployments])
    models = tuple(
        ModelEstimate(one, prompt_count * repeats * set_count, paces.get(one.pk), back_to_back) for one in deployments
    )
    return Estimate(
        prompt_count=prompt_count,
        repeats=repeats,
        parameter_set_count=set_count,
        models=models,
        besides=tuple(_besides(form, models, set_count)),
    )


def _besides(form: StudyForm, models: Sequence[ModelEstimate], set_count: int) -> Iterator[Besides]:
    """Yield control runs, warm-up answers and idle baselines, where the form asks for any.

    A control run is the work of the first model: an answer that is thrown away, then as many as within a measurement.
    """
    warm_up_count = form.cleaned_data.get("warm_up_count") or 0
    if warm_up_count:
        seconds = [None if one.pace is None else one.pace.median_s * warm_up_count * set_count for one in models]
        total_s = None if None in seconds else sum(filter(None, seconds))
        yield Besides("warm-up answer", warm_up_count * set_count * len(models), total_s)
    response_count = sum(one.response_count for one in models)
    if control_every := form.cleaned_data.get("control_every") or 0:
        first = models[0]
        count = control_run_count(response_count=response_count, control_every=control_every)
        each_s = None if first.pace is None else first.pace.median_s * (1 + first.back_to_back)
        yield Besides("control run", count, None if each_s is None else each_s * count)
    if idle_s := form.cleaned_data.get("idle_baseline_s") or 0:
        yield Besides("idle baseline", 2, 2 * idle_s)


def _page(request: HttpRequest, form: StudyForm) -> HttpResponse:
    context = {"form": form, "estimate": estimate_of(form), "prompt_counts": _prompt_counts()}
    return render(request, "studies/new.html", context)


def _create(form: StudyForm, *, created_by_id: int | None) -> Study | None:
    """Make the study, or put what is wrong beside its field and return None."""
    deployments: list[Deployment] = form.cleaned_data["models"]
    timeouts = Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)
    try:
        return create_study(
            name=form.cleaned_data["name"],
            title=form.cleaned_data["title"],
            machine=form.machine(),
            deployments=deployments,
            prompts=list(form.prompts()),
            parameters=form.parameters(),
            repeats=form.cleaned_data["repeats"],
            order=form.cleaned_data["order"],
            order_seed=form.cleaned_data["order_seed"],
            sampling_period_ms=form.cleaned_data["sampling_period_ms"],
            design=form.design(),
            created_by_id=created_by_id,
            server_versions=ask_versions(servers={one.server for one in deployments}, timeouts=timeouts),
        )
    except StudyError as error:
        field = _FIELD_OF.get(error.field, error.field)
        form.add_error(field if field in form.fields else None, str(error))
    except UnsupportedParameter as error:
        known = [name for name in error.names if name in form.fields]
        form.add_error(known[0] if known else None, str(error))
    except InferenceError as error:
        form.add_error("models", f"{error} Nothing was made.")
    return None


def _prompt_counts() -> dict[str, str]:
    """Return what each data set holds, in words, by its name."""
    counted = (
        Prompt.objects.exclude(role=Prompt.Role.UNUSED)
        .values_list("dataset__name", "category__name", "role")
        .annotate(count=Count("pk"))
        .order_by("dataset__name", "category__name", "role")
    )
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    categories: dict[str, dict[str, None]] = defaultdict(dict)
    for dataset, category, role, count in counted:
        counts[dataset][role] += count
        categories[dataset][category] = None
    return {
        dataset: f"{of[Prompt.Role.TRAIN]} training, {of[Prompt.Role.VALIDATION]} validation: "
        f"{', '.join(categories[dataset])}"
        for dataset, of in counts.items()
    }
