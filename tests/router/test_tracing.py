"""Requests as OpenTelemetry's spans: what they hold, and that a collector gets them where a setting names it."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment
from router.models import GatewayRequest
from router.tracing import Tracer
from tests import factories as make
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.gateway.process import own_process
from tests.router.standins import EMBEDDER_NAME

pytestmark = pytest.mark.slow
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACE_PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture
def spans(tell_also: Callable[..., None]) -> Iterator[Callable[[], list[ReadableSpan]]]:
    """Trace every request of this process; give what returns the spans, the earliest first."""
    exporter = InMemorySpanExporter()
    tracer = Tracer(exporter, service_name="test")
    tell_also(tracer.tell)

    def finished() -> list[ReadableSpan]:
        tracer.close()
        return sorted(exporter.get_finished_spans(), key=lambda one: (one.start_time or 0, -(one.end_time or 0)))

    yield finished
    tracer.close()


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@COMMITTED
class TestSpans:
    def test_are_the_request_its_decision_and_its_attempt(
        self, endpoint: Endpoint, spans: Callable[[], list[ReadableSpan]]
    ) -> None:
        told = json.loads(endpoint.chat().content)
        found = {span.name: span for span in spans()}
        assert list(found) == ["chat auto", "decide", "chat small"]
        request, decision, attempt = found.values()
        assert request.parent is None
        for part in (decision, attempt):
            assert part.parent is not None
            assert part.parent.span_id == request.context.span_id
            assert request.start_time <= part.start_time <= part.end_time <= request.end_time  # type: ignore[operator]
        assert [one.kind.name for one in (request, decision, attempt)] == ["SERVER", "INTERNAL", "CLIENT"]
        assert facts(request)["gen_ai.response.id"] == told["greenllm"]["request_id"]
        assert all(one.status.is_ok for one in found.values())

    def test_have_the_attributes_of_the_conventions(
        self, endpoint: Endpoint, spans: Callable[[], list[ReadableSpan]]
    ) -> None:
        told = json.loads(endpoint.chat().content)
        request, decision, attempt = (facts(span) for span in spans())
        usage, own = told["usage"], told["greenllm"]
        for one in (request, attempt):
            assert one["gen_ai.operation.name"] == "chat"
            assert one["gen_ai.response.model"] == "small"
            assert one["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
            assert one["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
        assert (request["gen_ai.request.model"], attempt["gen_ai.request.model"]) == ("auto", "small")
        assert (request["gen_ai.provider.name"], attempt["gen_ai.provider.name"]) == ("greenllm", "ollama")
        assert attempt["gen_ai.response.finish_reasons"] == ("stop",)
        assert attempt["gen_ai.response.time_to_first_chunk"] > 0
        assert f"http://{attempt['server.address']}:{attempt['server.port']}" == endpoint.server.base_url
        assert request["greenllm.predicted_gco2e"] == pytest.approx(own["predicted_sci_gco2e"])
        assert request["greenllm.saved_gco2e"] == pytest.approx(own["saved_gco2e"])
        assert request["greenllm.key"] == f"test ({endpoint.key.prefix})"
        assert (decision["greenllm.policy"], decision["greenllm.category"]) == (own["policy"], "math")
        assert decision["greenllm.search_ms"] >= 0

    def test_hold_no_text_and_no_secret(self, endpoint: Endpoint, spans: Callable[[], list[ReadableSpan]]) -> None:
        endpoint.chat()
        written = " ".join(span.to_json() for span in spans())
        assert LIKE_MATH not in written
        assert "Five." not in written
        assert endpoint.secret not in written

    def test_are_part_of_the_callers_trace(self, endpoint: Endpoint, spans: Callable[[], list[ReadableSpan]]) -> None:
        body = {"model": "auto", "messages": [{"role": "user", "content": LIKE_MATH}]}
        endpoint.send("POST", CHAT, raw=json.dumps(body).encode(), headers={"traceparent": TRACE_PARENT})
        endpoint.send("POST", CHAT, raw=json.dumps(body).encode(), headers={"traceparent": "nonsense"})
        *ours, other, _, _ = spans()
        assert {f"{span.context.trace_id:032x}" for span in ours} == {TRACE_ID}
        assert ours[0].parent is not None
        assert f"{ours[0].parent.span_id:016x}" == TRACE_PARENT.split("-")[2]
        assert other.parent is None

    def test_are_one_for_each_attempt_where_one_failed(
        self, open_endpoint: OpenEndpoint, spans: Callable[[], list[ReadableSpan]]
    ) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        with ScriptedOllama((ScriptedModel("large"),), answers={LIKE_MATH: "Five."}) as second:
            other = make.make_server(base_url=second.base_url)
            Deployment.objects.filter(language_model__name="large").update(server=other)
            assert endpoint.chat().status_code == 200
        request, _, failed, finished = spans()
        assert (failed.name, failed.status.status_code.name) == ("chat small", "ERROR")
        assert facts(failed)["error.type"] == "RefusedForNow"
        assert (finished.name, finished.status.is_ok, request.status.is_ok) == ("chat large", True, True)
        assert "error.type" not in facts(finished)

    def test_of_an_embedding_are_the_request_and_its_attempt(
        self, endpoint: Endpoint, spans: Callable[[], list[ReadableSpan]]
    ) -> None:
        raw = json.dumps({"model": EMBEDDER_NAME, "input": "a text"}).encode()
        assert endpoint.send("POST", "/v1/embeddings", raw=raw).status_code == 200
        request, attempt = spans()
        assert (request.name, attempt.name) == (f"embeddings {EMBEDDER_NAME}",) * 2
        assert facts(request)["gen_ai.operation.name"] == facts(attempt)["gen_ai.operation.name"] == "embeddings"
        assert facts(attempt)["gen_ai.usage.input_tokens"] > 0

    def test_of_a_request_that_failed_tell_why(
        self, endpoint: Endpoint, spans: Callable[[], list[ReadableSpan]]
    ) -> None:
        endpoint.chat(model="nobody")
        [request] = spans()
        assert (request.name, request.status.status_code.name) == ("chat", "ERROR")
        assert facts(request)["error.type"] == "UnknownModel"
        assert "gen_ai.response.model" not in facts(request)


class Collector(ThreadingHTTPServer):
    """A collector of OTLP over HTTP; it keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.sent: list[tuple[str, ExportTraceServiceRequest]] = []


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.sent.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join(10)


@COMMITTED
class TestSetting:
    def test_names_the_collector_which_gets_them_by_the_end_of_the_process(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with collecting() as collector:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
            with own_process() as server:
                body = {"model": "small", "messages": [{"role": "user", "content": LIKE_MATH}]}
                headers = {"Authorization": f"Bearer {endpoint.secret}"}
                assert httpx.post(server.address + CHAT, json=body, headers=headers, timeout=20).status_code == 200
                server.process.terminate()
                server.process.wait(20)
        assert {path for path, _ in collector.sent} == {"/v1/traces"}
        resources = [one for _, sent in collector.sent for one in sent.resource_spans]
        names = [span.name for one in resources for scope in one.scope_spans for span in scope.spans]
        assert sorted(names) == ["chat small", "chat small", "decide"]
        services = [one.value.string_value for one in resources[0].resource.attributes if one.key == "service.name"]
        assert services == ["greenllm"]
        assert GatewayRequest.objects.get().state == "answered"


class TestOff:
    def test_imports_nothing_of_it(self) -> None:
        code = (
            "import sys, greenllm.asgi; "
            "off = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'router.tracing'); "
            "print([name for name in sys.modules if name.startswith(off)])"
        )
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=True
        )
        assert ran.stdout.strip() == "[]"
