import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import psutil
import psycopg
import pytest
from django.db import IntegrityError, connection

from benchmarks.cooldown import Cooldown, CooldownRule, Cooling, Ending, Watch, cool_down
from benchmarks.federating import Timeouts, connect
from benchmarks.inference.base import InferenceClient
from benchmarks.inference.scripted import (
    AnswerScript,
    Fault,
    FaultKind,
    ScriptedAnswer,
    ScriptedModel,
    ScriptedOllama,
)
from benchmarks.locking import machine_lock
from benchmarks.measuring import MAX_LOST_ATTEMPTS, Lab, Outcome, abandon, measure_response
from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.meters.configuration import MeterConfiguration
from benchmarks.meters.replay import PowerCourse, Step
from benchmarks.models import ChannelReading, EnergyTrace, Measurement, Response, ResponseAttempt, Study
from benchmarks.recording import ChannelRecord, SamplerRecorder, SamplesMissing
from benchmarks.sci import METHOD_VERSION
from benchmarks.study_plan import Design
from benchmarks.studying import cancel, pause
from benchmarks.traces import unpack
from tests.factories import NOW, make_pending_study

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

MS = 1_000_000
SECOND = 1_000 * MS
PLUG = Channel("machine", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW)
CPU = Channel("cpu", Boundary.COMPONENT, Quality.COMPONENT, Quantity.POWER_MW)
QUESTION = "What is 17 times 23?"
ANSWER = "17 times 23 is 391."

Serve = Callable[..., ScriptedOllama]
Measure = Callable[..., Outcome]


@dataclass
class ScriptedRecorder:
    """Records constant powers (W), a reading each period, whatever the clock says; every fact can be wrong."""

    powers_w: tuple[tuple[Channel, float], ...] = ((PLUG, 220.0),)
    silent_ns: int = 0  # for how long before the stop no reading came
    period_ns: int = 0

    def ensure_running(self, *, period_ns: int) -> None:
        self.period_ns = period_ns

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        moments = range(start_ns - self.period_ns, stop_ns + 2 * self.period_ns, self.period_ns)
        seen = [at_ns for at_ns in moments if not stop_ns - self.silent_ns < at_ns < stop_ns]
        return tuple(
            ChannelRecord("plug", channel, self.period_ns, self._readings(seen, round(power_w * 1000)))
            for channel, power_w in self.powers_w
        )

    def _readings(self, moments: list[int], power_mw: int) -> tuple[Reading, ...]:
        earlier = [moments[0] - self.period_ns, *moments]
        return tuple(
            Reading(at_ns, at_ns - before_ns, power_mw) for before_ns, at_ns in zip(earlier, moments, strict=False)
        )


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a simulated server that ends with the test."""
    running: list[ScriptedOllama] = []

    def serving(*faults: Fault, answer: AnswerScript | str = ANSWER) -> ScriptedOllama:
        script = {QUESTION: answer} if isinstance(answer, str) else answer
        server = ScriptedOllama([ScriptedModel("tiny")], answers=script, faults=faults)
        running.append(server.__enter__())
        return server

    yield serving
    for server in running:
        server.__exit__(None, None, None)


@pytest.fixture
def sampler() -> Iterator[Callable[..., SamplerRecorder]]:
    """Make recorders with a real sampler process that ends with the test."""
    made: list[SamplerRecorder] = []

    def making(kind: str, **options: object) -> SamplerRecorder:
        recorder = SamplerRecorder(
            name=f"test-measuring-{os.getpid()}-{len(made)}", meters=[MeterConfiguration(kind, options)]
        )
        made.append(recorder)
        return recorder

    yield making
    for recorder in made:
        recorder.stop()


def client_of(response: Response) -> InferenceClient:
    return connect(server=response.deployment.server, timeouts=Timeouts(5, 5, 5))


def clock(*seconds: float) -> Callable[[], int]:
    """Return a monotonic clock that shows these moments one after the other."""
    moments = iter(round(second * SECOND) for second in seconds)
    return lambda: next(moments)


def lab_with(recorder: ScriptedRecorder | SamplerRecorder, *seconds: float, now: datetime = NOW) -> Lab:
    monotonic_ns = clock(*seconds) if seconds else time.monotonic_ns
    return Lab(recorder, client_of, now=lambda: now, monotonic_ns=monotonic_ns, worker_name="bench:1")


def ten_seconds(recorder: ScriptedRecorder | None = None, *, now: datetime = NOW) -> Lab:
    """Return a lab in which each answer takes the 10.59 s of the paper's example."""
    return lab_with(recorder or ScriptedRecorder(), *(moment for _ in range(5) for moment in (10, 20.59)), now=now)


def only_response(study: Study) -> Response:
    return study.responses.select_related("measurement").get()


def attempts_of(response: Response) -> list[tuple[int, str, str]]:
    return list(response.attempts.order_by("number").values_list("number", "outcome", "error_kind"))


class TestGap:
    """A recorder that falls silent for 2 s; the study asks to measure that again, twice at most."""

    @pytest.fixture
    def server(self, serve: Serve) -> ScriptedOllama:
        return serve()

    @pytest.fixture
    def study(self, server: ScriptedOllama) -> Study:
        return make_pending_study(server.base_url, QUESTION, design=Design(measure_again_count=2))

    def measure(self, study: Study, lab: Lab) -> Outcome:
        return measure_response(response_id=only_response(study).pk, lab=lab)

    def test_is_measured_again(self, study: Study, server: ScriptedOllama) -> None:
        recorder = ScriptedRecorder(silent_ns=2 * SECOND)
        lab = ten_seconds(recorder)
        assert self.measure(study, lab) is Outcome.RETRY
        response = only_response(study)
        assert (response.state, response.error.startswith("machine: no reading for 2")) == ("pending", True)
        assert not Measurement.objects.exists()

        recorder.silent_ns = 0
        assert self.measure(study, lab) is Outcome.FINISHED

        response = only_response(study)
        assert response.measurement is not None
        assert (response.measurement.energy_j, response.error) == (pytest.approx(220 * 10.59), "")
        assert attempts_of(response) == [(1, "failed", "EnergyGap"), (2, "finished", "")]

    def test_that_comes_each_time_leaves_the_answer_with_its_energy_missing(self, study: Study) -> None:
        lab = ten_seconds(ScriptedRecorder(silent_ns=2 * SECOND))

        assert [self.measure(study, lab) for _ in range(3)] == [Outcome.RETRY, Outcome.RETRY, Outcome.FINISHED]

        response = only_response(study)
        assert (response.text, response.state) == (ANSWER, "finished")
        assert response.measurement is not None
        assert (response.measurement.energy_j, response.measurement.quality) == (None, "missing")

    def test_uses_up_none_of_the_attempts_for_other_failures(self, serve: Serve) -> None:
        server = serve(Fault(FaultKind.CUT, times=2))  # loading uses it up once without harm
        study = make_pending_study(server.base_url, QUESTION, design=Design(measure_again_count=5))
        Study.objects.update(max_attempts=2)
        lab = lab_with(
            ScriptedRecorder(silent_ns=2 * SECOND), 10, *(moment for _ in range(6) for moment in (10, 20.59))
        )

        outcomes = [self.measure(study, lab) for _ in range(7)]

        assert outcomes == [*[Outcome.RETRY] * 6, Outcome.FINISHED]
        kinds = [kind for _, _, kind in attempts_of(only_response(study))]
        assert (kinds.count("EnergyGap"), kinds[-1]) == (5, "")

    def test_of_a_part_that_is_not_counted_changes_nothing(self, study: Study) -> None:
        """The wall meter is the machine; its energy is known whatever a component lacks."""

        class HalfSilent(ScriptedRecorder):
            def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
                plug, cpu = super().records(start_ns=start_ns, stop_ns=stop_ns)
                return plug, replace(cpu, readings=cpu.readings[:-30])

        lab = ten_seconds(HalfSilent(powers_w=((PLUG, 220.0), (CPU, 60.0))))
        assert self.measure(study, lab) is Outcome.FINISHED
        assert [one.gap_count for one in ChannelReading.objects.order_by("channel")] == [1, 0]

    def test_of_a_cancelled_study_is_not_measured_again(self, study: Study) -> None:
        class Cancelling(ScriptedRecorder):
            def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
                cancel(study=study, now=NOW)
                return super().records(start_ns=start_ns, stop_ns=stop_ns)

        assert self.measure(study, ten_seconds(Cancelling(silent_ns=2 * SECOND))) is Outcome.FAILED
        assert only_response(study).state == "cancelled"


class TestSilence:
    """A meter that gives nothing any more before the stop."""

    class Silent(ScriptedRecorder):
        def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
            came = super().records(start_ns=start_ns, stop_ns=stop_ns)
            raise SamplesMissing(
                "Samples are missing: the board's port is not open",
                tuple(replace(one, readings=one.readings[:count]) for one in came for count in self.counts),
            )

        counts: tuple[int, ...] = (60,)  # of the readings that came; none: nothing of use did

    def outcomes(self, serve: Serve, recorder: ScriptedRecorder) -> tuple[list[Outcome], Response]:
        study = make_pending_study(serve().base_url, QUESTION)
        Study.objects.update(max_attempts=2)
        lab = ten_seconds(recorder)
        found = [measure_response(response_id=only_response(study).pk, lab=lab) for _ in range(2)]
        return found, only_response(study)

    def test_in_every_attempt_leaves_the_answer_with_its_energy_missing(self, serve: Serve) -> None:
        outcomes, response = self.outcomes(serve, self.Silent())

        assert outcomes == [Outcome.RETRY, Outcome.FINISHED]
        assert (response.text, response.state) == (ANSWER, "finished")
        assert response.measurement is not None
        assert (response.measurement.energy_j, response.measurement.quality) == (None, "missing")
        assert "no reading for" in response.measurement.missing_reason
        assert attempts_of(response) == [(1, "failed", "SamplesMissing"), (2, "finished", "")]

    def test_from_the_beginning_fails_the_response(self, serve: Serve) -> None:
        recorder = self.Silent()
        recorder.counts = ()

        outcomes, response = self.outcomes(serve, recorder)

        assert outcomes == [Outcome.RETRY, Outcome.FAILED]
        assert response.error == "Samples are missing: the board's port is not open"


class TestCooldown:
    COOLED = Cooldown(Ending.COOLED, 12.5, 71.0, 54.0, ("gpu A",))

    def measure_with(self, study: Study, asked_c: list[float]) -> ResponseAttempt:
        def cool_down(limit_c: float, watch: Watch) -> Cooldown:
            asked_c.append(limit_c)
            return self.COOLED

        lab = replace(ten_seconds(), cool_down=cool_down)
        assert measure_response(response_id=only_response(study).pk, lab=lab) is Outcome.FINISHED
        return only_response(study).attempts.get()

    def test_is_waited_for_at_the_studys_limit_and_kept_with_the_attempt(self, serve: Serve) -> None:
        asked_c: list[float] = []

        study = make_pending_study(serve().base_url, QUESTION)
        Study.objects.filter(pk=study.pk).update(cooldown_limit_c=57.5)

        attempt = self.measure_with(study, asked_c)

        assert asked_c == [57.5]
        assert (attempt.cooldown_s, attempt.start_temperature_c) == (12.5, 54.0)
        assert attempt.cooldown_note == "cooled from 71 °C to 54 °C in 12 s; not readable: gpu A"
        assert Measurement.objects.get().time_reserved_s == pytest.approx(10.59)

    def test_is_not_waited_for_with_a_limit_of_0(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        asked_c: list[float] = []

        attempt = self.measure_with(study, asked_c)

        assert asked_c == []
        assert (attempt.cooldown_s, attempt.start_temperature_c, attempt.cooldown_note) == (None, None, "")

    def halted_after(self, act: Callable[[Study], None], study: Study) -> tuple[Outcome, list[float]]:
        """Measure on a machine that never cools; the third second of the wait somebody does something."""
        slept_s: list[float] = []

        def sleep(seconds: float) -> None:
            slept_s.append(seconds)
            attempt = ResponseAttempt.objects.get()
            assert attempt.is_cooling
            assert attempt.cooldown_note == "cooling down from 71 °C to 55 °C, for 300 s at most"
            if len(slept_s) == 3:
                act(study)

        def wait(limit_c: float, watch: Watch) -> Cooldown:
            rule = CooldownRule(limit_c, timeout_s=300)
            return cool_down(
                read=lambda: {"cpu": 71.0}, rule=rule, clock_s=lambda: sum(slept_s), sleep=sleep, watch=watch
            )

        outcome = measure_response(response_id=only_response(study).pk, lab=replace(ten_seconds(), cool_down=wait))
        return outcome, slept_s

    def hot_study(self, serve: Serve) -> Study:
        study = make_pending_study(serve().base_url, QUESTION)
        Study.objects.filter(pk=study.pk).update(cooldown_limit_c=60)
        return study

    def test_ends_within_a_second_of_a_pause_and_leaves_the_response_pending(self, serve: Serve) -> None:
        study = self.hot_study(serve)

        outcome, slept_s = self.halted_after(lambda running: pause(study=running), study)

        response = only_response(study)
        assert (outcome, slept_s) == (Outcome.SKIPPED, [1.0, 1.0, 1.0])
        assert (response.state, response.error, attempts_of(response)) == ("pending", "", [])

    def test_ends_within_a_second_of_a_cancel_and_cancels_the_response(self, serve: Serve) -> None:
        study = self.hot_study(serve)

        outcome, slept_s = self.halted_after(lambda running: cancel(study=running, now=NOW), study)

        response = only_response(study)
        assert (outcome, slept_s) == (Outcome.SKIPPED, [1.0, 1.0, 1.0])
        assert (response.state, attempts_of(response)) == ("cancelled", [])

    def test_of_a_study_that_goes_on_ends_at_its_time(self, serve: Serve) -> None:
        study = self.hot_study(serve)

        outcome, slept_s = self.halted_after(lambda _: None, study)

        attempt = ResponseAttempt.objects.get()
        assert (outcome, sum(slept_s)) == (Outcome.FINISHED, 300)
        assert attempt.cooldown_note == "still at 71 °C after 300 s, went on hot"
        assert not attempt.is_cooling

    def test_of_an_attempt_that_fails_is_told_with_it(self, serve: Serve) -> None:
        study = make_pending_study(serve(Fault(FaultKind.CUT)).base_url, QUESTION)
        Study.objects.filter(pk=study.pk).update(cooldown_limit_c=60)

        def cool_down(limit_c: float, watch: Watch) -> Cooldown:
            watch.on_begin(Cooling(71.0, 55.0, 300.0))
            return self.COOLED

        lab = replace(ten_seconds(), cool_down=cool_down)
        outcome = measure_response(response_id=only_response(study).pk, lab=lab)

        attempt = ResponseAttempt.objects.get()
        assert outcome is Outcome.RETRY
        assert (attempt.outcome, attempt.cooldown_s, attempt.cooldown_note) == ("failed", 12.5, self.COOLED.reason)


class TestFinishedResponse:
    def test_has_the_papers_score_for_the_papers_energy(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)

        outcome = measure_response(response_id=only_response(study).pk, lab=ten_seconds())

        measurement = Measurement.objects.get()
        assert outcome is Outcome.FINISHED
        assert measurement.energy_j == pytest.approx(2329.8)
        assert measurement.time_reserved_s == pytest.approx(10.59)
        assert measurement.sci_gco2e == pytest.approx(0.29736, abs=0.00001)
        assert (measurement.quality, measurement.boundary) == ("measured", "whole machine, by plug (machine)")
        assert (measurement.carbon_intensity_gco2e_per_kwh, measurement.method_version) == (385, METHOD_VERSION)
        assert measurement.carbon_intensity_source == "DE 2022: test"
        assert (measurement.started_monotonic_ns, measurement.finished_monotonic_ns) == (10 * SECOND, 20_590 * MS)
        assert (measurement.purpose, measurement.machine, measurement.started_at) == ("response", study.machine, NOW)

    def test_keeps_the_answer_with_what_the_server_reports(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)

        measure_response(response_id=only_response(study).pk, lab=ten_seconds())

        response = only_response(study)
        assert (response.state, response.text, response.done_reason) == ("finished", ANSWER, "stop")
        assert (response.prompt_token_count, response.output_token_count) == (5, 5)
        assert (response.prompt_eval_duration_ns, response.eval_duration_ns) == (5 * MS, 5 * MS)
        assert response.time_to_first_token_ns is not None
        assert response.finished_at == NOW
        assert attempts_of(response) == [(1, "finished", "")]
        assert response.attempts.get().worker == "bench:1"

    @pytest.mark.parametrize("is_shared", [False, True])
    def test_says_whether_others_used_its_channel(self, serve: Serve, is_shared: bool) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        recorder = ScriptedRecorder(((replace(PLUG, is_shared=is_shared), 220.0),))

        measure_response(response_id=only_response(study).pk, lab=ten_seconds(recorder))

        assert Measurement.objects.get().is_shared is is_shared

    def test_keeps_each_channel_and_its_samples(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        recorder = ScriptedRecorder(((PLUG, 220.0), (CPU, 60.0)))

        measure_response(response_id=only_response(study).pk, lab=ten_seconds(recorder))

        cpu, machine = ChannelReading.objects.order_by("channel")
        assert (machine.is_in_boundary, machine.mean_power_mw, machine.gap_count) == (True, 220_000, 0)
        assert not cpu.is_in_boundary
        assert cpu.energy_j == pytest.approx(60 * 10.59)
        assert Measurement.objects.get().energy_j == pytest.approx(2329.8)
        trace = EnergyTrace.objects.get(channel="machine")
        (record, _) = recorder.records(start_ns=10 * SECOND, stop_ns=20_590 * MS)
        assert unpack(trace.packed()) == list(record.readings)
        assert trace.sample_count == len(record.readings)

    def test_with_a_gap_in_its_samples_has_a_missing_score_not_a_zero(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)

        lab = ten_seconds(ScriptedRecorder(silent_ns=2 * SECOND))
        assert measure_response(response_id=only_response(study).pk, lab=lab) is Outcome.FINISHED

        measurement = Measurement.objects.get()
        assert (measurement.energy_j, measurement.sci_gco2e, measurement.quality) == (None, None, "missing")
        assert measurement.missing_reason.startswith("machine: no reading for 2")
        assert (ChannelReading.objects.get().quality, ChannelReading.objects.get().energy_j) == ("missing", None)
        assert EnergyTrace.objects.exists()

    def test_of_a_meter_that_reads_nothing_has_no_score(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)

        lab = ten_seconds(ScriptedRecorder(((PLUG, 0.0),)))
        assert measure_response(response_id=only_response(study).pk, lab=lab) is Outcome.FINISHED

        measurement = Measurement.objects.get()
        assert (measurement.energy_j, measurement.quality) == (None, "missing")

    def test_without_any_channel_says_that_no_meter_is_attached(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)

        measure_response(response_id=only_response(study).pk, lab=ten_seconds(ScriptedRecorder(())))

        assert Measurement.objects.get().missing_reason == "No meter is attached to the machine."

    @pytest.mark.parametrize("odd", ["391\0", "391\ud83d"], ids=["NUL", "half a surrogate pair"])
    def test_stores_what_a_model_says_also_where_postgres_cannot(self, serve: Serve, odd: str) -> None:
        study = make_pending_study(serve(answer=odd).base_url, QUESTION)

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.FINISHED

        assert only_response(study).text == "391\ufffd"

    def test_loads_the_model_before_the_start_mark(self, serve: Serve) -> None:
        server = serve()
        study = make_pending_study(server.base_url, QUESTION)

        measure_response(response_id=only_response(study).pk, lab=ten_seconds())

        asked = [request.body for request in server.requests if request.path in {"/api/chat", "/api/generate"}]
        assert [bool(body.get("messages") or body.get("prompt")) for body in asked] == [False, True]
        assert only_response(study).load_duration_ns in {None, 0}

    def test_was_asked_for_with_the_parameters_of_the_study(self, serve: Serve) -> None:
        server = serve()
        study = make_pending_study(server.base_url, QUESTION)

        measure_response(response_id=only_response(study).pk, lab=ten_seconds())

        options = server.requests[-1].body["options"]
        assert options == {"seed": 42, "temperature": 0.0, "num_ctx": 2048, "num_predict": 256}

    def test_leaves_no_text_in_the_log(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        study = make_pending_study(serve(Fault(FaultKind.CUT, times=2)).base_url, QUESTION)

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.RETRY
        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.FINISHED

        assert "17 times" not in caplog.text
        assert "391" not in caplog.text


class TestSampledEnergy:
    def test_follows_a_replayed_course(self, serve: Serve, sampler: Callable[..., SamplerRecorder]) -> None:
        """A machine that is too busy to read in time gives a figure of low precision; then another one is measured."""
        steps = [(0.3, 30.0), (0.1, 60.0), (0.15, 40.0)]
        begins_at_ns = time.monotonic_ns()
        recorder = sampler("replay", steps=steps, begins_at_ns=begins_at_ns)
        for _ in range(8):
            study = make_pending_study(serve(answer=slowly).base_url, QUESTION, sampling_period_ms=20)
            outcome = measure_response(response_id=only_response(study).pk, lab=lab_with(recorder))
            assert outcome is Outcome.FINISHED
            measurement = Measurement.objects.latest("pk")
            if not measurement.is_low_precision:
                break

        course = PowerCourse([Step(*step) for step in steps])
        marks = (measurement.started_monotonic_ns, measurement.finished_monotonic_ns)
        begin_j, end_j = (course.energy_j(((mark or 0) - begins_at_ns) / SECOND) for mark in marks)
        assert measurement.quality == "simulated"
        assert measurement.energy_j == pytest.approx(end_j - begin_j, rel=0.02)
        assert not measurement.is_low_precision

    def test_of_the_estimate_lies_between_idle_and_full_load(
        self, serve: Serve, sampler: Callable[..., SamplerRecorder]
    ) -> None:
        study = make_pending_study(serve(answer=slowly).base_url, QUESTION, sampling_period_ms=20)
        recorder = sampler("estimate", tdp_w=65.0, idle_power_w=10.0)

        measure_response(response_id=only_response(study).pk, lab=lab_with(recorder))

        measurement = Measurement.objects.get()
        assert measurement.quality == "estimated"
        assert measurement.energy_j is not None
        assert measurement.time_reserved_s is not None
        assert 10 <= measurement.energy_j / measurement.time_reserved_s <= 65

    def test_is_measured_anew_after_the_sampler_was_killed(
        self, serve: Serve, sampler: Callable[..., SamplerRecorder]
    ) -> None:
        def killing_once(_model: str, _prompt: str) -> ScriptedAnswer:
            if not killed:
                (victim,) = (child for child in psutil.Process().children() if "sampler" in " ".join(child.cmdline()))
                os.kill(victim.pid, signal.SIGKILL)
                killed.append(victim.pid)
            return ScriptedAnswer(ANSWER)

        killed: list[int] = []
        study = make_pending_study(serve(answer=killing_once).base_url, QUESTION, sampling_period_ms=20)
        lab = lab_with(sampler("replay", steps=[(1, 42.0)]))

        assert measure_response(response_id=only_response(study).pk, lab=lab) is Outcome.RETRY
        response = only_response(study)
        assert (response.state, response.measurement) == ("pending", None)
        assert response.error.startswith("Samples are missing: the sampler ended")
        assert "It is started again by itself" in response.error
        assert "dmesg" in response.error

        assert measure_response(response_id=response.pk, lab=lab) is Outcome.FINISHED
        assert attempts_of(response) == [(1, "failed", "RecordingError"), (2, "finished", "")]
        assert only_response(study).error == ""


class TestSkippedResponse:
    @pytest.mark.parametrize("state", ["draft", "paused", "finished", "cancelled"])
    def test_is_one_whose_study_does_not_run(self, state: str) -> None:
        study = make_pending_study("http://127.0.0.1:1", QUESTION)
        Study.objects.update(state=state)

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.SKIPPED
        assert not ResponseAttempt.objects.exists()

    def test_is_one_that_is_finished(self, serve: Serve) -> None:
        server = serve()
        study = make_pending_study(server.base_url, QUESTION)
        measure_response(response_id=only_response(study).pk, lab=ten_seconds())
        asked_count = len(server.requests)

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.SKIPPED
        assert len(server.requests) == asked_count
        assert (Measurement.objects.count(), ResponseAttempt.objects.count()) == (1, 1)

    def test_is_one_that_is_not_there(self) -> None:
        assert measure_response(response_id=1, lab=ten_seconds()) is Outcome.SKIPPED


class TestFailedAttempt:
    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault(FaultKind.STATUS, status=500), "RefusedForNow"),
            (Fault(FaultKind.CUT), "StreamBroken"),
            (Fault(FaultKind.NO_FINAL_LINE), "StreamBroken"),
            (Fault(FaultKind.GARBAGE), "StreamBroken"),
            (Fault(FaultKind.ERROR_LINE, message="out of memory"), "StreamBroken"),
        ],
        ids=["500", "cut", "no last line", "garbage", "error line"],
    )
    def test_that_may_pass_is_repeated_until_the_attempts_are_used_up(
        self, serve: Serve, fault: Fault, kind: str
    ) -> None:
        study = make_pending_study(serve(fault).base_url, QUESTION)
        response_id = only_response(study).pk

        outcomes = [measure_response(response_id=response_id, lab=ten_seconds()) for _ in range(4)]

        response = only_response(study)
        assert outcomes == [Outcome.RETRY, Outcome.RETRY, Outcome.FAILED, Outcome.SKIPPED]
        assert attempts_of(response) == [(number, "failed", kind) for number in (1, 2, 3)]
        assert (response.state, response.text, response.measurement) == ("failed", "", None)
        assert response.error == response.attempts.get(number=3).error != ""
        assert not Measurement.objects.exists()

    def test_on_a_server_that_is_away_names_it(self) -> None:
        study = make_pending_study("http://127.0.0.1:1", QUESTION)

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.RETRY

        assert "server at http://127.0.0.1:1 does not answer" in only_response(study).error

    def test_for_a_missing_model_is_final(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION, models=["absent"])

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.FAILED

        response = only_response(study)
        assert (response.state, attempts_of(response)) == ("failed", [(1, "failed", "ModelMissing")])
        assert "has no model 'absent'" in response.error

    def test_for_a_prompt_beyond_the_context_is_final(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, "word " * 2049)

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.FAILED

        assert attempts_of(only_response(study)) == [(1, "failed", "PromptTooLong")]

    def test_is_kept_when_the_next_one_succeeds(self, serve: Serve) -> None:
        study = make_pending_study(serve(Fault(FaultKind.STATUS, times=2)).base_url, QUESTION)
        response_id = only_response(study).pk

        outcomes = [measure_response(response_id=response_id, lab=ten_seconds()) for _ in range(3)]

        assert outcomes == [Outcome.RETRY, Outcome.RETRY, Outcome.FINISHED]
        assert [outcome for _, outcome, _ in attempts_of(only_response(study))] == ["failed", "failed", "finished"]

    def test_obeys_the_studys_number_of_attempts(self, serve: Serve) -> None:
        study = make_pending_study(serve(Fault(FaultKind.STATUS)).base_url, QUESTION)
        Study.objects.update(max_attempts=1)

        assert measure_response(response_id=only_response(study).pk, lab=ten_seconds()) is Outcome.FAILED

    def test_ends_no_earlier_than_it_began_where_the_clock_was_set_back(self, serve: Serve) -> None:
        study = make_pending_study(serve(Fault(FaultKind.STATUS)).base_url, QUESTION)
        moments = iter([NOW, NOW - timedelta(hours=1)])
        lab = Lab(ScriptedRecorder(), client_of, now=lambda: next(moments))

        assert measure_response(response_id=only_response(study).pk, lab=lab) is Outcome.RETRY
        assert ResponseAttempt.objects.get().ended_at == NOW


class TestLostAttempt:
    def test_of_a_killed_worker_is_closed_and_the_response_measured_anew(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        response = only_response(study)
        ResponseAttempt.objects.create(response=response, number=1, started_at=NOW, worker="killed")
        Response.objects.update(state="running")

        lab = ten_seconds(now=NOW + timedelta(minutes=1))
        assert measure_response(response_id=response.pk, lab=lab) is Outcome.FINISHED

        lost = response.attempts.get(number=1)
        assert attempts_of(response) == [(1, "lost", "WorkerLost"), (2, "finished", "")]
        assert (lost.ended_at, lost.worker) == (NOW + timedelta(minutes=1), "killed")

    def test_is_not_counted_as_a_failure(self, serve: Serve) -> None:
        study = make_pending_study(serve(Fault(FaultKind.STATUS)).base_url, QUESTION)
        response = only_response(study)
        for number in (1, 2, 3):
            ResponseAttempt.objects.create(
                response=response, number=number, started_at=NOW, outcome="lost", ended_at=NOW
            )

        assert measure_response(response_id=response.pk, lab=ten_seconds()) is Outcome.RETRY


class TestLostTooOften:
    def test_fails_a_response_that_takes_its_worker_down_each_time(self) -> None:
        response = make_pending_study("http://127.0.0.1:1", "Hi").responses.get()
        for number in range(1, MAX_LOST_ATTEMPTS + 1):
            ResponseAttempt.objects.create(
                response=response, number=number, started_at=NOW, ended_at=NOW, outcome=ResponseAttempt.Outcome.LOST
            )

        outcome = measure_response(response_id=response.pk, lab=ten_seconds())

        response.refresh_from_db()
        assert outcome is Outcome.SKIPPED
        assert response.state == Response.State.FAILED
        assert "went away 5 times" in response.error
        assert response.attempts.count() == MAX_LOST_ATTEMPTS


class TestMachineLock:
    @pytest.fixture
    def other_worker(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        """Connect to the database a second time, as another worker would."""
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as second:
            yield second

    def test_lets_nobody_else_measure_on_the_machine(
        self, serve: Serve, other_worker: "psycopg.Connection[tuple[object, ...]]"
    ) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        response = only_response(study)
        with machine_lock(study.machine_id or 0):
            held = other_worker.execute("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert held is not None
        other_worker.execute("SELECT pg_advisory_lock(%s, %s)", held)

        assert measure_response(response_id=response.pk, lab=ten_seconds()) is Outcome.BUSY
        assert only_response(study).state == "pending"
        assert not response.attempts.exists()

        other_worker.execute("SELECT pg_advisory_unlock_all()")
        assert measure_response(response_id=response.pk, lab=ten_seconds()) is Outcome.FINISHED

    def test_leaves_the_attempt_of_the_worker_that_measures_alone(
        self, other_worker: "psycopg.Connection[tuple[object, ...]]"
    ) -> None:
        study = make_pending_study("http://127.0.0.1:1", QUESTION)
        response = only_response(study)
        ResponseAttempt.objects.create(response=response, number=1, started_at=NOW)
        with machine_lock(study.machine_id or 0):
            held = other_worker.execute("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert held is not None
        other_worker.execute("SELECT pg_advisory_lock(%s, %s)", held)

        assert measure_response(response_id=response.pk, lab=ten_seconds()) is Outcome.BUSY
        assert attempts_of(response) == [(1, "running", "")]

    def test_waits_for_the_sampler_of_another_installation(
        self, serve: Serve, sampler: Callable[..., SamplerRecorder]
    ) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        response = only_response(study)
        first, name = sampler("replay", steps=[[1, 7]]), f"test-measuring-{os.getpid()}-0"
        first.ensure_running(period_ns=20 * MS)
        second = SamplerRecorder(name=name, meters=[MeterConfiguration("replay", {"steps": [[1, 7]]})])
        real = Lab(second, client_of, now=lambda: datetime.now(UTC))

        for _ in range(4):  # more often than a response may fail
            assert measure_response(response_id=response.pk, lab=real) is Outcome.BUSY

        assert (only_response(study).state, attempts_of(response)) == ("pending", [])
        assert "stop the other one" in only_response(study).error
        first.stop()
        assert measure_response(response_id=response.pk, lab=real) is Outcome.FINISHED
        assert only_response(study).error == ""
        second.stop()

    @pytest.mark.parametrize("fault", [None, Fault(FaultKind.STATUS)], ids=["finished", "failed"])
    def test_is_given_back(
        self, serve: Serve, other_worker: "psycopg.Connection[tuple[object, ...]]", fault: Fault | None
    ) -> None:
        study = make_pending_study(serve(*[fault] if fault else []).base_url, QUESTION)

        measure_response(response_id=only_response(study).pk, lab=ten_seconds())

        found = other_worker.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert found == (0,)


class TestStoring:
    def test_that_fails_leaves_nothing_half_stored(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        twice = ScriptedRecorder(((PLUG, 220.0), (PLUG, 220.0)))  # two channels of one name break a constraint

        with pytest.raises(IntegrityError):
            measure_response(response_id=only_response(study).pk, lab=ten_seconds(twice))

        response = only_response(study)
        assert (response.state, response.text, response.measurement) == ("running", "", None)
        assert attempts_of(response) == [(1, "running", "")]
        assert not Measurement.objects.exists()
        assert not ChannelReading.objects.exists()
        assert not EnergyTrace.objects.exists()


class TestAbandon:
    def test_fails_a_response_with_what_went_wrong(self) -> None:
        study = make_pending_study("http://127.0.0.1:1", QUESTION)
        response = only_response(study)
        Response.objects.update(state="running")
        ResponseAttempt.objects.create(response=response, number=1, started_at=NOW)

        outcome = abandon(response_id=response.pk, error=KeyError("odd\0"), now=NOW)

        assert outcome is Outcome.FAILED
        assert (only_response(study).state, only_response(study).error) == ("failed", r"'odd\x00'")
        assert attempts_of(response) == [(1, "failed", "KeyError")]

    def test_has_a_reason_also_for_an_error_without_words(self) -> None:
        study = make_pending_study("http://127.0.0.1:1", QUESTION)

        abandon(response_id=only_response(study).pk, error=ValueError(), now=NOW)

        assert only_response(study).error == "ValueError"

    def test_leaves_a_finished_response_as_it_is(self, serve: Serve) -> None:
        study = make_pending_study(serve().base_url, QUESTION)
        measure_response(response_id=only_response(study).pk, lab=ten_seconds())

        assert abandon(response_id=only_response(study).pk, error=KeyError("odd"), now=NOW) is Outcome.SKIPPED
        assert (only_response(study).state, only_response(study).error) == ("finished", "")


def slowly(_model: str, _prompt: str) -> ScriptedAnswer:
    return ScriptedAnswer(" ".join(["word"] * 10), seconds_per_token=0.06)
