"""The HTTP side of the simulated OpenAI-compatible servers: their routes and their differences."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlsplit

from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted_openai_shapes import (
    chat_chunks,
    embedded_texts,
    listed,
    properties,
    read_chat,
    studio_listed,
    too_long,
    whole_chat,
)
from benchmarks.inference.scripted_service import SIMULATED_VERSION, StagedHandler
from benchmarks.inference.scripted_shapes import Json, as_items
from benchmarks.inference.scripting import FaultKind, ScriptedModel

_PUBLIC_PATHS = {"/health", "/v1/health"}


@dataclass(frozen=True, slots=True)
class OpenAITraits:
    """Which server is simulated: its flavour, whether it is a llama.cpp router, the key it wants, if any.

    With `chosen` it is a GreenLLM router, whose `auto` always is that model.
    """

    flavour: Flavour
    is_router: bool = False
    api_key: str = ""
    chosen: str = ""

    @property
    def has_one_model(self) -> bool:
        """Say whether it answers with its first model whatever name is asked for."""
        return self.flavour is Flavour.LLAMA_CPP and not self.is_router


class ScriptedOpenAIHandler(StagedHandler):
    """Speaks the OpenAI wire and what its flavour adds; a subclass is made for each server with its traits."""

    traits: ClassVar[OpenAITraits]
    stream_type: ClassVar[str] = "text/event-stream"
    lines_before_fault: ClassVar[int] = 2  # the role comes before the first token

    def version_string(self) -> str:
        """Give the Server header, by which llama.cpp is known even where it lists no model."""
        return "llama.cpp" if self.traits.flavour is Flavour.LLAMA_CPP else "simulated"

    def encoded(self, line: object) -> bytes:
        text = line if isinstance(line, str) else json.dumps(line)
        return f"data: {text}\n\n".encode()

    def error_body(self, status: int | None, message: str) -> Json:
        if self.traits.flavour is Flavour.LM_STUDIO and status is not None:
            return {"error": message}
        return {"error": {"message": message, "type": "simulated", "param": None, "code": status}}

    def answer_get(self) -> None:
        if not self._is_welcome():
            return
        path, flavour, stage = urlsplit(self.path).path, self.traits.flavour, self.server.stage
        models = list(stage.models.values())
        if path in _PUBLIC_PATHS and flavour in {Flavour.LLAMA_CPP, Flavour.VLLM}:
            self.send_json({"status": "ok"})
        elif path == "/v1/models":
            entries = [
                listed(
                    flavour,
                    one,
                    is_router=self.traits.is_router,
                    is_loaded=one.name in stage.loaded,
                    is_greenllm=bool(self.traits.chosen),
                )
                for one in models
            ]
            self.send_json({"object": "list", "data": entries})
        elif path == "/props" and flavour is Flavour.LLAMA_CPP and models:
            self.send_json(properties(models[0]))
        elif path == "/version" and flavour is Flavour.VLLM:
            self.send_json({"version": SIMULATED_VERSION})
        elif path == "/api/v0/models" and flavour is Flavour.LM_STUDIO:
            entries = [studio_listed(one, is_loaded=one.name in stage.loaded) for one in models]
            self.send_json({"object": "list", "data": entries})
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "File Not Found")

    def answer_post(self, body: Json) -> None:
        if not self._is_welcome():
            return
        path = urlsplit(self.path).path
        unload = {Flavour.LLAMA_CPP: "/models/unload", Flavour.LM_STUDIO: "/api/v1/models/unload"}
        if path == unload.get(self.traits.flavour) and not self.traits.has_one_model:
            self._unload(str(body.get("model") or body.get("instance_id")))
        elif path in {"/v1/chat/completions", "/v1/embeddings"}:
            self._play(path, body)
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "File Not Found")

    def _is_welcome(self) -> bool:
        key = self.traits.api_key
        if not key or self.path in _PUBLIC_PATHS or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.refuse(HTTPStatus.UNAUTHORIZED, "Invalid API Key")
        return False

    def _unload(self, name: str) -> None:
        if self.server.stage.note_loaded(name, is_loaded=False):
            self.send_json({"success": True, "instance_id": name})
        else:
            self.refuse(HTTPStatus.NOT_FOUND, f"'{name}' is not loaded")

    def _play(self, path: str, body: Json) -> None:
        name = str(body.get("model", ""))
        models = self.server.stage.models
        model = next(iter(models.values()), None) if self.traits.has_one_model else models.get(name)
        if model is None:
            self.refuse(HTTPStatus.NOT_FOUND, f"The model `{name}` does not exist.")
        elif path == "/v1/embeddings":
            self._embed(model, body)
        else:
            self._chat(model, body)

    def _embed(self, model: ScriptedModel, body: Json) -> None:
        if "embedding" not in model.capabilities:
            is_llama = self.traits.flavour is Flavour.LLAMA_CPP
            status = HTTPStatus.NOT_IMPLEMENTED if is_llama else HTTPStatus.BAD_REQUEST
            self.refuse(status, "This server does not support embeddings")
            return
        if self.has_failed(self.server.stage.next_fault(model.name, body)):
            return
        texts = [str(text) for text in as_items(body.get("input"))]
        self.server.stage.note_loaded(model.name, is_loaded=True)
        wants_base64 = body.get("encoding_format") == "base64" and self.traits.flavour is not Flavour.LM_STUDIO
        self.send_json(embedded_texts(model, texts, as_base64=wants_base64))

    def _chat(self, model: ScriptedModel, body: Json) -> None:
        if "completion" not in model.capabilities:
            message = "the current context does not support logits computation. skipping"
            self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, message)
            return
        fault = self.server.stage.next_fault(model.name, body)
        if self.has_failed(fault):
            return
        question = read_chat(self.traits.flavour, model, body, chosen=self.traits.chosen)
        context = model.context_length
        if question.token_count > context and (fault is None or fault.kind is not FaultKind.SILENT_TRUNCATION):
            self.refuse(HTTPStatus.BAD_REQUEST, too_long(self.traits.flavour, question.token_count, context))
            return
        self.server.stage.note_loaded(model.name, is_loaded=True)
        answer = self.server.stage.script(model.name, question.texts[-1] if question.texts else "")
        read = min(question.token_count, context)
        if question.is_streamed:
            chunks = chat_chunks(question, answer, prompt_token_count=read)
            self.stream(_with_end(chunks), answer.seconds_per_token, fault, answer.gate)
        else:
            self.send_json(whole_chat(question, answer, prompt_token_count=read))


def _with_end(chunks: Iterator[Json]) -> Iterator[object]:
    yield from chunks
    yield "[DONE]"
