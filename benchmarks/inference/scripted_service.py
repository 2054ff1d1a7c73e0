"""What the simulated servers have in common: their life, their record, and the ways to fail on the wire."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from types import TracebackType
from typing import ClassVar, Self

from benchmarks.inference.scripted_shapes import Json
from benchmarks.inference.scripting import (
    AnswerScript,
    Fault,
    FaultKind,
    RecordedRequest,
    ScriptedModel,
    Stage,
    answers_by_prompt,
)

SIMULATED_VERSION = "0.0.0-simulated"

_LEAVE_POLL_S = 0.02
_FAULTS_IN_STREAM = {
    FaultKind.STALL,
    FaultKind.CUT,
    FaultKind.NO_FINAL_LINE,
    FaultKind.GARBAGE,
    FaultKind.ERROR_LINE,
}


class StagedServer(ThreadingHTTPServer):
    """A threading HTTP server that knows its stage and waits for its threads when it closes."""

    request_queue_size = 128  # with the usual 5 a burst of connections is reset

    daemon_threads = False

    def __init__(self, address: tuple[str, int], handler: "type[StagedHandler]", stage: Stage) -> None:
        self.stage = stage
        super().__init__(address, handler)


class StagedHandler(BaseHTTPRequestHandler, ABC):
    """Answers one request by the script and closes the connection; a subclass knows the wire."""

    server: StagedServer
    protocol_version = "HTTP/1.1"  # chunks, so that a client can tell a cut stream from a finished one
    disable_nagle_algorithm: ClassVar[bool] = True
    timeout = 10

    stream_type: ClassVar[str]
    lines_before_fault: ClassVar[int] = 1

    @abstractmethod
    def answer_get(self) -> None:
        """Answer a question without a body."""

    @abstractmethod
    def answer_post(self, body: Json) -> None:
        """Answer a request by its body."""

    @abstractmethod
    def encoded(self, line: object) -> bytes:
        """Write one line of a stream."""

    @abstractmethod
    def error_body(self, status: int | None, message: str) -> Json:
        """Make the body of a refusal, and of an error inside a stream where the status is None."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parameter's name is inherited
        """Keep silent; the stage holds the record."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.stage.record(self._recorded({}))
        self.answer_get()

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self.refuse(HTTPStatus.BAD_REQUEST, "the body is no JSON")
            return
        self.server.stage.record(self._recorded(body))
        try:
            self.answer_post(body)
        except (BrokenPipeError, ConnectionResetError):
            self.server.stage.note_cancelled()

    def has_failed(self, fault: Fault | None) -> bool:
        """Play a fault that comes before any answer; say whether there is no answer after it."""
        if fault is None:
            return False
        match fault.kind:
            case FaultKind.DELAY:
                self.server.stage.stopped.wait(fault.seconds)
                return False
            case FaultKind.HANG:
                self._wait_for_client_to_leave()
            case FaultKind.STATUS:
                self.refuse(fault.status, fault.message)
            case FaultKind.REFUSE_OPTION:
                self.refuse(HTTPStatus.BAD_REQUEST, f"unsupported option: {fault.message}")
            case _:
                return False
        return True

    def stream(
        self,
        lines: Iterator[object],
        seconds_per_line: float,
        fault: Fault | None,
        gate: threading.Event | None = None,
    ) -> None:
        """Send lines with a pause between two of them, and break off where the fault says so."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.stream_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        if fault is not None and fault.kind in _FAULTS_IN_STREAM:
            for line in islice(lines, self.lines_before_fault):
                self._send_chunk(self.encoded(line))
            self._break_stream(fault)
            return
        for number, line in enumerate(lines):
            if number == self.lines_before_fault and gate is not None:
                self._wait_at(gate)
            if number and seconds_per_line:
                self.server.stage.stopped.wait(seconds_per_line)
            self._send_chunk(self.encoded(line))
        self._end_stream()

    def send_json(self, answer: Json) -> None:
        """Send a whole answer."""
        self.send(HTTPStatus.OK, json.dumps(answer).encode(), "application/json; charset=utf-8")

    def refuse(self, status: int, message: str) -> None:
        """Send a refusal."""
        body = json.dumps(self.error_body(status, message)).encode()
        self.send(status, body, "application/json; charset=utf-8")

    def send(self, status: int, body: bytes, content_type: str) -> None:
        """Send a body with its headers, and no body to a HEAD request."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _recorded(self, body: Json) -> RecordedRequest:
        return RecordedRequest(self.path, body, frozenset(name.lower() for name in self.headers))

    def _break_stream(self, fault: Fault) -> None:
        if fault.kind is FaultKind.STALL:
            self._wait_for_client_to_leave()
        elif fault.kind is FaultKind.GARBAGE:
            self._send_chunk(self.encoded("<html>this is no JSON"))
        elif fault.kind is FaultKind.ERROR_LINE:
            self._send_chunk(self.encoded(self.error_body(None, fault.message)))
        if fault.kind in {FaultKind.GARBAGE, FaultKind.ERROR_LINE, FaultKind.NO_FINAL_LINE}:
            self._end_stream()

    def _wait_at(self, gate: threading.Event) -> None:
        while not gate.wait(_LEAVE_POLL_S) and not self.server.stage.stopped.is_set():
            continue

    def _wait_for_client_to_leave(self) -> None:
        self.connection.settimeout(_LEAVE_POLL_S)
        while not self.server.stage.stopped.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.server.stage.note_cancelled()

    def _send_chunk(self, chunk: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def _end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")


class ScriptedService:
    """A simulated server on a port of the loopback interface, from `with` to the end of its block."""

    def __init__(self, handler: type[StagedHandler], stage: Stage, *, port: int) -> None:
        self._stage = stage
        self._server = StagedServer(("127.0.0.1", port), handler, stage)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name=type(self).__name__
        )

    @property
    def base_url(self) -> str:
        """Give the address of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Give what the server was asked so far, in order."""
        return self._stage.requests

    @property
    def loaded(self) -> frozenset[str]:
        """Give the names of the models that are in its simulated memory."""
        return self._stage.loaded

    @property
    def cancelled_count(self) -> int:
        """Give how many answers a client left before their end."""
        return self._stage.cancelled_count

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stage.stopped.set()  # ends the faults that wait
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def stage_of(
    models: Sequence[ScriptedModel],
    answers: AnswerScript | Mapping[str, str],
    faults: Sequence[Fault],
    library: Sequence[ScriptedModel] = (),
) -> Stage:
    """Make a stage; answers are a script, or a mapping from the latest message to the answer."""
    script = answers_by_prompt(answers) if isinstance(answers, Mapping) else answers
    return Stage(models, script, faults, library)
