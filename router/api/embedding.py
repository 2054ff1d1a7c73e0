"""Embeddings on both wires."""

from dataclasses import dataclass

from django.db import connection
from django.http import HttpRequest, HttpResponse

from benchmarks.inference.base import Embeddings
from router import wiring
from router.answering import Caller
from router.api.admission import Admitted, admitted
from router.api.endpoint import endpoint, naming, whole_response
from router.contract import one_line
from router.embedding_requests import Embedded, embed_texts, find_embedding_model
from router.terms import Scope
from router.wires.embeddings import embeddings_answer, parse_embeddings_request
from router.wires.ollama import OLLAMA_ERRORS, embedded, embedded_once
from router.wires.ollama_requests import EmbedRequest, parse_embed, parse_embeddings
from router.wires.openai import OPENAI_ERRORS


@endpoint("POST")
def embeddings(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Answer `/v1/embeddings`."""
    asked = parse_embeddings_request(request.body)
    found = _embedded(caller, EmbedRequest(asked.model, asked.texts))
    body = embeddings_answer(
        model=found.model,
        vectors=found.embeddings.vectors,
        prompt_token_count=found.embeddings.prompt_token_count,
        is_base64=asked.is_base64,
    )
    return _with_headers(whole_response(body, OPENAI_ERRORS), found)


@endpoint("POST", shape=OLLAMA_ERRORS)
def embed(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Answer `/api/embed`; without a text there is nothing but the name of the model."""
    asked = parse_embed(request.body)
    if not asked.texts:
        return whole_response(embedded(_model_name(asked.model), None), OLLAMA_ERRORS)
    found = _embedded(caller, asked)
    body = embedded(found.model, found.embeddings)
    return _with_headers(whole_response(body, OLLAMA_ERRORS), found)


@endpoint("POST", shape=OLLAMA_ERRORS)
def embed_one(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Answer the older `/api/embeddings`."""
    asked = parse_embeddings(request.body)
    if not asked.texts:
        _model_name(asked.model)
        return whole_response(embedded_once(None), OLLAMA_ERRORS)
    found = _embedded(caller, asked)
    return _with_headers(whole_response(embedded_once(found.embeddings), OLLAMA_ERRORS), found)


@dataclass(frozen=True)
class _Answered:
    """What was embedded for a caller, and how the limits of its key stand."""

    found: Embedded
    admitted: Admitted

    @property
    def embeddings(self) -> Embeddings:
        return self.found.embeddings

    @property
    def model(self) -> str:
        return self.found.deployment.language_model.name


def _embedded(caller: Caller, asked: EmbedRequest) -> _Answered:
    characters = sum(map(len, asked.texts))
    with (
        admitted(caller, Scope.EMBED, model=asked.model, characters=characters) as entry,
        naming(asked.model, prompt_field="input"),
    ):
        found = embed_texts(
            gateway=wiring.gateway(release=connection.close),
            find_own=wiring.own_embedder,
            caller=caller,
            requested_model=asked.model,
            texts=asked.texts,
            is_cut=asked.is_cut,
        )
        entry.used_tokens = found.embeddings.prompt_token_count
        return _Answered(found, entry)


def _model_name(requested_model: str) -> str:
    with naming(requested_model, prompt_field="input"):
        found = find_embedding_model(requested_model=requested_model, find_own=wiring.own_embedder)
    return found.language_model.name


def _with_headers(response: HttpResponse, answered: _Answered) -> HttpResponse:
    public_id = answered.found.request.public_id
    headers = {
        "x-request-id": public_id,
        "X-GreenLLM-Request-Id": public_id,
        "X-GreenLLM-Model": answered.model,
        "X-GreenLLM-Route": "pinned",
    }
    for name, value in headers.items():
        response.headers[name] = one_line(value)
    return answered.admitted.tell(response)
