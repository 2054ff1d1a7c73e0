"""The HTTP side of the simulated Ollama server: its routes."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import ClassVar

from benchmarks.inference.demands import TOOLS
from benchmarks.inference.scripted_service import SIMULATED_VERSION, StagedHandler
from benchmarks.inference.scripted_shapes import (
    Json,
    Question,
    answer_lines,
    as_items,
    embedded,
    joined_answer,
    ps_item,
    pull_lines,
    read_options,
    read_question,
    shown,
    tags_item,
)
from benchmarks.inference.scripting import Fault, FaultKind, ScriptedModel

_POST_ROUTES = {"/api/show", "/api/chat", "/api/generate", "/api/embed"}


class ScriptedHandler(StagedHandler):
    """Speaks the Ollama wire."""

    stream_type: ClassVar[str] = "application/x-ndjson"

    def encoded(self, line: object) -> bytes:
        text = line if isinstance(line, str) else json.dumps(line)
        return text.encode() + b"\n"

    def error_body(self, status: int | None, message: str) -> Json:  # noqa: ARG002  # one shape for all
        return {"error": message}

    def answer_get(self) -> None:
        stage = self.server.stage
        if self.path == "/":
            self.send(HTTPStatus.OK, b"Ollama is running", "text/plain; charset=utf-8")
        elif self.path == "/api/version":
            self.send_json({"version": SIMULATED_VERSION})
        elif self.path == "/api/tags":
            self.send_json({"models": [tags_item(model) for model in stage.models.values()]})
        elif self.path == "/api/ps":
            loaded = [model for model in stage.models.values() if model.name in stage.loaded]
            self.send_json({"models": [ps_item(model) for model in loaded]})
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "404 page not found")

    def answer_post(self, body: Json) -> None:
        name = str(body.get("model", ""))
        models = self.server.stage.models
        model = models.get(name) or models.get(f"{name}:latest")
        if self.path == "/api/pull":
            self._pull(name)
        elif self.path not in _POST_ROUTES:
            self.refuse(HTTPStatus.NOT_FOUND, "404 page not found")
        elif model is None:
            self.refuse(HTTPStatus.NOT_FOUND, f"model '{name}' not found")
        else:
            self._play(model, body)

    def _pull(self, name: str) -> None:
        fault = self.server.stage.next_fault(name, {})
        if not self.has_failed(fault):
            self.stream(pull_lines(self.server.stage.fetch(name)), 0.0, fault)

    def _play(self, model: ScriptedModel, body: Json) -> None:
        if self.path == "/api/show":
            self.send_json(shown(model))
        elif self.path == "/api/embed":
            self._embed(model, body)
        elif body.get("tools") and TOOLS not in model.capabilities:
            self.refuse(HTTPStatus.BAD_REQUEST, f'"{model.name}" does not support tools')
        else:
            self._generate(model, read_question(self.path, body), is_unload=body.get("keep_alive") == 0)

    def _embed(self, model: ScriptedModel, body: Json) -> None:
        given = body.get("input")
        texts = [given] if isinstance(given, str) else [str(text) for text in as_items(given)]
        if self.has_failed(self.server.stage.next_fault(model.name, read_options(body))):
            return
        if any(len(text.split()) > model.context_length for text in texts):
            self.refuse(HTTPStatus.BAD_REQUEST, "input length exceeds maximum context length")
            return
        is_load = self.server.stage.note_loaded(model.name, is_loaded=True)
        self.send_json(embedded(model, texts, is_load=is_load))

    def _generate(self, model: ScriptedModel, question: Question, *, is_unload: bool) -> None:
        if question.is_empty and is_unload:
            self.server.stage.note_loaded(model.name, is_loaded=False)
            self.send_json(question.last_line("unload"))
            return
        if "completion" not in model.capabilities:
            task = self.path.removeprefix("/api/")
            self.refuse(HTTPStatus.BAD_REQUEST, f'"{model.name}" does not support {task}')
            return
        fault = self.server.stage.next_fault(model.name, question.options)
        if self.has_failed(fault):
            return
        context = min(question.limit("num_ctx", model.context_length), model.context_length)
        if question.token_count > context and (fault is None or fault.kind is not FaultKind.SILENT_TRUNCATION):
            reason = f"the prompt of {question.token_count} tokens exceeds the context of {context} tokens"
            self.refuse(HTTPStatus.BAD_REQUEST, reason)
            return
        is_load = self.server.stage.note_loaded(model.name, is_loaded=True)
        if question.is_empty:
            self.send_json(question.last_line("load"))
            return
        self._answer(question, fault, prompt_token_count=min(question.token_count, context), is_load=is_load)

    def _answer(self, question: Question, fault: Fault | None, *, prompt_token_count: int, is_load: bool) -> None:
        answer = self.server.stage.script(question.model, question.texts[-1])
        lines: Iterator[Json] = answer_lines(question, answer, prompt_token_count=prompt_token_count, is_load=is_load)
        if question.is_streamed:
            self.stream(lines, answer.seconds_per_token, fault, answer.gate)
        else:
            self.send_json(joined_answer(question, list(lines), answer))
