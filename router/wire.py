"""The shapes of the OpenAI wire: requests read, answers and errors written. Pure.

Source: the public OpenAI OpenAPI document. Unknown fields of a request are ignored; a field that would change the
answer and cannot be honoured is refused by name.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.inference.base import ChatMessage, ChatRole, Generation, GenerationParameters

MAX_BODY_BYTES = 8 * 1024 * 1024
_ROLES: dict[str, ChatRole] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
# fields that change the answer, with the values that ask for nothing special
_REFUSED_UNLESS: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "response_format": (None, {"type": "text"}),
    "audio": (None,),
    "modalities": (None, ["text"]),
}
_FINISH_REASONS = {"stop": "stop", "length": "length"}


class WireError(ValueError):
    """A request that cannot be served as it is: what goes into the error's four fields, and the HTTP status."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param

    def as_json(self) -> dict[str, Any]:
        """Return the body that OpenAI's clients read."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class ChatRequest:
    """One chat completion as it was asked for."""

    model: str
    messages: tuple[ChatMessage, ...]
    parameters: GenerationParameters
    is_streamed: bool = False
    is_keeping_allowed: bool = False  # OpenAI's `store`: whether prompt and answer may be kept to improve routing
    is_usage_included: bool = False  # in a chunk of its own, before the end of a stream


@dataclass(frozen=True)
class RouteRequest:
    """One prompt of which only the route is asked."""

    model: str
    prompt_text: str


def parse_chat_request(body: bytes) -> ChatRequest:
    """Read the body of a chat completion request.

    Raises:
        WireError: it is not JSON, a field is wrong or missing, or one is not supported; the error names it.
    """
    record = _json_object(body)
    for field, harmless in _REFUSED_UNLESS.items():
        if record.get(field) not in harmless:
            raise WireError(
                f"'{field}' is not supported here; leave it out.", code="unsupported_parameter", param=field
            )
    model = record.get("model")
    if not isinstance(model, str) or not model.strip():
        raise WireError("'model' is missing; use 'auto' or a name of GET /v1/models.", param="model")
    is_streamed = _flag(record.get("stream"), "stream")
    return ChatRequest(
        _storable(model.strip(), "model"),
        _messages(record.get("messages")),
        _parameters(record),
        is_streamed=is_streamed,
        is_keeping_allowed=_flag(record.get("store"), "store"),
        is_usage_included=_is_usage_included(record.get("stream_options")) and is_streamed,
    )


def parse_route_request(body: bytes) -> RouteRequest:
    """Read the body of a request for the route of a prompt alone.

    Raises:
        WireError: it is not JSON, or a field is wrong or missing; the error names it.
    """
    record = _json_object(body)
    model = record.get("model")
    if model is None:
        model = "auto"
    if not isinstance(model, str):
        raise WireError("'model' must be the text 'auto', or left out.", param="model")
    prompt, messages = record.get("prompt"), record.get("messages")
    if prompt is not None and messages is not None:
        raise WireError("'prompt' and 'messages' are both there; send one of them.", param="prompt")
    if messages is not None:
        asked = [message.content for message in _messages(messages) if message.role == "user"]
        return RouteRequest(model.strip(), asked[-1])
    if prompt is None:
        raise WireError("'prompt' is missing; send a text, or 'messages' as for /v1/chat/completions.", param="prompt")
    if not isinstance(prompt, str):
        raise WireError("'prompt' must be a text.", param="prompt")
    if not prompt.strip():
        raise WireError("The prompt is empty: give 'prompt' some text.", param="prompt")
    return RouteRequest(model.strip(), _storable(prompt, "prompt"))


def _is_usage_included(raw: object) -> bool:
    if raw is None:
        return False
    if not isinstance(raw, Mapping):
        raise WireError("'stream_options' must be an object.", param="stream_options")
    return _flag(raw.get("include_usage"), "stream_options.include_usage")


def _flag(raw: object, param: str) -> bool:
    if raw is not None and not isinstance(raw, bool):
        raise WireError(f"'{param}' must be true or false.", param=param)
    return bool(raw)


def _json_object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise WireError(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413)
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"The body is not JSON ({error}).") from error
    if not isinstance(record, dict):
        raise WireError("The body must be a JSON object.")
    return record


def _messages(raw: object) -> tuple[ChatMessage, ...]:
    if not isinstance(raw, list) or not raw:
        raise WireError("'messages' must be a list with at least one message.", param="messages")
    messages = tuple(_message(one, f"messages[{number}]") for number, one in enumerate(raw))
    asked = [message.content for message in messages if message.role == "user"]
    if not asked or not asked[-1].strip():
        raise WireError("The prompt is empty: give the last user message some text.", param="messages")
    return messages


def _message(raw: object, param: str) -> ChatMessage:
    if not isinstance(raw, Mapping):
        raise WireError(f"{param} must be an object with 'role' and 'content'.", param=param)
    given = raw.get("role")
    role = _ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        raise WireError(f"{param}.role must be one of {', '.join(_ROLES)}.", param=f"{param}.role")
    return ChatMessage(role, _content(raw.get("content"), f"{param}.content"))


def _content(raw: object, param: str) -> str:
    if raw is None:
        return ""
    if isinstance(raw, str):
        return _storable(raw, param)
    if not isinstance(raw, list):
        raise WireError(f"{param} must be text or a list of parts.", param=param)
    texts = []
    for part in raw:
        if not isinstance(part, Mapping) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise WireError(
                f"{param} has a part that is not text; only text is supported here.",
                code="unsupported_parameter",
                param=param,
            )
        texts.append(_storable(part["text"], param))
    return "".join(texts)


def _storable(text: str, param: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{param} holds half of a surrogate pair, which is no text.", param=param) from error
    if "\x00" in text:
        raise WireError(f"{param} holds a NUL character.", param=param)
    return text


def _parameters(record: Mapping[str, Any]) -> GenerationParameters:
    limit = "max_tokens" if record.get("max_completion_tokens") is None else "max_completion_tokens"
    return GenerationParameters(
        seed=_whole(record.get("seed"), "seed", -(2**63), 2**63 - 1),
        temperature=_decimal(record.get("temperature"), "temperature", 0.0, 2.0),
        num_predict=_whole(record.get(limit), limit, 1, 1_000_000),
        top_p=_decimal(record.get("top_p"), "top_p", 0.0, 1.0),
        stop=_stop(record.get("stop")),
    )


def _whole(raw: object, param: str, low: int, high: int) -> int | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
        raise WireError(f"'{param}' must be a whole number from {low} to {high}.", param=param)
    return raw


def _decimal(raw: object, param: str, low: float, high: float) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not low <= raw <= high:
        raise WireError(f"'{param}' must be a number from {low:g} to {high:g}.", param=param)
    return float(raw)


def _stop(raw: object) -> tuple[str, ...]:
    if raw is None:
        return ()
    stops = [raw] if isinstance(raw, str) else raw
    if not isinstance(stops, list) or len(stops) > 4 or not all(isinstance(one, str) and one for one in stops):
        raise WireError("'stop' must be a text or a list of up to four texts.", param="stop")
    return tuple(_storable(one, "stop") for one in stops)


def chat_completion(
    *, request_id: str, created: int, model: str, generation: Generation, greenllm: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the body of an answer; `greenllm` is our own part (choice and carbon)."""
    message: dict[str, Any] = {"role": "assistant", "content": generation.text, "refusal": None}
    if generation.thinking:
        message["reasoning_content"] = generation.thinking
    return {
        "id": completion_id(request_id),
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": finish_reason(generation),
            }
        ],
        "usage": usage(generation),
        "greenllm": dict(greenllm),
    }


def completion_id(request_id: str) -> str:
    """Return the id of an answer, made of the id of its request."""
    return f"chatcmpl-{request_id.removeprefix('req_')}"


def finish_reason(generation: Generation) -> str:
    """Return why an answer ended, in OpenAI's words."""
    return _FINISH_REASONS.get(generation.done_reason or "stop", "stop")


def usage(generation: Generation) -> dict[str, int]:
    """Return the token counts; OpenAI's clients need a number, so that one that was not reported is 0."""
    prompt_tokens = generation.prompt_token_count or 0
    output_tokens = generation.output_token_count or 0
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
    }


def model_list(names: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """Return the body of the list of models from (name, moment of adding in seconds)."""
    return {"object": "list", "data": [model_entry(name, created) for name, created in names]}


def model_entry(name: str, created: int) -> dict[str, Any]:
    """Return one entry of the list of models."""
    return {"id": name, "object": "model", "created": created, "owned_by": "greenllm"}
