"""Studies on a simulated wall meter: the real sampler, a real pseudo-terminal, real time."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.federating import Timeouts, connect
from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.measuring import Lab, Outcome, measure_response
from benchmarks.meters.board_faults import BoardFault, FaultDice, FaultKind
from benchmarks.meters.board_terminal import BoardTerminal
from benchmarks.meters.configuration import MeterConfiguration
from benchmarks.meters.power_curve import PowerCurve
from benchmarks.meters.simulated_board import SimulatedBoard
from benchmarks.models import Measurement, Study
from benchmarks.recording import SamplerRecorder
from tests.benchmarks.meters.board_line import SECOND, curve_of
from tests.factories import NOW, make_pending_study

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Up and down by 150 W within 1.4 s, everywhere different.
WAVES = curve_of((0, 90), (0.5, 150), (0.9, 240), (1.4, 90), is_linear=True, is_repeated=True)
ALL_FAULTS = (
    *(BoardFault(kind, rate=0.01) for kind in FaultKind if kind not in {FaultKind.VANISH, FaultKind.RANGE_6}),
    BoardFault(FaultKind.VANISH, at_s=4),
    BoardFault(FaultKind.RANGE_6, at_s=6),
)

Plug = Callable[..., tuple[Lab, int]]


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    """Plug in a board with a curve and faults; return a lab that reads it, and when the curve began."""
    with ExitStack() as stack:

        def plugging(curve: PowerCurve, *faults: BoardFault) -> tuple[Lab, int]:
            begins_at_ns = time.monotonic_ns()
            board = SimulatedBoard([curve], begins_at_ns=begins_at_ns)
            terminal = BoardTerminal(board, FaultDice(faults, seed=3), link=tmp_path / "board")
            terminal.plug_in()
            stop = threading.Event()
            thread = threading.Thread(target=terminal.serve, args=(stop,), daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            stack.callback(stop.set)
            meter = MeterConfiguration("mcp", {"port": terminal.path, "is_simulated": True})
            recorder = SamplerRecorder(name=f"test-wall-{os.getpid()}", meters=[meter])
            stack.callback(recorder.stop)
            timeouts = Timeouts(5, 5, 30)
            lab = Lab(
                recorder, lambda response: connect(server=response.deployment.server, timeouts=timeouts), lambda: NOW
            )
            return lab, begins_at_ns

        yield plugging


@pytest.fixture
def address() -> Iterator[str]:
    """Serve answers of 1.5 s."""
    with ScriptedOllama(
        [ScriptedModel("tiny")], answers=lambda *_: ScriptedAnswer("word " * 15, seconds_per_token=0.1)
    ) as server:
        yield server.base_url


def energy_of(curve: PowerCurve, measurement: Measurement, begins_at_ns: int) -> float:
    marks = (measurement.started_monotonic_ns or 0, measurement.finished_monotonic_ns or 0)
    begin_j, end_j = (curve.energy_j((mark_ns - begins_at_ns) / SECOND) for mark_ns in marks)
    return end_j - begin_j


def measure_all(study: Study, lab: Lab) -> list[Outcome]:
    outcomes = []
    for response in study.responses.order_by("pk"):
        outcome = Outcome.RETRY
        while outcome is Outcome.RETRY:
            outcome = measure_response(response_id=response.pk, lab=lab)
        outcomes.append(outcome)
    return outcomes


class TestAStudyAtTheWall:
    def test_has_the_energy_of_the_curve(self, plug: Plug, address: str) -> None:
        lab, begins_at_ns = plug(WAVES)
        study = make_pending_study(address, "one", "two")

        assert measure_all(study, lab) == [Outcome.FINISHED] * 2

        known = [one for one in Measurement.objects.order_by("pk") if one.energy_j is not None]
        assert known  # on a busy machine one may have a gap
        for measurement in known:
            assert measurement.energy_j == pytest.approx(energy_of(WAVES, measurement, begins_at_ns), rel=0.01)
            assert measurement.quality == "simulated"
            reading = measurement.readings.get()
            assert (reading.channel, reading.meter, reading.is_in_boundary) == ("machine", "mcp", True)
            assert reading.meter_facts["power_range_1"] == 19
            assert reading.meter_facts["accumulation_interval"] == 1

    def test_loses_no_response_with_every_fault_switched_on(self, plug: Plug, address: str) -> None:
        lab, begins_at_ns = plug(WAVES, *ALL_FAULTS)
        study = make_pending_study(address, "one", "two", "three", "four", "five")

        assert measure_all(study, lab) == [Outcome.FINISHED] * 5

        for measurement in Measurement.objects.order_by("pk"):
            if measurement.energy_j is None:
                assert "no reading for" in measurement.missing_reason
            else:
                assert measurement.energy_j == pytest.approx(energy_of(WAVES, measurement, begins_at_ns), rel=0.02)
