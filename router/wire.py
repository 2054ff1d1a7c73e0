"""The shapes of the OpenAI wire: requests read, answers and errors written. Pure.

Source: the public OpenAI OpenAPI document. Unknown fields of a request are ignored; a field that would change the
answer and cannot be honoured is refused by name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.inference.base import ChatMessage, ChatRole, Generation, GenerationParameters, ParameterValue
from benchmarks.inference.demands import TOOL_CHOICE, TOOLS, VISION, Demands, Image
from router.wires.beyond_text import read_image_part, read_response_format
from router.wires.fields import (
    MAX_BODY_BYTES,
    CacheWish,
    WireError,
    read_cache,
    read_decimal,
    read_flag,
    read_model,
    read_object,
    read_stops,
    read_text,
    read_whole,
    refuse_unless,
    storable,
)
from router.wires.tools import read_openai_calls, read_tool_demands, with_ids
from router.wishes import Wish, WishRefused, read_wish

__all__ = [
    "MAX_BODY_BYTES", "ChatRequest", "RouteRequest", "WireError", "chat_completion", "completion_id", "finish_reason",
    "model_entry", "model_list", "parse_chat_request", "parse_route_request", "read_parameters", "read_request_wish",
    "reads_usage", "require_prompt", "told_fingerprint", "usage",
]  # fmt: skip

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
    "functions": (None, []),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "audio": (None,),
    "modalities": (None, ["text"]),
}
_PENALTIES = ("frequency_penalty", "presence_penalty")
_FINISH_REASONS = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}


@dataclass(frozen=True)
class ChatRequest:
    """One chat completion as it was asked for."""

    model: str
    messages: tuple[ChatMessage, ...]
    parameters: GenerationParameters
    is_streamed: bool = False
    is_keeping_allowed: bool = False  # OpenAI's `store`: whether prompt and answer may be kept to improve routing
    is_usage_included: bool = False  # in a chunk of its own, before the end of a stream
    wish: Wish | None = None  # how the router shall choose
    is_unloading: bool = False  # Ollama's `keep_alive` of 0 without a message
    cache: CacheWish = field(default_factory=CacheWish)
    demands: Demands = field(default_factory=Demands)  # beyond text
    prompt_field: str = "messages"  # where the client wrote what it asks
    images_field: str = "images"  # where its images are

    @property
    def is_load_only(self) -> bool:
        """Tell whether nothing is asked: to Ollama's clients that means that the model shall be loaded."""
        return not self.messages

    @property
    def needed(self) -> dict[str, str]:
        """Return what the model must be able to do beyond text, with the field that asks for it."""
        offered = self.demands.tools and self.demands.tool_choice != "none"
        return {
            **({VISION: self.images_field} if any(message.images for message in self.messages) else {}),
            **({TOOLS: "tools"} if offered else {}),
            **({TOOL_CHOICE: "tool_choice"} if self.demands.is_tool_choice_forced else {}),
        }

    @property
    def is_plain(self) -> bool:
        """Tell whether text is all there is, so that the text of a prompt tells all that was asked."""
        return self.demands == Demands() and not any(
            message.images or message.tool_calls or message.role == "tool" for message in self.messages
        )


@dataclass(frozen=True)
class RouteRequest:
    """One request of which only the route is asked: of `chat` everything that decides, without how it is answered."""

    chat: ChatRequest

    @property
    def model(self) -> str:
        """Return what was asked for."""
        return self.chat.model

    @property
    def prompt_text(self) -> str:
        """Return the latest message of the user."""
        return [message.content for message in self.chat.messages if message.role == "user"][-1]


def parse_chat_request(body: bytes) -> ChatRequest:
    """Read the body of a chat completion request.

    Raises:
        WireError: it is not JSON, a field is wrong or missing, or one is not supported; the error names it.
    """
    record = read_object(body)
    refuse_unless(record, _REFUSED_UNLESS)
    model = read_model(record.get("model"), "/v1/models")
    is_streamed = read_flag(record.get("stream"), "stream")
    return ChatRequest(
        model,
        _messages(record.get("messages")),
        read_parameters(record),
        is_streamed=is_streamed,
        is_keeping_allowed=read_flag(record.get("store"), "store"),
        is_usage_included=reads_usage(record.get("stream_options")) and is_streamed,
        wish=read_request_wish(record.get("greenllm")),
        cache=read_cache(record.get("cache")),
        demands=_read_demands(record),
        images_field="messages",
    )


def parse_route_request(body: bytes) -> RouteRequest:
    """Read the body of a request for the route alone: a prompt, or a chat completion with what decides about it.

    Raises:
        WireError: it is not JSON, or a field is wrong or missing; the error names it.
    """
    record = read_object(body)
    model = record.get("model")
    if model is None:
        model = "auto"
    if not isinstance(model, str):
        raise WireError("'model' must be the text 'auto', or left out.", param="model")
    prompt, messages = record.get("prompt"), record.get("messages")
    if prompt is not None and messages is not None:
        raise WireError("'prompt' and 'messages' are both there; send one of them.", param="prompt")
    if messages is not None:
        return _route_request(model, _messages(messages), record)
    if prompt is None:
        raise WireError("'prompt' is missing; send a text, or 'messages' as for /v1/chat/completions.", param="prompt")
    if not isinstance(prompt, str):
        raise WireError("'prompt' must be a text.", param="prompt")
    if not prompt.strip():
        raise WireError("The prompt is empty: give 'prompt' some text.", param="prompt")
    return _route_request(model, (ChatMessage("user", storable(prompt, "prompt")),), record, prompt_field="prompt")


def _route_request(
    model: str, messages: tuple[ChatMessage, ...], record: Mapping[str, Any], *, prompt_field: str = "messages"
) -> RouteRequest:
    chat = ChatRequest(
        model.strip(),
        messages,
        GenerationParameters(num_predict=_read_limit(record)),
        wish=read_request_wish(record.get("greenllm")),
        demands=_read_demands(record),
        prompt_field=prompt_field,
        images_field="messages",
    )
    return RouteRequest(chat)


def _read_demands(record: Mapping[str, Any]) -> Demands:
    return replace(read_tool_demands(record), answer_format=read_response_format(record.get("response_format")))


def _read_limit(record: Mapping[str, Any]) -> int | None:
    limit = "max_tokens" if record.get("max_completion_tokens") is None else "max_completion_tokens"
    return read_whole(record.get(limit), limit, 1, 1_000_000)


def read_request_wish(raw: object) -> Wish:
    """Read what a request wants of the router; a wrong field is named by the error."""
    try:
        return read_wish(raw)
    except WishRefused as error:
        raise WireError(str(error), param=error.param) from error


def reads_usage(raw: object) -> bool:
    """Tell from `stream_options` whether a stream shall tell its usage."""
    if raw is None:
        return False
    if not isinstance(raw, Mapping):
        raise WireError("'stream_options' must be an object.", param="stream_options")
    return read_flag(raw.get("include_usage"), "stream_options.include_usage")


def _messages(raw: object) -> tuple[ChatMessage, ...]:
    if not isinstance(raw, list) or not raw:
        raise WireError("'messages' must be a list with at least one message.", param="messages")
    messages = tuple(_message(one, f"messages[{number}]") for number, one in enumerate(raw))
    require_prompt(messages)
    return with_ids(messages)


def require_prompt(messages: Sequence[ChatMessage]) -> None:
    """Refuse a conversation whose latest message of the user has neither text nor image."""
    asked = [message for message in messages if message.role == "user"]
    if not asked or not (asked[-1].content.strip() or asked[-1].images):
        raise WireError("The prompt is empty: give the last user message some text.", param="messages")


def _message(raw: object, param: str) -> ChatMessage:
    if not isinstance(raw, Mapping):
        raise WireError(f"{param} must be an object with 'role' and 'content'.", param=param)
    given = raw.get("role")
    role = _ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        raise WireError(f"{param}.role must be one of {', '.join(_ROLES)}.", param=f"{param}.role")
    is_assistant = role == "assistant"
    text, images = _content(raw.get("content"), f"{param}.content", may_refuse=is_assistant)
    if is_assistant and not text and isinstance(raw.get("refusal"), str):
        text = storable(raw["refusal"], f"{param}.refusal")
    return ChatMessage(
        role,
        text,
        images,
        tool_calls=read_openai_calls(raw.get("tool_calls"), f"{param}.tool_calls") if is_assistant else (),
        tool_call_id=read_text(raw.get("tool_call_id"), f"{param}.tool_call_id") if role == "tool" else "",
    )


def _content(raw: object, param: str, *, may_refuse: bool = False) -> tuple[str, tuple[Image, ...]]:
    if raw is None:
        return "", ()
    if isinstance(raw, str):
        return storable(raw, param), ()
    if not isinstance(raw, list):
        raise WireError(f"{param} must be text or a list of parts.", param=param)
    texts, images = [], []
    for number, part in enumerate(raw):
        one, kind = f"{param}[{number}]", part.get("type") if isinstance(part, Mapping) else None
        if kind == "image_url":
            images.append(read_image_part(part, one))
        elif kind == "text" and isinstance(part.get("text"), str):
            texts.append(storable(part["text"], f"{one}.text"))
        elif may_refuse and kind == "refusal" and isinstance(part.get("refusal"), str):
            texts.append(storable(part["refusal"], f"{one}.refusal"))
        else:
            raise WireError(
                f"{one} is a part that is neither text nor image, which is not supported here.",
                code="unsupported_parameter",
                param=one,
            )
    return "".join(texts), tuple(images)


def read_parameters(record: Mapping[str, Any]) -> GenerationParameters:
    """Read how to generate from the fields that both kinds of completions have."""
    return GenerationParameters(
        seed=read_whole(record.get("seed"), "seed", -(2**63), 2**63 - 1),
        temperature=read_decimal(record.get("temperature"), "temperature", 0.0, 2.0),
        num_predict=_read_limit(record),
        top_p=read_decimal(record.get("top_p"), "top_p", 0.0, 1.0),
        stop=read_stops(record.get("stop")),
        extras=_penalties(record),
    )


def _penalties(record: Mapping[str, Any]) -> dict[str, ParameterValue]:
    """Read the penalties, which every kind of server knows; one of 0 asks for nothing special."""
    read = {name: read_decimal(record.get(name), name, -2.0, 2.0) for name in _PENALTIES}
    return {name: value for name, value in read.items() if value}


def chat_completion(
    *,
    request_id: str,
    created: int,
    model: str,
    generation: Generation,
    greenllm: Mapping[str, Any],
    gco2e: float | None = None,
    fingerprint: str = "",
) -> dict[str, Any]:
    """Return the body of an answer; `greenllm` is our own part (choice and carbon), left out where it is empty."""
    message: dict[str, Any] = {"role": "assistant", "content": generation.text, "refusal": None}
    if generation.thinking:
        message["reasoning_content"] = generation.thinking
    if generation.tool_calls:
        message["content"] = generation.text or None
        message["tool_calls"] = [call.on_openai() for call in generation.tool_calls]
    return {
        "id": completion_id(request_id),
        "object": "chat.completion",
        "created": created,
        "model": model,
        **told_fingerprint(fingerprint),
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": finish_reason(generation),
            }
        ],
        "usage": usage(generation, gco2e),
        **({"greenllm": dict(greenllm)} if greenllm else {}),
    }


def told_fingerprint(fingerprint: str) -> dict[str, str]:
    """Return the field that tells what a model ran with, where that is known."""
    return {"system_fingerprint": fingerprint} if fingerprint else {}


def completion_id(request_id: str) -> str:
    """Return the id of an answer, made of the id of its request."""
    return f"chatcmpl-{request_id.removeprefix('req_')}"


def finish_reason(generation: Generation) -> str:
    """Return why an answer ended, in OpenAI's words; Ollama's servers say `stop` too where a tool is called."""
    if generation.tool_calls and generation.done_reason != "length":
        return "tool_calls"
    return _FINISH_REASONS.get(generation.done_reason or "stop", "stop")


def usage(generation: Generation, gco2e: float | None = None) -> dict[str, int | float]:
    """Return the token counts, and `gco2e` where it is known, because that reaches users of every client.

    OpenAI's clients need numbers of tokens, so that one that was not reported is 0.
    """
    prompt_tokens = generation.prompt_token_count or 0
    output_tokens = generation.output_token_count or 0
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
        **({} if gco2e is None else {"gco2e": gco2e}),
    }


def model_list(names: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """Return the body of the list of models from (name, moment of adding in seconds)."""
    return {"object": "list", "data": [model_entry(name, created) for name, created in names]}


def model_entry(name: str, created: int) -> dict[str, Any]:
    """Return one entry of the list of models."""
    return {"id": name, "object": "model", "created": created, "owned_by": "greenllm"}
