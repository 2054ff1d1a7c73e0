"""Validation prompts through every model and through the router: two studies alike, so that both sides are measured."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from benchmarks.choosing import choose_prompts
from benchmarks.inference.connecting import usual_num_ctx
from benchmarks.models import Deployment, Prompt, Study
from benchmarks.studying import Design, Parameters, StudyError, create_study

_SHARED = ("name", "seed", "temperature", "num_ctx", "num_predict", "top_p", "top_k", "extras")


def validation_study(*, study: Study, limit: int | None, versions: Mapping[int, str]) -> Study:
    """Return the study in which every model answers validation prompts: this one, or one beside it, made once.

    The one beside it asks the models of the study that are not retired for the validation prompts of its data sets, at
    most `limit` of each category, with its parameters.

    Raises:
        StudyError: it is a study of the router, has no machine, or there are no validation prompts or models to ask.
    """
    if study.machine is None or study.kind != Study.Kind.MEASURED:
        raise StudyError(f"The study {study} is none of models that were measured here; name one that is.")
    if study.prompts.filter(role=Prompt.Role.VALIDATION).exists():
        return study
    name = _beside(study, "validation")
    known = Study.objects.filter(name=name).first()
    if known is not None:
        return known
    datasets = set(study.prompts.values_list("dataset__name", flat=True))
    prompts = list(choose_prompts(datasets=datasets, roles=[Prompt.Role.VALIDATION.value], limit=limit))
    if not prompts:
        raise StudyError(
            f"The data sets of {study} ({', '.join(sorted(datasets))}) have no validation prompts; import some with "
            f"the role validation."
        )
    asked = study.deployments.exclude(state=Deployment.State.RETIRED).order_by("study_targets__position", "pk")
    return _alike(study, name, list(asked.distinct()), prompts, versions)


def router_study(*, base: Study, router: Deployment, versions: Mapping[int, str]) -> Study:
    """Return the study in which the router answers the validation prompts of another study alike, made once.

    Raises:
        StudyError: the name is taken by another study, or the prompts were answered with a sweep of parameters.
    """
    name = _beside(base, "router")
    known = Study.objects.filter(name=name).first()
    if known is not None:
        if known.kind != Study.Kind.ROUTER:
            raise StudyError(f"There is a study {name!r} already, and not of the router; rename or delete it.")
        return known
    if base.parameter_sets.count() != 1:
        raise StudyError(
            f"The study {base} is a sweep: its figures are means over several parameters, which no router study has. "
            f"Name a study with one set of parameters."
        )
    prompts = list(base.prompts.filter(role=Prompt.Role.VALIDATION).order_by("study_tasks__position", "pk").distinct())
    return _alike(base, name, [router], prompts, versions)


def _beside(study: Study, what: str) -> str:
    return f"{study.name[: 79 - len(what)]}-{what}"


def _alike(
    study: Study,
    name: str,
    deployments: Sequence[Deployment],
    prompts: Sequence[Prompt],
    versions: Mapping[int, str],
) -> Study:
    """Make a study that is measured as another one was, on its machine and at its carbon intensity."""
    machine = study.machine
    if machine is None:
        raise StudyError(f"The study {study} has no machine; nothing can be measured.")
    is_router = any(deployment.server.is_router for deployment in deployments)
    design = {one.name: getattr(study, one.name) for one in fields(Design)}
    if is_router:
        design["control_every"] = 0  # a router is no control workload
    takes_context = all(usual_num_ctx(deployment.server.kind) is not None for deployment in deployments)
    points = []
    for found in study.parameter_sets.order_by("pk"):
        values = {one: getattr(found, one) for one in _SHARED}
        values["num_ctx"] = found.num_ctx if takes_context else None
        values["extras"] = {} if is_router else found.extras  # a router takes those of the OpenAI wire alone
        points.append(Parameters(**values))
    made = create_study(
        name=name,
        machine=machine,
        deployments=deployments,
        prompts=prompts,
        parameters=points,
        repeats=study.repeats,
        sampling_period_ms=study.sampling_period_ms,
        design=Design(**design),
        server_versions=versions,
    )
    made.cooldown_limit_c = study.cooldown_limit_c
    made.carbon_intensity_gco2e_per_kwh = study.carbon_intensity_gco2e_per_kwh
    made.carbon_intensity_source = study.carbon_intensity_source
    made.save(update_fields=["cooldown_limit_c", "carbon_intensity_gco2e_per_kwh", "carbon_intensity_source"])
    return made
