"""The study that measures a new model over the known prompts, as those before it were measured."""

import re
from dataclasses import fields

from django.db.models import Count

from benchmarks.inference.connecting import usual_num_ctx
from benchmarks.models import Deployment, ModelEvaluation, ParameterSet, Prompt, Response, Study
from benchmarks.models.study import DEFAULT_SAMPLING_PERIOD_MS
from benchmarks.studying import Design, Parameters, create_study
from router.models import PromptIndex


def reference_study(index: PromptIndex) -> Study | None:
    """Return the finished study whose parameters a new model is measured with: most known prompts, then latest."""
    return (
        Study.objects.filter(
            kind=Study.Kind.MEASURED,
            state=Study.State.FINISHED,
            evaluation__isnull=True,
            tasks__prompt__index_entries__index=index,
        )
        .annotate(shared_count=Count("tasks"))
        .order_by("-shared_count", "-finished_at", "-pk")
        .first()
    )


_SHARED = ("seed", "temperature", "num_ctx", "num_predict", "top_p", "top_k", "extras")


def parameters_like(reference: Study | None, deployment: Deployment) -> Parameters:
    """Return the parameters of the reference study (of a sweep the first), with the context that the server takes."""
    usual = usual_num_ctx(deployment.server.kind)
    found: ParameterSet | None = reference.parameter_sets.order_by("pk").first() if reference else None
    if found is None:
        return Parameters(num_ctx=usual)
    values = {name: getattr(found, name) for name in _SHARED}
    values["num_ctx"] = None if usual is None else values["num_ctx"] or usual
    return Parameters(**values)


def unanswered(index: PromptIndex, deployment: Deployment, parameters: Parameters) -> list[Prompt]:
    """Return the known prompts that the deployment has not answered with the same parameters yet."""
    alike = {f"parameter_set__{name}": getattr(parameters, name) for name in _SHARED if name != "extras"}
    answered = Response.objects.finished().filter(
        deployment=deployment, study__kind=Study.Kind.MEASURED, parameter_set__extras=parameters.extras, **alike
    )
    known = Prompt.objects.filter(index_entries__index=index).exclude(pk__in=answered.values("prompt_id"))
    return list(known.order_by("category__name", "dataset_id", "position"))


def study_of(
    evaluation: ModelEvaluation,
    *,
    deployment: Deployment,
    prompts: list[Prompt],
    parameters: Parameters,
    reference: Study | None,
    versions: dict[int, str],
) -> Study:
    """Make the study of an evaluation, measured as the reference study was.

    Raises:
        StudyError, UnsupportedParameter, RequestRefused: it cannot be made.
    """
    model = deployment.language_model.name
    tail = f"-{evaluation.pk}"
    name = f"evaluate-{re.sub(r'[^A-Za-z0-9_-]+', '-', model)}"[: 80 - len(tail)] + tail
    study = create_study(
        name=name,
        title=f"Evaluation of {model}",
        machine=deployment.server.machine,
        deployments=[deployment],
        prompts=prompts,
        parameters=parameters,
        repeats=reference.repeats if reference else 1,
        sampling_period_ms=reference.sampling_period_ms if reference else DEFAULT_SAMPLING_PERIOD_MS,
        design=_design(reference),
        created_by_id=evaluation.requested_by_id,
        server_versions=versions,
    )
    if reference is not None:
        study.cooldown_limit_c = reference.cooldown_limit_c
        if reference.machine_id == study.machine_id:  # else the intensity of another place
            study.carbon_intensity_gco2e_per_kwh = reference.carbon_intensity_gco2e_per_kwh
            study.carbon_intensity_source = reference.carbon_intensity_source
        study.save()
    return study


def _design(reference: Study | None) -> Design:
    return (
        Design() if reference is None else Design(**{one.name: getattr(reference, one.name) for one in fields(Design)})
    )
