"""The OpenAPI 3.1 document of the endpoint: every address that clients use, what it reads and how it answers. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from router.wires import document_schemas as schemas

Json = Mapping[str, Any]

_JSON = "application/json"
_STREAMS = {"openai": "text/event-stream", "ollama": "application/x-ndjson"}
_WHY = {
    400: "A field is wrong or not supported; the message names it.",
    401: "No API key, an unknown or a revoked one.",
    403: "Not with this key, or not for clients: models are added and retired by an admin.",
    404: "No such model, request or key.",
    413: "The body is too large.",
    429: "Too many requests to the model's server; see `Retry-After`.",
    502: "The inference server is away, timed out or broke off.",
    503: "No model can be chosen, or its server is left alone for a moment.",
}
_READING = (401, 403, 429)
_ASKING = (400, 401, 403, 404, 413, 429, 502, 503)


def openapi_document() -> dict[str, Any]:
    """Return the document; its version is that of the addresses."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GreenLLM",
            "version": "1",
            "summary": "An endpoint for OpenAI's and Ollama's clients that goes by the carbon of an answer.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": {**_openai_paths(), **_own_paths(), **_ollama_paths(), **_health_paths(), **_metrics_paths()},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas.SCHEMAS,
        },
    }


def _openai_paths() -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "/v1/chat/completions": {"post": _posted("openai", "ChatRequest", "ChatCompletion", is_streaming=True)},
        "/v1/completions": {"post": _posted("openai", "CompletionRequest", "Completion", is_streaming=True)},
        "/v1/embeddings": {"post": _posted("openai", "EmbeddingsRequest", "Embeddings")},
        "/v1/models": {"get": _got("openai", "ModelList")},
        "/v1/models/{name}": {"parameters": [name], "get": _got("openai", "Model", (*_READING, 404))},
    }


def _own_paths() -> dict[str, Any]:
    public_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "/v1/greenllm/route": {"post": _posted("openai", "RouteRequest", "Route")},
        "/v1/greenllm/requests/{id}": {
            "parameters": [public_id],
            "get": _got("openai", "PastRequest", (*_READING, 404)),
        },
        "/v1/greenllm/key": {"get": _got("openai", "Key", (*_READING, 404))},
    }


def _ollama_paths() -> dict[str, Any]:
    asking = {
        "chat": ("OllamaChatRequest", "OllamaAnswer", True),
        "generate": ("OllamaGenerateRequest", "OllamaAnswer", True),
        "embed": ("OllamaEmbedRequest", "OllamaEmbeddings", False),
        "embeddings": ("OllamaEmbeddingsRequest", "OllamaEmbedding", False),
        "show": ("OllamaName", "OllamaModel", False),
    }
    reading = {"tags": "OllamaModels", "ps": "OllamaModels", "version": "OllamaVersion"}
    refused = {name: "delete" if name == "delete" else "post" for name in ("pull", "push", "create", "copy", "delete")}
    return {
        **{
            f"/api/{path}": {"post": _posted("ollama", asked, told, is_streaming=is_streaming)}
            for path, (asked, told, is_streaming) in asking.items()
        },
        **{f"/api/{path}": {"get": _got("ollama", told)} for path, told in reading.items()},
        **{
            f"/api/{path}": {
                method: {
                    "operationId": f"refuse_{path}",
                    "summary": "Is refused: models are added by an admin.",
                    "responses": _refusals("ollama", _READING),
                }
            }
            for path, method in refused.items()
        },
    }


def _health_paths() -> dict[str, Any]:
    told = {"content": {_JSON: {"schema": _ref("Health")}}}
    states = {"200": {"description": "Postgres answers.", **told}, "503": {"description": "It does not.", **told}}
    return {path: {"get": {"security": [], "responses": states}} for path in ("/health", "/v1/health")}


def _metrics_paths() -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    return {
        "/metrics": {
            "get": {
                "summary": "What was counted, for Prometheus; to this machine, or with the token of the setting.",
                "security": [],
                "responses": {
                    "200": {
                        "description": "In Prometheus' text format, or as OpenMetrics where that is accepted.",
                        "content": {"text/plain": text, "application/openmetrics-text": text},
                    },
                    "403": {"description": "From elsewhere, without the token.", "content": {"text/plain": text}},
                },
            }
        }
    }


def _posted(family: str, asked: str, told: str, *, is_streaming: bool = False) -> Json:
    stream = {_STREAMS[family]: {"schema": {"type": "string"}}} if is_streaming else {}
    return {
        "operationId": f"ask_{asked}",
        "requestBody": {"required": True, "content": {_JSON: {"schema": _ref(asked)}}},
        "responses": {
            "200": {"description": "The answer.", "content": {_JSON: {"schema": _ref(told)}, **stream}},
            **_refusals(family, _ASKING),
        },
    }


def _got(family: str, told: str, statuses: Sequence[int] = _READING) -> Json:
    answer = {"description": "What was asked for.", "content": {_JSON: {"schema": _ref(told)}}}
    return {"responses": {"200": answer, **_refusals(family, statuses)}}


def _refusals(family: str, statuses: Sequence[int]) -> Json:
    schema = _ref("OpenAIError" if family == "openai" else "OllamaError")
    return {str(one): {"description": _WHY[one], "content": {_JSON: {"schema": schema}}} for one in statuses}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
