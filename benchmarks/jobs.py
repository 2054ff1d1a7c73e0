"""What RQ runs: ids in, one service call, the outcome on the row. Every job may run twice without harm."""

import logging
import os
import socket
import time
from functools import lru_cache, partial

import django_rq
from django.conf import settings
from django.utils import timezone

from benchmarks.accompanying import is_running
from benchmarks.cooldown import Cooldown, CooldownRule, Watch, cool_down
from benchmarks.federating import Timeouts, connect, wait_for_server
from benchmarks.fitting import fit_after_study
from benchmarks.inference.base import InferenceClient
from benchmarks.measuring import Lab, Outcome, abandon
from benchmarks.measuring import measure_response as measure
from benchmarks.meters.temperature import HwmonThermometer, NvmlThermometer, TemperatureReader, read_all
from benchmarks.models import Machine, Response
from benchmarks.queueing import enqueue_again, enqueue_periodic
from benchmarks.recording import SamplerRecorder, recorder_for
from benchmarks.studying import finish_if_done

logger = logging.getLogger(__name__)

_PATIENCE_S = 120.0
_PAUSES_S = (0.0, 1.0, 5.0)  # before the second, third and later attempts
_BUSY_PAUSE_S = 5.0
_COOLDOWN_TIMEOUT_S = 300.0  # with the other waits below the time that the queue gives a job
_COOLDOWN_INTERVAL_S = 1.0  # as often it asks Postgres whether the study still runs, so not more often


def measure_response(response_id: int) -> str:
    """Measure one response; a retry goes to the front of the queue, and the last response finishes its study."""
    response = Response.objects.select_related("study__machine", "deployment__server").filter(pk=response_id).first()
    if response is None or response.study.machine is None:
        return Outcome.SKIPPED.value
    machine = response.study.machine
    if machine.name != settings.MACHINE_NAME:
        raise RuntimeError(
            f"This worker is on {settings.MACHINE_NAME!r}, the study on {machine.name!r}: start a worker there with "
            f"GREENLLM_MACHINE={machine.name}."
        )
    try:
        outcome = _measured(response, machine)
    except Exception as error:
        logger.exception("response %s of study %s cannot be measured", response_id, response.study_id)
        outcome = abandon(response_id=response_id, error=error, now=timezone.now())
    logger.info("response %s of study %s: %s", response_id, response.study_id, outcome.value)
    if outcome in {Outcome.RETRY, Outcome.BUSY}:
        time.sleep(_pause_s(response, outcome))
        enqueue_again(response=response)
    else:
        _finish(response)
    return outcome.value


def _finish(response: Response) -> None:
    """Finish the study with its last response, fit what its answers tell of lengths, and have the rest done later."""
    if not finish_if_done(study_id=response.study_id, now=timezone.now()):
        return
    try:
        fit_after_study(study=response.study, now=timezone.now())
    except Exception:  # an outer edge: the study is whole without it, and manage.py fit_energy fits it later
        logger.exception("the energies of study %s cannot be fitted", response.study_id)
    enqueue_periodic(names=settings.JOBS_AFTER_A_STUDY, connection=django_rq.get_connection("default"))


def _measured(response: Response, machine: Machine) -> Outcome:
    if response.is_due:  # a paused study shall not wait for a server that is away
        wait_for_server(client=_connect(response), patience_s=_PATIENCE_S, is_wanted=lambda: is_running(response.study))
    return measure(response_id=response.pk, lab=_lab(machine))


def _pause_s(response: Response, outcome: Outcome) -> float:
    if outcome is Outcome.BUSY:
        response.refresh_from_db(fields=["error"])
        logger.warning("another worker measures on the machine %s; %s", response.study.machine, response.error)
        return _BUSY_PAUSE_S
    return _PAUSES_S[min(response.attempts.count(), len(_PAUSES_S)) - 1]


def _lab(machine: Machine) -> Lab:
    return Lab(
        recorder=process_recorder(machine.pk),
        connect=_connect,
        now=timezone.now,
        cool_down=_cool_down,
        worker_name=f"{socket.gethostname()}:{os.getpid()}",
    )


def _cool_down(limit_c: float, watch: Watch) -> Cooldown:
    rule = CooldownRule(limit_c=limit_c, timeout_s=_COOLDOWN_TIMEOUT_S, interval_s=_COOLDOWN_INTERVAL_S)
    return cool_down(
        read=partial(read_all, process_thermometers()),
        rule=rule,
        clock_s=time.monotonic,
        sleep=time.sleep,
        watch=watch,
    )


def _connect(response: Response) -> InferenceClient:
    timeouts = Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)
    return connect(server=response.deployment.server, timeouts=timeouts)


@lru_cache(maxsize=1)
def process_thermometers() -> tuple[TemperatureReader, ...]:
    """Return the thermometers of this worker process; the GPUs' library stays loaded as long as the worker lives."""
    return (HwmonThermometer(), NvmlThermometer())


@lru_cache(maxsize=1)
def process_recorder(machine_id: int) -> SamplerRecorder:
    """Return the recorder of this worker process; its sampler lives until it is released, and begins anew then."""
    return recorder_for(Machine.objects.get(pk=machine_id))


def release_recorder(machine_id: int) -> None:
    """End the sampler of this worker process where one runs; the next measurement starts it again."""
    if process_recorder.cache_info().currsize:
        process_recorder(machine_id).stop()
