"""Studies and responses that the pages are shown with."""

from collections.abc import Sequence
from datetime import timedelta

from benchmarks.meters.base import Quantity, Reading
from benchmarks.models import (
    ChannelReading,
    Deployment,
    EnergyTrace,
    Measurement,
    ParameterSet,
    Response,
    ResponseAttempt,
    Study,
    StudyDeployment,
    StudyPrompt,
)
from benchmarks.study_plan import Parameters
from benchmarks.sweeping import grid_of
from benchmarks.traces import pack
from greenllm.models import User
from greenllm.roles import Role, grant_role
from tests import factories as make

MARK_NS = 1_000_000_000
PERIOD_NS = 100_000_000


def make_person(*roles: Role) -> User:
    """Make somebody with some roles."""
    user = make.make_user()
    for role in roles:
        grant_role(user=user, role=role)
    return user


def make_shown_study(
    name: str = "shown",
    *,
    state: str = "finished",
    models: Sequence[str] = ("small", "large"),
    prompt_count: int = 2,
    verdict: str = "correct",
    **fields: object,
) -> Study:
    """Make a study whose models have answered every prompt."""
    study = make.make_study(name, state=state, started_at=make.NOW, **fields)
    prompts = [make.make_prompt(category=("math", "code")[number % 2]) for number in range(prompt_count)]
    for position, prompt in enumerate(prompts, start=1):
        StudyPrompt.objects.create(study=study, prompt=prompt, position=position)
    sequence = 0
    for position, model in enumerate(models, start=1):
        deployment = Deployment.objects.filter(language_model__name=model).first() or make.make_deployment(model)
        StudyDeployment.objects.create(study=study, deployment=deployment, position=position)
        for prompt in prompts:
            sequence += 1
            make.make_response(prompt, deployment, study=study, verdict=verdict, sequence=sequence)
    return study


def make_shown_sweep(name: str = "sweep") -> Study:
    """Make a finished sweep of two models over temperature and num_ctx; hotter answers are longer and worse."""
    study = make.make_study(name, state="finished", started_at=make.NOW)
    study.parameter_sets.all().delete()
    values = {"temperature": (0.0, 0.5, 1.0), "num_ctx": (1024, 2048)}
    sets = [ParameterSet.objects.create(study=study, **vars(one)) for one in grid_of(Parameters(), values)]
    prompts = [make.make_prompt() for _ in range(3)]
    for position, model in enumerate(("small", "large"), start=1):
        deployment = make.make_deployment(model)
        StudyDeployment.objects.create(study=study, deployment=deployment, position=position)
        for parameter_set in sets:
            for number, prompt in enumerate(prompts):
                make.make_response(
                    prompt,
                    deployment,
                    study=study,
                    parameter_set=parameter_set,
                    energy_j=10.0 * position + 5 * parameter_set.temperature + number,
                    output_token_count=20 + number,
                    verdict="correct" if number >= parameter_set.temperature else "incorrect",
                )
    return study


def make_shown_repeats(name: str = "repeats", *, repeats: int = 6) -> Study:
    """Make a finished study of two models and three prompts with repeats; one answer stands out, one has no energy."""
    study = make.make_study(name, state="finished", started_at=make.NOW, repeats=repeats)
    prompts = [make.make_prompt(category=("math", "code")[number % 2]) for number in range(3)]
    for position, model in enumerate(("small", "large"), start=1):
        deployment = Deployment.objects.filter(language_model__name=model).first() or make.make_deployment(model)
        StudyDeployment.objects.create(study=study, deployment=deployment, position=position)
        answers = []
        for place, prompt in enumerate(prompts):
            for repeat in range(1, repeats + 1):
                energy_j: float | None = 10.0 * position + place + 0.1 * repeat
                if (position, place) == (1, 0):
                    energy_j = {2: None, 6: 90.0}.get(repeat, energy_j)
                sequence = (position - 1) * len(prompts) * repeats + len(answers) + 1
                answers.append((prompt, deployment, {"repeat": repeat, "energy_j": energy_j, "sequence": sequence}))
        make.make_responses(answers, study=study)
    return study


def add_control_runs(study: Study, *energies_j: float | None, every: int = 2, text: str = "A bicycle") -> None:
    """Have a study ask for control runs, and give it some, half an hour apart; None is a run without energy."""
    study.control_every = every
    study.save()
    for number, energy_j in enumerate(energies_j):
        measurement = make.make_measurement(energy_j, quality="measured")
        measurement.purpose = "control"
        measurement.started_at = make.NOW + timedelta(minutes=30 * number)
        measurement.save()
        study.own_measurements.create(
            measurement=measurement, moment="during", place=number * every, text=text, output_token_count=64
        )


def add_failed(study: Study, *, error: str = "The stream broke.") -> Response:
    """Add a response that failed after one attempt."""
    response = add_pending(study)
    response.state, response.error = "failed", error
    response.save()
    ResponseAttempt.objects.create(
        response=response, number=1, outcome="failed", error=error, started_at=make.NOW, ended_at=make.NOW
    )
    return response


def add_pending(study: Study) -> Response:
    """Add a response that is still to come."""
    return Response.objects.create(
        study=study,
        prompt=make.make_prompt(),
        deployment=study.targets.order_by("position")[0].deployment,
        parameter_set=study.parameter_sets.get(),
        sequence=study.responses.count() + 1,
    )


def add_running(study: Study) -> Response:
    """Add a response that is being measured."""
    response = add_pending(study)
    response.state = "running"
    response.save()
    ResponseAttempt.objects.create(response=response, number=2, started_at=make.NOW)
    return response


def add_attempt(response: Response, seconds: float) -> None:
    """Say how long a response took."""
    ended_at = make.NOW + timedelta(seconds=seconds)
    ResponseAttempt.objects.create(
        response=response, number=1, outcome="finished", started_at=make.NOW, ended_at=ended_at
    )


def add_trace(
    measurement: Measurement,
    powers_mw: Sequence[int] = (10_000, 50_000, 50_000, 12_000),
    *,
    channel: str = "machine",
    quantity: Quantity = Quantity.POWER_MW,
    stop_ns: int = MARK_NS + 300_000_000,
) -> EnergyTrace:
    """Keep one sample every 100 ms, the first of them ending at the start mark."""
    readings = [Reading(MARK_NS + number * PERIOD_NS, PERIOD_NS, value) for number, value in enumerate(powers_mw)]
    trace = pack(readings, PERIOD_NS, PERIOD_NS, quantity)
    measurement.started_monotonic_ns, measurement.finished_monotonic_ns = MARK_NS, stop_ns
    measurement.save()
    ChannelReading.objects.create(
        measurement=measurement, channel=channel, meter="replay", is_in_boundary=True, energy_j=11.2,
        mean_power_mw=37_333, sample_count=len(readings), coverage=1.0, quality="simulated",
    )  # fmt: skip
    row = EnergyTrace.of(trace, measurement=measurement, channel=channel)
    row.save()
    return row


def make_shown_response(*, text: str = "The answer is 42.") -> Response:
    """Make a response with everything that a page can show of one."""
    study = make_shown_study("curves", verdict="")
    response = study.responses.order_by("sequence")[1]
    assert response.measurement is not None
    add_trace(response.measurement)
    add_trace(response.measurement, (3_000, 40_000, 41_000, 3_500), channel="cpu-package-0")
    Response.objects.filter(pk=response.pk).update(
        text=text,
        thinking_text="Let me think.",
        prompt_token_count=12,
        output_token_count=20,
        prompt_eval_duration_ns=50_000_000,
        eval_duration_ns=200_000_000,
        load_duration_ns=10_000_000,
        total_duration_ns=270_000_000,
        done_reason="stop",
    )
    response.prompt.reference = "42"
    response.prompt.save()
    add_attempt(response, 0.5)
    make.make_grader_label(response, "incorrect")
    make.make_label(response, "correct", labeler=make.make_user("grace"), comment="Short, but right.")
    response.refresh_from_db()
    return response
