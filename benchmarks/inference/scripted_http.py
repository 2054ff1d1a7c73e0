"""The HTTP side of the simulated Ollama server: routes, streams and the ways to fail on the wire."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import ClassVar

from benchmarks.inference.scripted_shapes import (
    Json,
    Question,
    answer_lines,
    as_items,
    embedded,
    joined_answer,
    read_options,
    read_question,
    shown,
    tags_item,
)
from benchmarks.inference.scripting import (
    Fault,
    FaultKind,
    RecordedRequest,
    ScriptedModel,
    Stage,
)

SIMULATED_VERSION = "0.0.0-simulated"
_LEAVE_POLL_S = 0.02

_POST_ROUTES = {"/api/show", "/api/chat", "/api/generate", "/api/embed"}
_FAULTS_IN_STREAM = {
    FaultKind.STALL,
    FaultKind.CUT,
    FaultKind.NO_FINAL_LINE,
    FaultKind.GARBAGE,
    FaultKind.ERROR_LINE,
}


class ScriptedServer(ThreadingHTTPServer):
    """A threading HTTP server that knows its stage and waits for its threads when it closes."""

    daemon_threads = False

    def __init__(self, address: tuple[str, int], stage: Stage) -> None:
        self.stage = stage
        super().__init__(address, ScriptedHandler)


class ScriptedHandler(BaseHTTPRequestHandler):
    """Answers one request by the script and closes the connection."""

    server: ScriptedServer
    protocol_version = "HTTP/1.1"  # chunks, so that a client can tell a cut stream from a finished one
    disable_nagle_algorithm: ClassVar[bool] = True
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parameter's name is inherited
        """Keep silent; the stage holds the record."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        stage = self.server.stage
        stage.record(RecordedRequest(self.path, {}))
        if self.path == "/":
            self._send(HTTPStatus.OK, b"Ollama is running", "text/plain; charset=utf-8")
        elif self.path == "/api/version":
            self._send_json({"version": SIMULATED_VERSION})
        elif self.path == "/api/tags":
            self._send_json({"models": [tags_item(model) for model in stage.models.values()]})
        elif self.path == "/api/ps":
            loaded = [model for model in stage.models.values() if model.name in stage.loaded]
            self._send_json({"models": [tags_item(model) for model in loaded]})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "404 page not found")

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "the body is no JSON")
            return
        self.server.stage.record(RecordedRequest(self.path, body))
        name = str(body.get("model", ""))
        models = self.server.stage.models
        model = models.get(name) or models.get(f"{name}:latest")
        if self.path not in _POST_ROUTES:
            self._refuse(HTTPStatus.NOT_FOUND, "404 page not found")
        elif model is None:
            self._refuse(HTTPStatus.NOT_FOUND, f"model '{name}' not found")
        else:
            try:
                self._play(model, body)
            except (BrokenPipeError, ConnectionResetError):
                self.server.stage.note_cancelled()

    def _play(self, model: ScriptedModel, body: Json) -> None:
        if self.path == "/api/show":
            self._send_json(shown(model))
        elif self.path == "/api/embed":
            self._embed(model, body)
        else:
            self._generate(model, read_question(self.path, body), is_unload=body.get("keep_alive") == 0)

    def _embed(self, model: ScriptedModel, body: Json) -> None:
        given = body.get("input")
        texts = [given] if isinstance(given, str) else [str(text) for text in as_items(given)]
        if self._has_failed(self.server.stage.next_fault(model.name, read_options(body))):
            return
        if any(len(text.split()) > model.context_length for text in texts):
            self._refuse(HTTPStatus.BAD_REQUEST, "input length exceeds maximum context length")
            return
        is_load = self.server.stage.note_loaded(model.name, is_loaded=True)
        self._send_json(embedded(model, texts, is_load=is_load))

    def _generate(self, model: ScriptedModel, question: Question, *, is_unload: bool) -> None:
        if question.is_empty and is_unload:
            self.server.stage.note_loaded(model.name, is_loaded=False)
            self._send_json(question.last_line("unload"))
            return
        if "completion" not in model.capabilities:
            task = self.path.removeprefix("/api/")
            self._refuse(HTTPStatus.BAD_REQUEST, f'"{model.name}" does not support {task}')
            return
        fault = self.server.stage.next_fault(model.name, question.options)
        if self._has_failed(fault):
            return
        context = min(question.limit("num_ctx", model.context_length), model.context_length)
        if question.token_count > context and (fault is None or fault.kind is not FaultKind.SILENT_TRUNCATION):
            reason = f"the prompt of {question.token_count} tokens exceeds the context of {context} tokens"
            self._refuse(HTTPStatus.BAD_REQUEST, reason)
            return
        is_load = self.server.stage.note_loaded(model.name, is_loaded=True)
        if question.is_empty:
            self._send_json(question.last_line("load"))
            return
        self._answer(question, fault, prompt_token_count=min(question.token_count, context), is_load=is_load)

    def _answer(self, question: Question, fault: Fault | None, *, prompt_token_count: int, is_load: bool) -> None:
        answer = self.server.stage.script(question.model, question.texts[-1])
        lines = answer_lines(question, answer, prompt_token_count=prompt_token_count, is_load=is_load)
        if question.is_streamed:
            self._stream(lines, answer.seconds_per_token, fault)
        else:
            self._send_json(joined_answer(question, list(lines), answer))

    def _has_failed(self, fault: Fault | None) -> bool:
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
                self._refuse(fault.status, fault.message)
            case FaultKind.REFUSE_OPTION:
                self._refuse(HTTPStatus.BAD_REQUEST, f"unsupported option: {fault.message}")
            case _:
                return False
        return True

    def _stream(self, lines: Iterator[Json], seconds_per_line: float, fault: Fault | None) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        if fault is not None and fault.kind in _FAULTS_IN_STREAM:
            for line in islice(lines, 1):
                self._send_line(line)
            self._break_stream(fault)
            return
        for line in lines:
            self._send_line(line)
            if not line["done"]:
                self.server.stage.stopped.wait(seconds_per_line)
        self._end_stream()

    def _break_stream(self, fault: Fault) -> None:
        if fault.kind is FaultKind.STALL:
            self._wait_for_client_to_leave()
        elif fault.kind is FaultKind.GARBAGE:
            self._send_chunk(b"<html>this is no JSON\n")
        elif fault.kind is FaultKind.ERROR_LINE:
            self._send_line({"error": fault.message})
        if fault.kind in {FaultKind.GARBAGE, FaultKind.ERROR_LINE, FaultKind.NO_FINAL_LINE}:
            self._end_stream()

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

    def _send_line(self, line: Json) -> None:
        self._send_chunk(json.dumps(line).encode() + b"\n")

    def _send_chunk(self, chunk: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def _end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def _send_json(self, answer: Json) -> None:
        self._send(HTTPStatus.OK, json.dumps(answer).encode(), "application/json; charset=utf-8")

    def _refuse(self, status: int, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._send(status, body, "application/json; charset=utf-8")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
