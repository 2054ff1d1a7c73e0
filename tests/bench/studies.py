"""How much of a study's time goes into anything but loading, cooling and generating, through a worker and its queue."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar
from unittest.mock import patch

from django.db.models import Sum
from django.test.utils import override_settings

from benchmarks import jobs
from benchmarks.federating import connect
from benchmarks.inference.base import Generation, GenerationRequest, InferenceClient
from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.management.commands.work import MachineWorker, kept_connections
from benchmarks.models import Machine, Measurement, ResponseAttempt, Study
from benchmarks.queueing import enqueue_study, queue_of
from tests.bench.rig import four_channels
from tests.bench.table import Table
from tests.factories import make_machine, make_pending_study

LIMIT_C = 60.0
_T = TypeVar("_T")


class Stopwatch:
    """Clients whose loading and generating is timed."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def connect(self, **options: object) -> "TimedClient":
        return TimedClient(connect(**options), self)

    def timed(self, call: Callable[..., _T], *arguments: object) -> _T:
        begun_s = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            self.spent_s += time.perf_counter() - begun_s


class TimedClient:
    """A client that tells a stopwatch."""

    def __init__(self, client: InferenceClient, watch: Stopwatch) -> None:
        self._client = client
        self._watch = watch

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def load(self, *arguments: object) -> object:
        return self._watch.timed(self._client.load, *arguments)

    def generate(self, request: GenerationRequest) -> Generation:
        return self._watch.timed(self._client.generate, request)


def run(table: Table, *, answers: int, seconds: float) -> None:
    """Let a worker measure a study from a queue, each meter at the period that a study gives it by itself."""
    words = 20
    answer = ScriptedAnswer("word " * words, seconds_per_token=seconds / words)
    watch = Stopwatch()
    with (
        ScriptedOllama([ScriptedModel("tiny")], answers=lambda *_: answer) as server,
        four_channels(period_ms=None) as meters,
    ):
        machine = make_machine(f"bench-{os.getpid()}", meters=[asdict(meter) for meter in meters])
        study = make_pending_study(server.base_url, *(f"prompt {number}" for number in range(answers)), machine=machine)
        Study.objects.filter(pk=study.pk).update(cooldown_limit_c=LIMIT_C)
        elapsed_s = _work(study, machine, watch)
    finished = study.responses.finished().count()
    table.row("answers that were finished", f"{finished} of {answers}", "all", is_ok=finished == answers)
    cooled = ResponseAttempt.objects.filter(response__study=study).aggregate(all=Sum("cooldown_s"))["all"] or 0.0
    other_s = elapsed_s - watch.spent_s - cooled
    name = f"{answers} answers of {seconds:g} s: not loading, cooling, generating"
    table.below(name, 100 * other_s / elapsed_s, 5, "%", n=answers)
    table.row("  of it for each answer", f"{1000 * other_s / answers:.0f} ms", n=answers)
    known = Measurement.objects.filter(response__study=study, energy_j__isnull=False).count()
    table.row("  of them with a known energy", f"{known}", n=answers)


def _work(study: Study, machine: Machine, watch: Stopwatch) -> float:
    """Return how long a worker takes for all of a study (s)."""
    named, watched = override_settings(MACHINE_NAME=machine.name), patch.object(jobs, "connect", watch.connect)
    with named, watched, kept_connections():
        enqueue_study(study=study)
        queue = queue_of(machine)
        worker = MachineWorker([queue], connection=queue.connection)
        begun_s = time.perf_counter()
        try:
            worker.work(burst=True, logging_level="WARNING")
            return time.perf_counter() - begun_s
        finally:
            jobs.process_recorder(machine.pk).stop()
