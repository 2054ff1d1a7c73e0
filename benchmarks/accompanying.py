"""What goes with the answers of a study: cooling, warm-up answers that are thrown away, idle before and after."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import transaction

from benchmarks.cooldown import Cooldown, Cooling, Ending, Watch
from benchmarks.inference.base import ChatMessage, GenerationRequest, InferenceClient
from benchmarks.keeping import keep, renew_net_energies
from benchmarks.models import Measurement, Response, ResponseAttempt, Study, StudyMeasurement
from benchmarks.recording import EnergyRecorder
from benchmarks.storing import Observation, observe, observe_what_came
from benchmarks.studying import generation_parameters_of
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

logger = logging.getLogger(__name__)

_LOOK_S = 1.0  # a wait is looked at as often, so it ends within that time when the study is halted

# A text of its own: a server that keeps the latest prompt's state would read the first measured one for nothing.
WARM_UP_PROMPT = "Name three colours of a rainbow, and say in one sentence what makes one appear."

_T = TypeVar("_T")


class StudyHalted(Exception):
    """The study was paused or cancelled while its machine cooled down or was left idle."""


@dataclass(frozen=True)
class Lab:
    """What measuring needs of the outside: energy, servers and clocks."""

    recorder: EnergyRecorder
    connect: Callable[[Response], InferenceClient]
    now: Callable[[], datetime]
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    # given the limit (°C); None: temperatures are not asked for
    cool_down: Callable[[float, Watch], Cooldown] | None = None
    worker_name: str = ""
    sleep: Callable[[float], object] = time.sleep


def record(*, study: Study, lab: Lab, activity: Callable[[], _T], keeps_gaps: bool = False) -> tuple[_T, Observation]:
    """Do something between two marks; return what came of it and what every channel saw.

    With `keeps_gaps` a channel that gives nothing any more before the stop has a gap, instead of an error.

    Raises:
        RecordingError: samples are missing.
        TraceError: they cannot be packed.
    """
    lab.recorder.ensure_running(period_ns=study.sampling_period_ms * NANOSECONDS_PER_MILLISECOND)
    started_at = lab.now()
    start_ns = lab.monotonic_ns()
    result = activity()
    stop_ns = lab.monotonic_ns()
    look = observe_what_came if keeps_gaps else observe
    return result, look(lab.recorder, started_at=started_at, start_ns=start_ns, stop_ns=stop_ns)


def is_running(study: Study) -> bool:
    """Tell whether nobody has paused or cancelled a study meanwhile."""
    return Study.objects.filter(pk=study.pk, state=Study.State.RUNNING).exists()


def wait_until_cool(*, study: Study, lab: Lab, attempt: ResponseAttempt | None = None) -> Cooldown | None:
    """Wait until the machine is cool enough; a limit of 0 asks for no wait.

    While it goes on, and when it is over, the attempt that waits says so, for people who look at the study.

    Raises:
        StudyHalted: the study does not run any more.
    """
    if lab.cool_down is None or study.cooldown_limit_c <= 0:
        return None
    watch = Watch(is_wanted=lambda: is_running(study), on_begin=lambda cooling: _tell(attempt, cooling))
    cooldown = lab.cool_down(study.cooldown_limit_c, watch)
    if cooldown.ending is Ending.HALTED:
        raise StudyHalted(f"The study was paused or cancelled; {cooldown.reason}.")
    if attempt is not None and cooldown.waited_s > 0:
        attempt.take_cooldown(cooldown)
        attempt.save(update_fields=["cooldown_s", "start_temperature_c", "cooldown_note"])
    if cooldown.ending in {Ending.TIMED_OUT, Ending.UNKNOWN}:
        logger.info("study %s goes on: %s", study.pk, cooldown.reason)
    return cooldown


def _tell(attempt: ResponseAttempt | None, cooling: Cooling) -> None:
    if attempt is not None:
        attempt.cooldown_s = None
        attempt.cooldown_note = cooling.words
        attempt.save(update_fields=["cooldown_s", "cooldown_note"])


def take_idle_baseline(
    *, study: Study, moment: StudyMeasurement.Moment, lab: Lab, attempt: ResponseAttempt | None = None
) -> StudyMeasurement | None:
    """Measure the machine while nothing is asked of it; None where the study asks for none or has it already.

    A model stays loaded meanwhile, as it is while it answers. The net energies that the study has are computed
    anew.

    Raises:
        RecordingError: samples are missing.
        StudyHalted: the study does not run any more.
    """
    if not study.idle_baseline_s or StudyMeasurement.objects.filter(study=study, moment=moment).exists():
        return None
    wait_until_cool(study=study, lab=lab, attempt=attempt)
    _, seen = record(study=study, lab=lab, activity=lambda: _be_idle(study, lab))
    with transaction.atomic():
        measurement = keep(seen=seen, study=study, purpose=Measurement.Purpose.IDLE_BASELINE)
        taken = StudyMeasurement.objects.create(study=study, measurement=measurement, moment=moment)
        renew_net_energies(study=study)
    return taken


def _be_idle(study: Study, lab: Lab) -> None:
    """Do nothing for as long as the study asks; raise `StudyHalted` soon after it was paused or cancelled."""
    left_s = study.idle_baseline_s
    while left_s > 0:
        lab.sleep(min(left_s, _LOOK_S))
        left_s -= _LOOK_S
        if left_s > 0 and not is_running(study):
            raise StudyHalted("The study was paused or cancelled while its machine was left idle.")


def warm_up(*, response: Response, client: InferenceClient) -> int:
    """Let a model answer before its first measured response with these parameters; return how often.

    The answers are thrown away. Another set of parameters may load the model anew, so that it warms up again.

    Raises:
        InferenceError: the server does not answer.
    """
    study = response.study
    alike = study.responses.finished().filter(deployment=response.deployment, parameter_set=response.parameter_set)
    if not study.warm_up_count or alike.exists():
        return 0
    model = response.deployment.language_model.name
    parameters = generation_parameters_of(response.parameter_set)
    for _ in range(study.warm_up_count):
        client.generate(GenerationRequest(model, (ChatMessage("user", WARM_UP_PROMPT),), parameters))
    return study.warm_up_count
