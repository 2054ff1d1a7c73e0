"""How much of a study's time goes into anything but loading, cooling and generating."""

import os
import time

from django.utils import timezone

from benchmarks.federating import Timeouts, connect
from benchmarks.inference.base import Generation, GenerationRequest, InferenceClient
from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.measuring import Lab, Outcome, measure_response
from benchmarks.models import Measurement, Response
from benchmarks.recording import SamplerRecorder
from tests.bench.rig import PERIOD_MS, four_channels
from tests.bench.table import Table
from tests.factories import make_pending_study


class Stopwatch:
    """A client whose loading and generating is timed."""

    def __init__(self, client: InferenceClient) -> None:
        self.client = client
        self.spent_s = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self.client, name)

    def load(self, *arguments: object) -> object:
        return self._timed(self.client.load, *arguments)

    def generate(self, request: GenerationRequest) -> Generation:
        return self._timed(self.client.generate, request)

    def _timed(self, call, *arguments):
        begun_s = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            self.spent_s += time.perf_counter() - begun_s


def run(table: Table, *, answers: int, seconds: float) -> None:
    words = 20
    answer = ScriptedAnswer("word " * words, seconds_per_token=seconds / words)
    watches: list[Stopwatch] = []
    with ScriptedOllama([ScriptedModel("tiny")], answers=lambda *_: answer) as server, four_channels() as meters:
        recorder = SamplerRecorder(name=f"bench-study-{os.getpid()}", meters=meters)

        def connected(response: Response) -> Stopwatch:
            watches.append(Stopwatch(connect(server=response.deployment.server, timeouts=Timeouts(5, 5, 60))))
            return watches[-1]

        lab = Lab(recorder, connected, timezone.now)
        study = make_pending_study(
            server.base_url, *(f"prompt {number}" for number in range(answers)), sampling_period_ms=PERIOD_MS
        )
        ids = list(study.responses.order_by("sequence").values_list("pk", flat=True))
        begun_s = time.perf_counter()
        try:
            outcomes = [measure_response(response_id=pk, lab=lab) for pk in ids]
        finally:
            recorder.stop()
        elapsed_s = time.perf_counter() - begun_s
    if outcomes.count(Outcome.FINISHED) != answers:
        table.row("answers that were finished", f"{outcomes.count(Outcome.FINISHED)} of {answers}", "all", is_ok=False)
    other = 1 - sum(watch.spent_s for watch in watches) / elapsed_s
    name = f"{answers} answers of {seconds:g} s: not loading, cooling, generating"
    table.below(name, 100 * other, 5, "%", n=answers)
    known = Measurement.objects.filter(response__study=study, energy_j__isnull=False).count()
    table.row("  of them with a known energy", f"{known}", n=answers)
