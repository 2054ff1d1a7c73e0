"""Runs of the control workload among the responses of a study, on a scripted server and a meter of this process."""

from dataclasses import dataclass

import pytest

from benchmarks.accompanying import WARM_UP_PROMPT
from benchmarks.controlling import CONTROL_PROMPT, CONTROL_TOKENS
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedModel, ScriptedOllama
from benchmarks.measuring import Outcome
from benchmarks.models import InferenceServer, Measurement, Study
from benchmarks.recording import ChannelRecord, RecorderBusy, RecordingError
from benchmarks.study_plan import Design, StudyError
from benchmarks.studying import cancel, pause, start
from tests.benchmarks.test_accompanying import BUSY_W, Bench, measure, prompts_of
from tests.factories import NOW, make_pending_study

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@dataclass
class FailingBench(Bench):
    """A bench whose sampler has nothing to give one of the times it is asked."""

    failure: RecordingError | None = None
    fails_at: int = 1
    asked_count: int = 0

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        self.asked_count += 1
        if self.failure is not None and self.asked_count == self.fails_at:
            raise self.failure
        return super().records(start_ns=start_ns, stop_ns=stop_ns)


def five_answers(server: ScriptedOllama, *, every: int = 2, **design: int) -> Study:
    texts = [f"Question {number}?" for number in range(5)]
    return make_pending_study(server.base_url, *texts, models=("small",), design=Design(control_every=every, **design))


def places(study: Study) -> list[tuple[int | None, float | None]]:
    rows = study.own_measurements.select_related("measurement").order_by("pk")
    return [(one.place, one.measurement.energy_j) for one in rows]


RUN = pytest.approx(10 * BUSY_W)


class TestControlRuns:
    def test_come_at_the_start_after_every_few_responses_and_at_the_end(self) -> None:
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            assert measure(study, Bench()) == [Outcome.FINISHED] * 5
            asked = [text for _, text in prompts_of(server)]

        assert places(study) == [(0, RUN), (2, RUN), (4, RUN), (5, RUN)]
        run = [WARM_UP_PROMPT, CONTROL_PROMPT]
        questions = [f"Question {number}?" for number in range(5)]
        assert asked == [*run, *questions[:2], *run, *questions[2:4], *run, questions[4], *run]
        kept = Measurement.objects.filter(study_measurement__study=study)
        assert set(kept.values_list("purpose", "sci_gco2e", "quality")) == {("control", None, "measured")}
        assert set(study.own_measurements.values_list("moment", "text")) == {("during", "I do not know.")}

    def test_ask_the_first_model_the_same_each_time(self) -> None:
        with ScriptedOllama([ScriptedModel("small"), ScriptedModel("large")], answers={}) as server:
            study = make_pending_study(
                server.base_url, "One?", "Two?", models=("small", "large"), design=Design(control_every=1)
            )
            measure(study, Bench())
            bodies = [one.body for one in server.requests if one.path == "/api/chat" and one.body.get("messages")]
        runs = [body for body in bodies if body["messages"][-1]["content"] == CONTROL_PROMPT]
        assert len(runs) == 5
        assert all(body == runs[0] for body in runs)
        assert (runs[0]["model"], runs[0]["options"]["num_predict"]) == ("small", CONTROL_TOKENS)

    def test_are_not_made_again_by_a_study_that_goes_on(self) -> None:
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            measure(study, Bench(), 1)
            pause(study=study)
            assert measure(study, Bench(), 1) == [Outcome.SKIPPED]
            start(study=study, now=NOW)
            measure(study, Bench())
            assert places(study) == [(0, RUN), (2, RUN), (4, RUN), (5, RUN)]

    def test_are_not_made_again_with_a_response_that_is_tried_again(self) -> None:
        bench = FailingBench(failure=RecordingError("The sampler was killed.", is_retryable=True), fails_at=2)
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            assert measure(study, bench, 1) == [Outcome.RETRY]
            assert measure(study, bench, 1) == [Outcome.FINISHED]
            assert places(study) == [(0, RUN)]

    def test_that_were_left_out_are_caught_up_by_the_next_response(self) -> None:
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            measure(study, Bench(), 3)
            study.own_measurements.get(place=2).delete()
            measure(study, Bench(), 1)
            assert [place for place, _ in places(study)] == [0, 2]

    def test_on_a_server_that_breaks_lose_no_response(self) -> None:
        faults = [Fault(FaultKind.ERROR_LINE, times=2)]  # the first one strikes loading
        with ScriptedOllama([ScriptedModel("small")], answers={}, faults=faults) as server:
            study = five_answers(server)
            assert measure(study, Bench(), 1) == [Outcome.FINISHED]
        assert places(study) == [(0, None)]

    @pytest.mark.parametrize("is_retryable", [True, False])
    def test_that_fail_lose_no_response_and_are_kept_as_missing(self, is_retryable: bool) -> None:
        failure = RecordingError("The sampler was killed.", is_retryable=is_retryable)
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            assert measure(study, FailingBench(failure=failure)) == [Outcome.FINISHED] * 5
        assert places(study) == [(0, None), (2, RUN), (4, RUN), (5, RUN)]
        missing = Measurement.objects.get(study_measurement__place=0)
        assert (missing.quality, missing.missing_reason) == ("missing", "The sampler was killed.")
        assert {one.attempts.count() for one in study.responses.all()} == {1}

    def test_wait_with_the_response_while_something_else_measures(self) -> None:
        bench = FailingBench(failure=RecorderBusy("Another installation measures."))
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            assert measure(study, bench, 1) == [Outcome.BUSY]
            assert places(study) == []
            assert measure(study, bench, 1) == [Outcome.FINISHED]
            assert places(study) == [(0, RUN)]

    def test_span_as_many_generations_as_the_answers(self) -> None:
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server, back_to_back=4)
            measure(study, Bench(), 1)
        assert places(study) == [(0, pytest.approx(10 * BUSY_W / 4))]

    def test_end_with_a_cancelled_study(self) -> None:
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            measure(study, Bench(), 1)
            cancel(study=study, now=NOW)
            measure(study, Bench())
            assert places(study) == [(0, RUN)]

    def test_are_none_where_nobody_asks(self) -> None:
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server, every=0)
            measure(study, Bench())
            assert places(study) == []

    def test_of_a_router_are_refused(self) -> None:
        with ScriptedOllama([ScriptedModel("small")], answers={}) as server:
            study = five_answers(server)
            InferenceServer.objects.update(is_router=True)
            with pytest.raises(StudyError, match="A router is no control workload"):
                make_pending_study(server.base_url, "One?", models=("other",), design=Design(control_every=2))
            assert Study.objects.get() == study
