"""The schemas of the OpenAPI document: what the parsers of this folder accept, and what the writers write. Pure."""

from typing import Any

Json = dict[str, Any]


def _object(required: str = "", **properties: Any) -> Json:
    return {"type": "object", "properties": properties, **({"required": required.split()} if required else {})}


def _list(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


def _number(low: float, high: float) -> Json:
    return {"type": ["number", "null"], "minimum": low, "maximum": high}


def _whole(low: int, high: int) -> Json:
    return {"type": ["integer", "null"], "minimum": low, "maximum": high}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Json = {"type": "string"}
_SOME_TEXT: Json = {"type": "string", "minLength": 1}
_FLAG: Json = {"type": ["boolean", "null"]}
_OBJECT: Json = {"type": "object"}
_OR_NULL: Json = {"type": ["number", "null"]}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TEXTS: Json = {"oneOf": [_SOME_TEXT, _list(_SOME_TEXT, minItems=1)]}
_MODEL: Json = {"anyOf": [{"enum": ["auto", "auto:green", "auto:quality"]}, _SOME_TEXT]}
_STOP: Json = {"oneOf": [_SOME_TEXT, _list(_SOME_TEXT, maxItems=4), {"type": "null"}]}
_TOOLS: Json = _list(
    _object(
        "type function",
        type={"const": "function"},
        function=_object("name", name=_SOME_TEXT, description=_TEXT, parameters=_OBJECT),
    )
)
_WISH: Json = _object(
    policy={"enum": ["nearest", "category", "knn", "guarded", "floor", "cascade"]},
    sci_price={"type": "number", "minimum": 0},
    accuracy_floor={"type": "number", "minimum": 0, "maximum": 1},
    caution={"type": "number", "minimum": 0, "maximum": 10},
    neighbours={"type": "integer", "minimum": 1, "maximum": 1000},
)
_HOW: Json = {
    "model": _MODEL,
    "max_tokens": _whole(1, 1_000_000),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "seed": _whole(-(2**63), 2**63 - 1),
    "stop": _STOP,
    "stream": _FLAG,
    "stream_options": {"oneOf": [_object(include_usage=_FLAG), {"type": "null"}]},
    "greenllm": _WISH,
}

_ROUTED: Json = {
    "model": {"enum": ["auto", "auto:latest", "auto:green", "auto:quality"]},
    "greenllm": _WISH,
    "max_tokens": _whole(1, 1_000_000),
}
_OPTIONS: Json = _object(
    seed=_whole(-(2**63), 2**63 - 1),
    temperature=_number(0, 100),
    num_ctx=_whole(1, 10_000_000),
    num_predict={"type": ["integer", "null"]},
    top_p=_number(0, 1),
    top_k=_whole(0, 1_000_000),
    stop=_STOP,
)
_OLLAMA_HOW: Json = {
    "model": _MODEL,
    "options": _OPTIONS,
    "stream": _FLAG,
    "format": {"oneOf": [{"enum": ["json", "", None]}, _OBJECT]},
    "greenllm": _WISH,
}
_IMAGES: Json = _list({"type": "string", "contentEncoding": "base64"})
_IMAGE_PART: Json = _object("type image_url", type={"const": "image_url"}, image_url=_object("url", url=_TEXT))
_TEXT_PART: Json = _object("type text", type={"const": "text"}, text=_TEXT)
_CALLED: Json = _object("name arguments", name=_SOME_TEXT, arguments=_TEXT)
_CALLS: Json = _list(_object("id function", id=_SOME_TEXT, type={"const": "function"}, function=_CALLED))
_OLLAMA_CALLS: Json = _list(_object("function", id=_TEXT, function=_object("name", name=_SOME_TEXT, arguments=_OBJECT)))
_USAGE: Json = _object("prompt_tokens total_tokens", prompt_tokens=_COUNT, total_tokens=_COUNT, gco2e=_OR_NULL)
_ERROR: Json = _object(
    "message type param code",
    message=_SOME_TEXT,
    type=_SOME_TEXT,
    param={"type": ["string", "null"]},
    code={"type": ["string", "null"]},
)


def _completion(kind: str, choice: Json) -> Json:
    """Return the schema of a whole answer; only its choices differ between chats and completions."""
    return _object(
        "id object created model choices usage",
        id=_TEXT,
        object={"const": kind},
        created=_COUNT,
        model=_TEXT,
        system_fingerprint=_TEXT,
        choices=_list(choice, minItems=1),
        usage=_USAGE,
        greenllm=_ref("Carbon"),
    )


SCHEMAS: Json = {
    "OpenAIError": _object("error", error=_ERROR),
    "OllamaError": _object("error", error=_SOME_TEXT),
    "Carbon": _object(
        "request_id model quality",
        request_id=_TEXT,
        model=_TEXT,
        quality={"enum": ["measured", "component", "estimated", "simulated", "missing"]},
        predicted_sci_gco2e=_OR_NULL,
        sci_gco2e=_OR_NULL,
        energy_j=_OR_NULL,
        saved_gco2e=_OR_NULL,
    ),
    "Message": _object(
        "role",
        role={"enum": ["system", "developer", "user", "assistant", "tool"]},
        content={"oneOf": [_TEXT, _list({"oneOf": [_TEXT_PART, _IMAGE_PART]}), {"type": "null"}]},
        tool_calls=_CALLS,
        tool_call_id=_TEXT,
    ),
    "ChatRequest": _object(
        "model messages",
        **_HOW,
        messages=_list(_ref("Message"), minItems=1),
        max_completion_tokens=_whole(1, 1_000_000),
        store=_FLAG,
        tools=_TOOLS,
        tool_choice={"oneOf": [{"enum": ["auto", "none", "required"]}, _OBJECT]},
        parallel_tool_calls=_FLAG,
        response_format=_object("type", type={"enum": ["text", "json_object", "json_schema"]}, json_schema=_OBJECT),
    ),
    "ChatCompletion": _completion(
        "chat.completion", _object("index message finish_reason", index=_COUNT, message=_OBJECT)
    ),
    "CompletionRequest": _object("model prompt", **_HOW, prompt=_TEXTS),
    "Completion": _completion("text_completion", _object("index text finish_reason", index=_COUNT, text=_TEXT)),
    "EmbeddingsRequest": _object(
        "model input", model=_MODEL, input=_TEXTS, encoding_format={"enum": ["float", "base64"]}
    ),
    "Embeddings": _object(
        "object model data usage",
        object={"const": "list"},
        model=_TEXT,
        data=_list(_object("embedding index", index=_COUNT, embedding={"type": ["array", "string"]})),
        usage=_USAGE,
    ),
    "Model": _object("id object created owned_by", id=_TEXT, object={"const": "model"}, created=_COUNT, owned_by=_TEXT),
    "ModelList": _object("object data", object={"const": "list"}, data=_list(_ref("Model"))),
    "RouteRequest": {
        "oneOf": [
            _object("prompt", **_ROUTED, prompt=_SOME_TEXT),
            _object("messages", **_ROUTED, messages=_list(_ref("Message"), minItems=1)),
        ]
    },
    "Route": _object("decision_id choice policy", decision_id=_COUNT, choice=_TEXT, policy=_TEXT),
    "PastRequest": _object("object id state attempts", object={"const": "greenllm.request"}, id=_TEXT, state=_TEXT),
    "Key": _object("object name prefix use", object={"const": "greenllm.key"}, name=_TEXT, prefix=_TEXT, use=_OBJECT),
    "Health": _object("status parts", status={"enum": ["ok", "degraded"]}, parts=_OBJECT),
    "OllamaMessage": _object(
        "role",
        role={"enum": ["system", "user", "assistant", "tool"]},
        content=_TEXT,
        images=_IMAGES,
        tool_calls=_OLLAMA_CALLS,
        tool_name=_TEXT,
    ),
    "OllamaChatRequest": _object("model", **_OLLAMA_HOW, messages=_list(_ref("OllamaMessage")), tools=_TOOLS),
    "OllamaGenerateRequest": _object("model", **_OLLAMA_HOW, prompt=_TEXT, system=_TEXT, images=_IMAGES),
    "OllamaAnswer": _object(
        "model created_at done",
        model=_TEXT,
        created_at=_TEXT,
        done={"const": True},
        message=_object("role content", role={"const": "assistant"}, content=_TEXT),
        response=_TEXT,
        greenllm=_ref("Carbon"),
    ),
    "OllamaEmbedRequest": _object("model", model=_MODEL, input={"oneOf": [_TEXT, _list(_TEXT)]}, truncate=_FLAG),
    "OllamaEmbeddings": _object("model embeddings", model=_TEXT, embeddings=_list(_list({"type": "number"}))),
    "OllamaEmbeddingsRequest": _object("model", model=_MODEL, prompt=_TEXT),
    "OllamaEmbedding": _object("embedding", embedding=_list({"type": "number"})),
    "OllamaName": _object("model", model=_MODEL),
    "OllamaModel": _object(
        "details model_info capabilities", details=_OBJECT, model_info=_OBJECT, capabilities=_list(_TEXT)
    ),
    "OllamaModels": _object("models", models=_list(_object("name model", name=_TEXT, model=_TEXT, details=_OBJECT))),
    "OllamaVersion": _object("version", version=_SOME_TEXT),
}
