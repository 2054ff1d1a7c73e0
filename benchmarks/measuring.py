"""Measure one response: load, generate between two marks, integrate the samples, store all of it at once."""

import logging
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db import OperationalError, transaction
from django.db.models import Value
from django.db.models.functions import Greatest

from benchmarks.accompanying import Lab, StudyHalted, record, take_idle_baseline, wait_until_cool, warm_up
from benchmarks.boundary import draw_boundary
from benchmarks.controlling import take_control, take_last_control
from benchmarks.cooldown import Cooldown
from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationRequest,
    InferenceError,
)
from benchmarks.keeping import keep
from benchmarks.locking import MachineBusy, machine_lock
from benchmarks.models import (
    Machine,
    Measurement,
    Response,
    ResponseAttempt,
    Study,
    StudyMeasurement,
)
from benchmarks.recording import RecorderBusy, RecordingError
from benchmarks.storing import Observation, integrate_observed, storable
from benchmarks.studying import generation_parameters_of
from benchmarks.targeting import bounded_for, make_ready, take_routing
from benchmarks.traces import TraceError
from benchmarks.units import nanoseconds_to_seconds

__all__ = ["MAX_LOST_ATTEMPTS", "Lab", "Outcome", "abandon", "mark_lost", "measure_response"]

logger = logging.getLogger(__name__)

MAX_LOST_ATTEMPTS = 5  # a response that takes its worker down each time shall not stop the study for ever


class Outcome(Enum):
    """What became of one call."""

    FINISHED = "finished"
    SKIPPED = "skipped"
    RETRY = "retry"
    BUSY = "busy"
    FAILED = "failed"


class EnergyGap(Exception):
    """A channel that belongs to the energy has a gap; measuring the response again may help."""


@dataclass(frozen=True)
class Measured:
    """Generations of one prompt, one after the other, with what was recorded while they went on."""

    generations: tuple[Generation, ...]
    seen: Observation
    cooldown: Cooldown | None


def measure_response(*, response_id: int, lab: Lab) -> Outcome:
    """Produce one response of a running study; calling it twice does no harm.

    A response that is finished, or whose study does not run, is skipped. While something else measures on the
    machine nothing is tried, and the outcome is `BUSY`. A response whose energy has a gap is measured again as often
    as its study says, and then kept with its energy missing. A failure that may pass (a server or a sampler that is
    away) leaves the response pending until its attempts are used up; any other fails it. Both keep the attempt
    with its reason. An answer whose meter fell silent in the last attempt too is kept with its energy missing.
    """
    machine = Machine.objects.filter(studies__responses=response_id).first()
    if machine is None:
        return Outcome.SKIPPED
    try:
        with machine_lock(machine.pk):  # before the claim: an open attempt is lost only if nobody measures here
            outcome = _measure_alone(response_id, lab)
            if outcome in {Outcome.FINISHED, Outcome.FAILED}:
                _end_study(response_id, lab)
            return outcome
    except MachineBusy:
        return Outcome.BUSY


def _end_study(response_id: int, lab: Lab) -> None:
    """Measure control and idle once more when nothing of the study is left; where that fails the answers stand."""
    study = Study.objects.select_related("machine").get(responses=response_id)
    if study.state != Study.State.RUNNING or study.responses.unfinished().exists():
        return
    try:
        take_last_control(study=study, lab=lab)
        take_idle_baseline(study=study, moment=StudyMeasurement.Moment.AFTER, lab=lab)
    except (RecordingError, TraceError, StudyHalted) as error:
        logger.warning("study %s has no idle baseline (or control run) after its last response: %s", study.pk, error)


def _measure_alone(response_id: int, lab: Lab) -> Outcome:
    claimed = _claim(response_id, lab)
    if claimed is None:
        return Outcome.SKIPPED
    response, attempt = claimed
    try:
        measured = _measure(response, attempt, lab)
        _require_energy(response, measured)
    except RecorderBusy as error:
        _withdraw(response, attempt, str(error))
        return Outcome.BUSY
    except StudyHalted:
        _withdraw(response, attempt, "")
        return Outcome.SKIPPED
    except (InferenceError, RecordingError, TraceError, EnergyGap) as error:
        return _give_up(response, attempt, lab.now(), error, is_retryable=getattr(error, "is_retryable", True))
    _store(response, attempt, measured, lab.now())
    return Outcome.FINISHED


def _withdraw(response: Response, attempt: ResponseAttempt, reason: str) -> None:
    """Take an attempt back that could not begin, so that it does not count; the response tells what it waits for."""
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=response.study_id)  # nobody cancels it meanwhile
        is_cancelled = study.state == Study.State.CANCELLED
        attempt.delete()
        response.state = Response.State.CANCELLED if is_cancelled else Response.State.PENDING
        response.error = reason
        response.save(update_fields=["state", "error"])


def abandon(*, response_id: int, error: Exception, now: datetime) -> Outcome:
    """Give up an attempt for a reason that measuring does not know, so that its study does not wait for ever.

    Only a Postgres that was away is worth another attempt; anything else fails the response.
    """
    with transaction.atomic():
        response = Response.objects.select_for_update(of=("self",)).select_related("study").get(pk=response_id)
        if not response.is_due:
            return Outcome.SKIPPED
        attempt = response.attempts.filter(outcome=ResponseAttempt.Outcome.RUNNING).first()
        return _give_up(response, attempt, now, error, is_retryable=isinstance(error, OperationalError))


def _claim(response_id: int, lab: Lab) -> tuple[Response, ResponseAttempt] | None:
    now = lab.now()
    with transaction.atomic():
        response = (
            Response.objects.select_for_update(of=("self",))
            .select_related(
                "study__machine",
                "deployment__server",
                "deployment__language_model",
                "prompt",
                "parameter_set",
            )
            .filter(pk=response_id)
            .first()
        )
        if response is None or not response.is_due:
            return None
        mark_lost(response=response, now=now)
        lost_count = response.attempts.filter(outcome=ResponseAttempt.Outcome.LOST).count()
        if lost_count >= MAX_LOST_ATTEMPTS:
            response.state = Response.State.FAILED
            response.error = f"The worker went away {lost_count} times while it produced this response."
            response.save(update_fields=["state", "error"])
            return None
        number = response.attempts.count() + 1
        attempt = ResponseAttempt.objects.create(
            response=response, number=number, started_at=now, worker=lab.worker_name
        )
        response.state = Response.State.RUNNING
        response.save(update_fields=["state"])
    return response, attempt


def mark_lost(*, response: Response, now: datetime) -> int:
    """Close the attempts of a worker that is gone; return how many there were."""
    return response.attempts.filter(outcome=ResponseAttempt.Outcome.RUNNING).update(
        outcome=ResponseAttempt.Outcome.LOST,
        ended_at=Greatest(Value(now), "started_at"),
        error_kind="WorkerLost",
        error="The worker went away.",
    )


def _measure(response: Response, attempt: ResponseAttempt, lab: Lab) -> Measured:
    study = response.study
    take_control(response=response, lab=lab)
    client = lab.connect(response)
    parameters = generation_parameters_of(response.parameter_set)
    model = response.deployment.language_model.name
    request = GenerationRequest(model, (ChatMessage("user", response.prompt.text),), parameters)
    server = response.deployment.server
    loaded = make_ready(server=server, client=client, request=request)  # before the start mark: it is not part of it
    if loaded is not None:
        attempt.load_wait_s = nanoseconds_to_seconds(loaded.duration_ns)
    take_idle_baseline(study=study, moment=StudyMeasurement.Moment.BEFORE, lab=lab, attempt=attempt)
    warm_up(response=response, client=client)
    cooldown = wait_until_cool(study=study, lab=lab, attempt=attempt)
    if cooldown is not None and cooldown.waited_s > 0:
        # a server may have put it away meanwhile; otherwise this does nothing
        make_ready(server=server, client=client, request=request)
    generations, seen = record(
        study=study,
        lab=lab,
        activity=lambda: tuple(client.generate(request) for _ in range(study.back_to_back)),
        keeps_gaps=_failure_count(response) + 1 >= study.max_attempts,
    )
    return Measured(generations, seen, cooldown)


def _failure_count(response: Response) -> int:
    """Return how many attempts have failed; gaps in an energy have a number of their own."""
    failed = response.attempts.filter(outcome=ResponseAttempt.Outcome.FAILED)
    return failed.exclude(error_kind=EnergyGap.__name__).count()


def _require_energy(response: Response, measured: Measured) -> None:
    """Raise `EnergyGap` where a gap makes the energy missing and the study asks to measure that again."""
    again_count = response.study.measure_again_count
    if not again_count or response.attempts.filter(error_kind=EnergyGap.__name__).count() >= again_count:
        return
    channels = integrate_observed(measured.seen)
    bounded = draw_boundary(channels)
    if bounded.energy_j is None and any(one.integration.gap_count for one in channels if one.name in bounded.counted):
        raise EnergyGap(bounded.missing_reason)


def _store(response: Response, attempt: ResponseAttempt, measured: Measured, now: datetime) -> None:
    generation, *others = measured.generations
    with transaction.atomic():
        measurement = keep(
            seen=measured.seen,
            study=response.study,
            purpose=Measurement.Purpose.RESPONSE,
            answer_count=len(measured.generations),
            bound=lambda machine, drawn: bounded_for(response, machine=machine, generation=generation, bounded=drawn),
        )
        response.measurement = measurement
        response.state = Response.State.FINISHED
        response.error = ""
        response.text = storable(generation.text)
        response.thinking_text = storable(generation.thinking or "")
        response.differing_text_count = sum(one.text != generation.text for one in others)
        response.mean_margin_nats = generation.mean_margin_nats
        response.take_figures(generation)
        take_routing(response, generation)
        response.finished_at = now
        response.save()
        attempt.outcome = ResponseAttempt.Outcome.FINISHED
        attempt.ended_at = max(now, attempt.started_at)
        if measured.cooldown is not None:
            attempt.take_cooldown(measured.cooldown)
        attempt.save()


def _give_up(
    response: Response, attempt: ResponseAttempt | None, now: datetime, error: Exception, *, is_retryable: bool
) -> Outcome:
    reason = storable(str(error)) or type(error).__name__
    with transaction.atomic():
        if attempt is not None:
            attempt.outcome = ResponseAttempt.Outcome.FAILED
            attempt.error_kind = type(error).__name__
            attempt.error = reason
            attempt.ended_at = max(now, attempt.started_at)  # the wall clock may have been set back
            attempt.save(update_fields=["outcome", "error_kind", "error", "ended_at"])
        is_retried = is_retryable and _failure_count(response) < response.study.max_attempts
        response.state = Response.State.PENDING if is_retried else Response.State.FAILED
        if Study.objects.filter(pk=response.study_id, state=Study.State.CANCELLED).exists():
            is_retried, response.state = False, Response.State.CANCELLED
        response.error = reason
        response.save(update_fields=["state", "error"])
    return Outcome.RETRY if is_retried else Outcome.FAILED
