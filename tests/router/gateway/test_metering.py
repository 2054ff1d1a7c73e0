"""One request at a time is measured, with the machine's meters and its lock."""

import json
import re
import threading
from typing import Any

import httpx
import pytest
from django.db import connections
from django.utils import timezone
from pytest_django.fixtures import Settings

import router.metering
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer
from benchmarks.locking import machine_lock
from benchmarks.models import Machine, Measurement, Study
from benchmarks.recording import recorder_for
from greenllm.demo_reply import live_reply
from router.models import GatewayRequest, KeyHour, UpstreamAttempt
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.browsing import served
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.test_wire_chunks import events_of
from tests.scraping import Counted

pytestmark = [COMMITTED, pytest.mark.slow]

PLEASE = {"X-GreenLLM-Measure": "yes"}
POWER_W = 40.0


@pytest.fixture
def machine(settings: Settings) -> Machine:
    settings.MEASURE_EVERY, settings.MACHINE_NAME = 1, "test"
    # read rarely, so that a busy machine may be late by 0.3 s before an energy is missing
    meter = {"kind": "replay", "options": {"steps": [[3600, POWER_W]]}, "period_ms": 100}
    return make.make_machine("test", meters=[meter])


def slowly(_model: str, _prompt: str) -> ScriptedAnswer:
    return ScriptedAnswer("It is five.", seconds_per_token=0.1)


@pytest.fixture
def endpoint(machine: Machine, open_endpoint: OpenEndpoint) -> Endpoint:
    return opened(open_endpoint)


def opened(open_endpoint: OpenEndpoint, *faults: Fault) -> Endpoint:
    """Open the endpoint; what its federation was measured by has ended."""
    endpoint = open_endpoint(*faults, answers=slowly)
    Study.objects.update(state=Study.State.FINISHED)
    return endpoint


def ask(address: str, endpoint: Endpoint, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": LIKE_MATH}], **fields}
    key = {"Authorization": f"Bearer {endpoint.secret}"}
    return httpx.post(address + CHAT, json=body, headers={**key, **(headers or {})}, timeout=20)


def looked_up(address: str, endpoint: Endpoint, public_id: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    found = httpx.get(f"{address}/v1/greenllm/requests/{public_id}", headers=headers, timeout=20).json()
    assert isinstance(found, dict)
    return found


class TestACallerWhoAsks:
    def test_is_told_by_headers_and_body_and_afterwards(self, endpoint: Endpoint, address: str) -> None:
        response = ask(address, endpoint, PLEASE)
        told, measurement = response.json(), Measurement.objects.get(purpose="gateway_request")
        assert float(response.headers["X-GreenLLM-Measured-GCO2e"]) == pytest.approx(measurement.sci_gco2e, rel=1e-5)
        assert response.headers["X-GreenLLM-Measured-Quality"] == "simulated"
        own = told["greenllm"]
        assert (own["sci_gco2e"], own["quality"]) == (measurement.sci_gco2e, "simulated")
        predicted = float(response.headers["X-GreenLLM-Predicted-GCO2e"])
        assert own["predicted_sci_gco2e"] == pytest.approx(predicted, rel=1e-5)
        assert "by replay" in own["method"]
        assert told["usage"]["gco2e"] == measurement.sci_gco2e
        assert looked_up(address, endpoint, own["request_id"])["greenllm"] == own

    def test_is_told_the_energy_of_the_time_that_it_answered(self, endpoint: Endpoint, address: str) -> None:
        ask(address, endpoint, PLEASE)
        measurement, attempt = Measurement.objects.get(purpose="gateway_request"), UpstreamAttempt.objects.get()
        assert attempt.measurement == measurement
        assert measurement.time_reserved_s is not None
        assert measurement.energy_j == pytest.approx(POWER_W * measurement.time_reserved_s, rel=0.05)
        assert attempt.finished_at is not None
        assert measurement.time_reserved_s <= (attempt.finished_at - attempt.started_at).total_seconds()

    def test_is_counted_beside_what_was_predicted(self, endpoint: Endpoint, address: str) -> None:
        counted = Counted(lambda: httpx.get(f"{address}/metrics").text)
        ask(address, endpoint, PLEASE)
        measurement = Measurement.objects.get(purpose="gateway_request")
        assert counted("greenllm_measured_gco2e_count", model="small", quality="simulated") == 1
        assert counted("greenllm_measured_gco2e_sum") == pytest.approx(measurement.sci_gco2e)
        assert counted("greenllm_predicted_gco2e_count", model="small") == 1

    def test_is_told_in_the_last_chunk_of_a_stream(self, endpoint: Endpoint, address: str) -> None:
        response = ask(address, endpoint, PLEASE, stream=True, stream_options={"include_usage": True})
        *_, last, done = events_of(response.content)
        measurement = Measurement.objects.get(purpose="gateway_request")
        assert (done, last["greenllm"]["sci_gco2e"]) == ("[DONE]", measurement.sci_gco2e)
        assert last["usage"]["gco2e"] == measurement.sci_gco2e
        deltas = [event["choices"][0]["delta"].get("content", "") for event in events_of(response.content)[:-2]]
        assert "".join(deltas) == "It is five."

    def test_is_answered_unmeasured_while_something_else_measures(
        self, machine: Machine, endpoint: Endpoint, address: str
    ) -> None:
        with machine_lock(machine.pk):
            response = ask(address, endpoint, PLEASE)
        assert (response.status_code, "X-GreenLLM-Measured-GCO2e" in response.headers) == (200, False)
        assert not Measurement.objects.filter(purpose="gateway_request").exists()

    def test_is_answered_unmeasured_while_a_study_runs(
        self, machine: Machine, endpoint: Endpoint, address: str
    ) -> None:
        make.make_study(machine=machine, state="running")
        assert "X-GreenLLM-Measured-GCO2e" not in ask(address, endpoint, PLEASE).headers

    def test_is_answered_unmeasured_where_none_is(self, settings: Settings, endpoint: Endpoint) -> None:
        settings.MEASURE_EVERY = 0
        with served() as address:
            response = ask(address, endpoint, PLEASE)
        connections.close_all()
        assert (response.status_code, "X-GreenLLM-Measured-GCO2e" in response.headers) == (200, False)

    def test_must_say_yes_or_no(self, endpoint: Endpoint, address: str) -> None:
        response = ask(address, endpoint, {"X-GreenLLM-Measure": "perhaps"})
        assert (response.status_code, response.json()["error"]["param"]) == (400, "X-GreenLLM-Measure")

    def test_asks_the_sampler_of_the_worker_where_one_runs(
        self, machine: Machine, endpoint: Endpoint, address: str
    ) -> None:
        of_worker = recorder_for(machine)
        of_worker.ensure_running(period_ns=50_000_000)
        try:
            assert ask(address, endpoint, PLEASE).headers["X-GreenLLM-Measured-Quality"] == "simulated"
            of_worker.ensure_running(period_ns=50_000_000)
            assert ask(address, endpoint, PLEASE).headers["X-GreenLLM-Measured-Quality"] == "simulated"
        finally:
            of_worker.stop()


class TestACallerWhoLeaves:
    def test_while_the_figure_is_made_loses_no_row(
        self, endpoint: Endpoint, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        is_made, is_wanted = threading.Event(), threading.Event()

        def late(**known: Any) -> Measurement:
            is_wanted.set()
            is_made.wait(20)
            return router.metering.measured(**known)

        monkeypatch.setattr("router.gateway.metering.measured", late)
        monkeypatch.setattr("router.gateway.measured.PATIENCE_S", 1.0)
        body = {"model": "auto", "messages": [{"role": "user", "content": LIKE_MATH}], "stream": True}
        headers = {"Authorization": f"Bearer {endpoint.secret}", **PLEASE}
        with httpx.stream("POST", address + CHAT, json=body, headers=headers, timeout=20) as response:
            lines = response.iter_lines()  # as long as it is held the client stays
            assert any("five" in line for line in lines)
            assert is_wanted.wait(20)
        assert eventually(GatewayRequest.objects.filter(state="answered").exists, within_s=10.0)
        is_made.set()
        assert eventually(UpstreamAttempt.objects.filter(measurement__isnull=False).exists, within_s=10.0)


class TestAnyRequest:
    def test_is_measured_when_its_turn_comes_and_told_afterwards(self, endpoint: Endpoint, address: str) -> None:
        endpoint.key.budget_gco2e_per_hour = 1000.0
        endpoint.key.save()
        counted = Counted(lambda: httpx.get(f"{address}/metrics").text)
        ask(address, endpoint)
        unmeasured_gco2e = KeyHour.objects.get().spent_gco2e
        measured = Measurement.objects.filter(purpose="gateway_request")
        assert not measured.exists()  # the meters are made ready now

        def comes_to_be_measured() -> bool:
            if not measured.exists():
                ids.append(ask(address, endpoint).headers["X-GreenLLM-Request-Id"])
            return measured.exists()

        ids: list[str] = []
        assert eventually(comes_to_be_measured, within_s=10.0)
        linked = UpstreamAttempt.objects.filter(measurement__purpose="gateway_request").order_by("pk")
        assert eventually(linked.exists)  # the figure comes after the answer, maybe after the next one
        attempt = linked.select_related("request", "measurement")[0]
        assert attempt.request.public_id in ids
        told = looked_up(address, endpoint, attempt.request.public_id)["greenllm"]
        assert attempt.measurement is not None
        assert told["sci_gco2e"] == attempt.measurement.sci_gco2e
        assert eventually(lambda: counted("greenllm_measured_gco2e_count", quality="simulated") == linked.count())

        def is_settled() -> bool:
            costs = [one.measurement.sci_gco2e for one in linked.all() if one.measurement and one.measurement.sci_gco2e]
            expected = sum(costs) + (UpstreamAttempt.objects.count() - len(costs)) * unmeasured_gco2e
            return KeyHour.objects.get().spent_gco2e == pytest.approx(expected)

        assert eventually(is_settled)  # the late figures too

    def test_is_dropped_where_its_answer_is_not_whole(self, machine: Machine, open_endpoint: OpenEndpoint) -> None:
        endpoint = opened(open_endpoint, Fault(FaultKind.CUT, model="small", times=1))
        with served() as address:
            assert ask(address, endpoint, PLEASE).status_code == 502
            assert not Measurement.objects.filter(purpose="gateway_request").exists()
            with machine_lock(machine.pk):
                pass  # it was given back
            assert "X-GreenLLM-Measured-GCO2e" in ask(address, endpoint, PLEASE).headers
        connections.close_all()

    def test_is_dropped_where_another_was_answered_meanwhile(self, endpoint: Endpoint, address: str) -> None:
        other = make.make_gateway_request(started_at=timezone.now())  # of another process
        UpstreamAttempt.objects.create(request=other, deployment=endpoint.federation.large, started_at=timezone.now())
        response = ask(address, endpoint, PLEASE)
        assert "X-GreenLLM-Measured-GCO2e" not in response.headers
        assert json.loads(response.content)["greenllm"]["sci_gco2e"] is None


class TestTheDemo:
    def test_shows_what_a_live_reply_was_predicted_and_measured_to_cost(self, endpoint: Endpoint, address: str) -> None:
        told = live_reply(address=address, key=endpoint.secret)
        assert re.search(
            r"small answered; predicted [\d.]+ mgCO2e \(estimated\), then [\d.]+ mgCO2e \(simulated\)", told
        )
        assert looked_up(address, endpoint, told.split("/")[-1].split()[0])["state"] == "answered"

    def test_says_why_it_has_none(self, machine: Machine, endpoint: Endpoint, address: str) -> None:
        with machine_lock(machine.pk):
            assert "not measured, because the machine" in live_reply(address=address, key=endpoint.secret)
        assert "did not answer a live request" in live_reply(address=address, key="wrong")
