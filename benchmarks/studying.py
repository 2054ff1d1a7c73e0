"""Create studies and move them through their states: start, pause, resume, cancel, finish."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count

from benchmarks.inference.base import GenerationParameters
from benchmarks.inference.connecting import require_parameters
from benchmarks.intensities import NoIntensity, average_of
from benchmarks.models import (
    CarbonIntensity,
    Deployment,
    Machine,
    ParameterSet,
    Prompt,
    Response,
    Study,
    StudyDeployment,
    StudyPrompt,
)
from benchmarks.study_plan import (
    Design,
    Parameters,
    StudyError,
    check_choice,
    check_design,
    check_names,
    check_numbers,
    check_size,
)

__all__ = [
    "Design",
    "Parameters",
    "Progress",
    "StudyError",
    "cancel",
    "create_study",
    "finish_if_done",
    "generation_parameters_of",
    "intensity_for",
    "pause",
    "progress_of",
    "start",
]


@dataclass(frozen=True)
class Progress:
    """How far a study is."""

    total: int
    finished: int
    failed: int
    cancelled: int

    @property
    def remaining(self) -> int:
        """Return how many responses are still to come."""
        return self.total - self.finished - self.failed - self.cancelled


def create_study(
    *,
    name: str,
    machine: Machine,
    deployments: Sequence[Deployment],
    prompts: Sequence[Prompt],
    parameters: Parameters | Sequence[Parameters],
    title: str = "",
    repeats: int = 1,
    order: str = Study.Order.GROUPED,
    order_seed: int = 0,
    sampling_period_ms: int = 99,
    design: Design | None = None,
    created_by_id: int | None = None,
    server_versions: Mapping[int, str] | None = None,
) -> Study:
    """Create a study with a place for each of its responses.

    Several `parameters` make a sweep: every model answers every prompt with each of them.
    `server_versions` are the versions that servers report, by their primary key: what a server supports depends
    on it; without one, the server counts as one of today.

    Raises:
        StudyError: no prompt, no deployment, a retired one, one on another machine, one twice, a number that is
            out of its range, a name that is taken or no name, or no parameters.
        UnsupportedParameter: a server of the study does not know a parameter.
        RequestRefused: a server of the study would replace the seed by another.
    """
    check_choice(name, machine, deployments, prompts)
    points = (parameters,) if isinstance(parameters, Parameters) else tuple(parameters)
    check_names(points)
    for point in points:
        check_numbers(point, repeats, sampling_period_ms, order_seed)
    design = design or Design()
    check_design(design, deployments)
    check_size(len(deployments) * len(points) * len(prompts) * repeats)
    _require_supported(deployments, points, server_versions or {})
    intensity = intensity_for(machine)
    with transaction.atomic():
        study = Study.objects.create(
            name=name,
            title=title,
            kind=Study.Kind.ROUTER if deployments[0].server.is_router else Study.Kind.MEASURED,
            machine=machine,
            repeats=repeats,
            order=order,
            order_seed=order_seed,
            sampling_period_ms=sampling_period_ms,
            carbon_intensity_gco2e_per_kwh=intensity.gco2e_per_kwh,
            carbon_intensity_source=intensity.origin,
            created_by_id=created_by_id,
            **vars(design),
        )
        _make_places(study, deployments, prompts, points)
    return study


def _require_supported(
    deployments: Sequence[Deployment], points: Sequence[Parameters], server_versions: Mapping[int, str]
) -> None:
    """Refuse parameters that a server of the study does not take."""
    for server in {deployment.server for deployment in deployments}:
        for point in points:
            require_parameters(server.kind, generation_parameters_of(point), server_versions.get(server.pk))


def _make_places(
    study: Study, deployments: Sequence[Deployment], prompts: Sequence[Prompt], points: Sequence[Parameters]
) -> None:
    """Store what a study asks of whom, and a place for each response; call it within a transaction."""
    parameter_sets = ParameterSet.objects.bulk_create(ParameterSet(study=study, **vars(one)) for one in points)
    StudyDeployment.objects.bulk_create(
        StudyDeployment(study=study, deployment=deployment, position=position)
        for position, deployment in enumerate(deployments, start=1)
    )
    StudyPrompt.objects.bulk_create(
        StudyPrompt(study=study, prompt=prompt, position=position) for position, prompt in enumerate(prompts, start=1)
    )
    Response.objects.bulk_create(_responses(study, deployments, prompts, parameter_sets), batch_size=1000)


def _responses(
    study: Study, deployments: Sequence[Deployment], prompts: Sequence[Prompt], parameter_sets: Sequence[ParameterSet]
) -> list[Response]:
    places = [
        (deployment, parameter_set, prompt, repeat)
        for deployment in deployments
        for parameter_set in parameter_sets  # a model may load anew for another num_ctx
        for repeat in range(1, study.repeats + 1)
        for prompt in prompts
    ]
    if study.order == Study.Order.INTERLEAVED:
        random.Random(study.order_seed).shuffle(places)
    return [
        Response(
            study=study,
            deployment=deployment,
            prompt=prompt,
            parameter_set=parameter_set,
            repeat=repeat,
            sequence=sequence,
        )
        for sequence, (deployment, parameter_set, prompt, repeat) in enumerate(places, start=1)
    ]


def intensity_for(machine: Machine) -> CarbonIntensity:
    """Return the carbon intensity that a study on a machine is fixed at: fixed by hand, or the latest year's.

    Raises:
        StudyError: none is known for the machine's zone.
    """
    try:
        return average_of(zone=machine.zone)
    except NoIntensity as error:
        raise StudyError(str(error)) from error


def generation_parameters_of(parameters: "Parameters | ParameterSet") -> GenerationParameters:
    """Return what is sent to a server."""
    return GenerationParameters(
        seed=parameters.seed,
        temperature=parameters.temperature,
        num_ctx=parameters.num_ctx,
        num_predict=parameters.num_predict,
        top_p=parameters.top_p,
        top_k=parameters.top_k,
        extras=parameters.extras,
    )


def start(*, study: Study, now: datetime) -> None:
    """Let a study run; a running one goes on, a failed response of an earlier run is tried again.

    Raises:
        StudyError: it is cancelled, was imported, or has nothing to measure.
    """
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)
        if locked.state == Study.State.CANCELLED:
            raise StudyError(f"The study {locked} was cancelled; make a new one.")
        if locked.imported_at is not None:
            raise StudyError(
                f"The study {locked} was imported: its answers were measured elsewhere, and more of them would not "
                f"belong to it. Go on with it where it was made, or make a new study here."
            )
        if locked.machine_id is None:
            raise StudyError(f"The study {locked} has no machine; nothing can be measured.")
        if not locked.responses.exists():
            raise StudyError(f"The study {locked} has no prompts; nothing can be measured.")
        locked.responses.filter(state=Response.State.FAILED).update(state=Response.State.PENDING, error="")
        if locked.responses.unfinished().exists():
            locked.state = Study.State.RUNNING
            locked.started_at = locked.started_at or now
            locked.finished_at = None
            locked.machine_snapshot = locked.machine_snapshot or _snapshot(locked)
            locked.save(update_fields=["state", "started_at", "finished_at", "machine_snapshot"])
        elif locked.state != Study.State.FINISHED:  # paused, or its worker killed, after the last response
            _finish(locked, now)
    study.refresh_from_db()


def _finish(study: Study, now: datetime) -> None:
    study.state = Study.State.FINISHED
    study.finished_at = now
    study.save(update_fields=["state", "finished_at"])


def _snapshot(study: Study) -> dict[str, Any]:
    machine = study.machine
    if machine is None:
        return {}
    kept = (
        "name", "zone", "total_embodied_emissions_gco2e", "expected_lifespan_s", "resource_share", "cpu_model",
        "cpu_count", "memory_bytes", "thermal_design_power_w", "idle_power_w", "meters",
    )  # fmt: skip
    return {name: getattr(machine, name) for name in kept}


def pause(*, study: Study) -> None:
    """Stop after the response in flight; `start` goes on.

    Raises:
        StudyError: it does not run.
    """
    if not Study.objects.filter(pk=study.pk, state=Study.State.RUNNING).update(state=Study.State.PAUSED):
        raise StudyError(f"The study {study} is not running, so it cannot be paused.")
    study.refresh_from_db()


def cancel(*, study: Study, now: datetime) -> None:
    """Give up what has not been measured; what has been stays.

    Raises:
        StudyError: it is over already.
    """
    over = [Study.State.FINISHED, Study.State.CANCELLED]
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)
        if locked.state in over:
            raise StudyError(f"The study {locked} is {locked.get_state_display().lower()} already.")
        locked.responses.filter(state=Response.State.PENDING).update(state=Response.State.CANCELLED)
        locked.state = Study.State.CANCELLED
        locked.finished_at = now
        locked.save(update_fields=["state", "finished_at"])
    study.refresh_from_db()


def finish_if_done(*, study_id: int, now: datetime) -> bool:
    """Mark a running study finished once nothing of it is left to do; tell whether it did."""
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=study_id)
        if study.state != Study.State.RUNNING or study.responses.unfinished().exists():
            return False
        _finish(study, now)
    return True


def progress_of(*, study: Study) -> Progress:
    """Count the responses of a study by what became of them."""
    counts = dict(study.responses.values_list("state").annotate(n=Count("pk")).order_by())
    return Progress(
        total=sum(counts.values()),
        finished=counts.get(Response.State.FINISHED, 0),
        failed=counts.get(Response.State.FAILED, 0),
        cancelled=counts.get(Response.State.CANCELLED, 0),
    )
