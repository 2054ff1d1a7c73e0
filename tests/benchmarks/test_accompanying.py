"""What goes with the answers of a study, on a scripted server and a meter that reads less while nothing is asked."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from benchmarks.accompanying import WARM_UP_PROMPT, Lab
from benchmarks.federating import Timeouts, connect
from benchmarks.inference.base import InferenceClient
from benchmarks.inference.scripted import AnswerScript, Fault, FaultKind, ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.measuring import Outcome, measure_response
from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.models import Calibration, Measurement, Response, Study, StudyMeasurement
from benchmarks.recording import ChannelRecord, RecordingError
from benchmarks.study_plan import Design, Parameters
from tests.benchmarks.test_lab_commands import make_calibration
from tests.factories import NOW, make_pending_study

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SECOND = 1_000_000_000
PLUG = Channel("machine", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW)
BUSY_W, IDLE_W = 220, 50


@dataclass
class Bench:
    """A machine of 220 W that uses 50 W while its worker sleeps; each answer takes 10 s of its clock."""

    ns: int = 0
    period_ns: int = 0
    is_idle: bool = False
    idle_w: int = IDLE_W
    idle_channel: Channel = PLUG
    is_broken_at_idle: bool = False

    def sleep(self, duration_s: float) -> None:
        self.ns += round(duration_s * SECOND) - (0 if self.is_idle else 10 * SECOND)
        self.is_idle = True

    def monotonic_ns(self) -> int:
        self.ns += 10 * SECOND
        return self.ns

    def ensure_running(self, *, period_ns: int) -> None:
        self.period_ns = period_ns

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        was_idle, self.is_idle = self.is_idle, False
        if was_idle and self.is_broken_at_idle:
            raise RecordingError("The sampler was killed.", is_retryable=True)
        power_mw = 1000 * (self.idle_w if was_idle else BUSY_W)
        readings = tuple(
            Reading(at_ns, self.period_ns, power_mw)
            for at_ns in range(start_ns - self.period_ns, stop_ns + 2 * self.period_ns, self.period_ns)
        )
        return (ChannelRecord("plug", self.idle_channel if was_idle else PLUG, self.period_ns, readings),)

    def lab(self) -> Lab:
        return Lab(self, client_of, now=lambda: NOW, monotonic_ns=self.monotonic_ns, sleep=self.sleep)


def client_of(response: Response) -> InferenceClient:
    return connect(server=response.deployment.server, timeouts=Timeouts(5, 5, 5))


@pytest.fixture
def server() -> Iterator[ScriptedOllama]:
    with ScriptedOllama([ScriptedModel("small"), ScriptedModel("large")], answers={}) as running:
        yield running


def measure(study: Study, bench: Bench, count: int | None = None) -> list[Outcome]:
    """Measure the next responses of a study, or all of them."""
    due = list(study.responses.unfinished().in_order().values_list("pk", flat=True))[:count]
    return [measure_response(response_id=pk, lab=bench.lab()) for pk in due]


def prompts_of(server: ScriptedOllama) -> list[tuple[str, str]]:
    """Return which model was asked what, loading left out."""
    asked = [one.body for one in server.requests if one.path == "/api/chat" and one.body.get("messages")]
    return [(one["model"], one["messages"][-1]["content"]) for one in asked]


class TestWarmUp:
    def test_comes_before_the_first_answer_of_each_model_only(self, server: ScriptedOllama) -> None:
        design = Design(warm_up_count=2)
        study = make_pending_study(server.base_url, "One?", "Two?", models=("small", "large"), design=design)
        measure(study, Bench())

        assert prompts_of(server) == [
            (model, text) for model in ("small", "large") for text in (WARM_UP_PROMPT, WARM_UP_PROMPT, "One?", "Two?")
        ]
        assert set(study.responses.values_list("text", "state")) == {("I do not know.", "finished")}
        assert Measurement.objects.count() == study.responses.count() == 4

    def test_comes_again_for_another_set_of_parameters(self, server: ScriptedOllama) -> None:
        sets = [Parameters(num_ctx=1024, name="a"), Parameters(num_ctx=2048, name="b")]
        study = make_pending_study(
            server.base_url, "One?", models=("small",), design=Design(warm_up_count=1), parameters=sets
        )
        measure(study, Bench())
        assert [text for _, text in prompts_of(server)] == [WARM_UP_PROMPT, "One?"] * 2

    def test_that_fails_is_an_attempt_that_is_made_again(self) -> None:
        faults = [Fault(FaultKind.ERROR_LINE, times=2)]  # the first one strikes loading, which says no token
        with ScriptedOllama([ScriptedModel("small")], answers={}, faults=faults) as server:
            study = make_pending_study(server.base_url, "One?", models=("small",), design=Design(warm_up_count=1))
            assert measure(study, Bench()) == [Outcome.RETRY]
            assert measure(study, Bench()) == [Outcome.FINISHED]
            assert [text for _, text in prompts_of(server)] == [WARM_UP_PROMPT, WARM_UP_PROMPT, "One?"]


class TestIdleBaseline:
    @pytest.fixture
    def study(self, server: ScriptedOllama) -> Study:
        design = Design(idle_baseline_s=30)
        return make_pending_study(server.base_url, "One?", "Two?", "Three?", models=("small",), design=design)

    def taken(self, study: Study) -> list[tuple[str, float | None, float | None]]:
        rows = StudyMeasurement.objects.filter(study=study).select_related("measurement").order_by("pk")
        return [(one.moment, one.measurement.energy_j, one.measurement.sci_gco2e) for one in rows]

    def nets(self, study: Study) -> list[float | None]:
        return list(study.responses.in_order().values_list("measurement__net_energy_j", flat=True))

    def test_is_taken_before_the_first_and_after_the_last_response(self, study: Study) -> None:
        bench = Bench()
        measure(study, bench, 2)
        assert self.taken(study) == [("before", pytest.approx(30 * IDLE_W), None)]
        assert self.nets(study) == [pytest.approx(10 * (BUSY_W - IDLE_W))] * 2 + [None]

        measure(study, bench)
        assert [moment for moment, _, _ in self.taken(study)] == ["before", "after"]
        purposes = Measurement.objects.filter(study_measurement__study=study).values_list("purpose", "quality")
        assert set(purposes) == {("idle_baseline", "measured")}
        assert Measurement.objects.filter(response__study=study, energy_j__range=(2199.9, 2200.1)).count() == 3

    def test_of_after_counts_as_much_as_that_of_before(self, study: Study) -> None:
        bench = Bench()
        measure(study, bench, 2)
        bench.idle_w = 70
        measure(study, bench)
        assert self.nets(study) == [pytest.approx(10 * (BUSY_W - 60))] * 3

    @pytest.mark.parametrize(
        "channel",
        [
            Channel("machine", Boundary.MACHINE, Quality.ESTIMATED, Quantity.POWER_MW),
            Channel("other", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW),
        ],
        ids=["another quality", "another channel"],
    )
    def test_of_unlike_kind_gives_no_net_energy(self, study: Study, channel: Channel) -> None:
        measure(study, Bench(idle_channel=channel))
        assert self.nets(study) == [None] * 3
        assert len(self.taken(study)) == 2

    def test_that_fails_before_is_tried_again_with_the_response(self, study: Study) -> None:
        assert measure(study, Bench(is_broken_at_idle=True), 1) == [Outcome.RETRY]
        assert self.taken(study) == []
        assert measure(study, Bench(), 1) == [Outcome.FINISHED]
        assert [moment for moment, _, _ in self.taken(study)] == ["before"]

    def test_that_fails_after_loses_no_response(self, study: Study) -> None:
        bench = Bench()
        measure(study, bench, 2)
        bench.is_broken_at_idle = True
        assert measure(study, bench) == [Outcome.FINISHED]
        assert [moment for moment, _, _ in self.taken(study)] == ["before"]
        assert None not in self.nets(study)

    @pytest.mark.parametrize(("quality", "nets"), [("measured", [1700.0]), ("estimated", [None])])
    def test_of_the_machines_calibration_stands_in_where_nobody_asks(
        self, server: ScriptedOllama, quality: str, nets: list[float | None]
    ) -> None:
        study = make_pending_study(server.base_url, "One?", models=("small",))
        assert study.machine is not None
        make_calibration(study.machine, 1000 * IDLE_W)
        Calibration.objects.update(quality=quality)
        measure(study, Bench())
        assert self.nets(study) == nets

    @pytest.mark.parametrize(("halt", "state"), [("paused", "pending"), ("cancelled", "cancelled")])
    def test_ends_within_a_second_when_the_study_is_halted(self, study: Study, halt: str, state: str) -> None:
        bench, slept_s = Bench(), []

        def sleep(seconds: float) -> None:
            slept_s.append(seconds)
            if len(slept_s) == 3:
                Study.objects.filter(pk=study.pk).update(state=halt)

        first = study.responses.in_order()[0]
        outcome = measure_response(response_id=first.pk, lab=replace(bench.lab(), sleep=sleep))

        first.refresh_from_db()
        assert (outcome, slept_s, self.taken(study)) == (Outcome.SKIPPED, [1.0, 1.0, 1.0], [])
        assert (first.state, first.attempts.count()) == (state, 0)

    def test_of_a_fraction_of_a_second_is_as_long(self, server: ScriptedOllama) -> None:
        study = make_pending_study(server.base_url, "One?", models=("small",), design=Design(idle_baseline_s=2.5))
        slept_s: list[float] = []

        class Noting(Bench):
            def sleep(self, duration_s: float) -> None:
                slept_s.append(duration_s)
                super().sleep(duration_s)

        measure(study, Noting())
        assert slept_s == [1.0, 1.0, 0.5] * 2

    def test_is_not_taken_where_nobody_asks(self, server: ScriptedOllama) -> None:
        study = make_pending_study(server.base_url, "One?", models=("small",))
        measure(study, Bench())
        assert self.taken(study) == []
        assert self.nets(study) == [None]


class TestBackToBack:
    def measured(self, script: AnswerScript, *faults: Fault) -> tuple[Study, list[Outcome], ScriptedOllama]:
        design = Design(back_to_back=4, idle_baseline_s=30)
        with ScriptedOllama([ScriptedModel("small")], answers=script, faults=faults) as server:
            study = make_pending_study(server.base_url, "One?", models=("small",), design=design)
            return study, measure(study, Bench()), server

    def test_gives_each_answer_the_like_part_of_energy_and_time(self) -> None:
        study, outcomes, server = self.measured(lambda _model, _prompt: ScriptedAnswer("The same."))
        response = study.responses.select_related("measurement").get()
        assert response.measurement is not None
        energy_j, net_j = response.measurement.energy_j, response.measurement.net_energy_j

        assert outcomes == [Outcome.FINISHED]
        assert [text for _, text in prompts_of(server)] == ["One?"] * 4
        assert (energy_j, response.measurement.time_reserved_s) == (pytest.approx(10 * BUSY_W / 4), 2.5)
        assert net_j == pytest.approx(10 * (BUSY_W - IDLE_W) / 4)
        assert response.measurement.operational_emissions_gco2e == pytest.approx(2200 / 4 / 3.6e6 * 385)
        assert (response.measurement.answer_count, response.differing_text_count) == (4, 0)
        assert response.measurement.readings.get().energy_j == pytest.approx(10 * BUSY_W)

    def test_keeps_the_first_text_and_tells_how_many_differ(self) -> None:
        texts = iter(["First.", "First.", "Other.", "Third."])
        study, _, _ = self.measured(lambda _model, _prompt: ScriptedAnswer(next(texts)))
        response = study.responses.get()
        assert (response.text, response.differing_text_count) == ("First.", 2)

    def test_that_breaks_in_the_middle_keeps_nothing(self) -> None:
        faults = [Fault(FaultKind.ERROR_LINE, times=2)]  # the first one strikes loading
        study, outcomes, _ = self.measured(lambda _model, _prompt: ScriptedAnswer("The same."), *faults)
        assert outcomes == [Outcome.RETRY]
        assert study.responses.get().measurement is None
