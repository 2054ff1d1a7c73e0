"""How requests of the Ollama wire are read. Pure.

Source: `docs/api.md` and `api/types.go` of Ollama. Options that set up the machine (`num_gpu`, `num_thread`, ...) are
for who runs it and are ignored, as are unknown ones; what would change the answer and cannot be honoured is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.inference.base import ChatMessage, ChatRole, GenerationParameters, ParameterValue
from benchmarks.inference.demands import Demands
from router.wire import ChatRequest, read_request_wish, require_prompt
from router.wires.beyond_text import read_format, read_images
from router.wires.fields import (
    WireError,
    read_cache,
    read_decimal,
    read_flag,
    read_model,
    read_object,
    read_stops,
    read_text,
    read_texts,
    read_whole,
    refuse_unless,
)
from router.wires.tools import read_ollama_calls, read_tools, with_ids

LISTED_AT = "/api/tags"
_MOST_STOPS = 16
_ROLES: dict[str, ChatRole] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_REFUSED: dict[str, tuple[Any, ...]] = {
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "think": (None, True, False, ""),  # models think as they do of themselves, and it is told apart
}
_REFUSED_OF_GENERATE = {
    **_REFUSED,
    "raw": (None, False),
    "suffix": (None, ""),
    "template": (None, ""),
    "context": (None, []),
}
_DECIMALS = {
    "frequency_penalty": (-2.0, 2.0),
    "min_p": (0.0, 1.0),
    "mirostat_eta": (0.0, 100.0),
    "mirostat_tau": (0.0, 100.0),
    "presence_penalty": (-2.0, 2.0),
    "repeat_penalty": (0.0, 100.0),
    "tfs_z": (0.0, 100.0),
    "typical_p": (0.0, 1.0),
}
_WHOLES = {"mirostat": (0, 2), "repeat_last_n": (-1, 1_000_000)}


@dataclass(frozen=True)
class EmbedRequest:
    """Texts to embed; where `is_cut` a text that is too long is cut, else it is refused."""

    model: str
    texts: tuple[str, ...]
    is_cut: bool = False


def parse_chat(body: bytes) -> ChatRequest:
    """Read the body of `/api/chat`; without messages the model shall be loaded.

    Raises:
        WireError: it is not JSON, a field is wrong or missing, or one is not supported; the error names it.
    """
    record = read_object(body)
    refuse_unless(record, _REFUSED)
    messages = record.get("messages")
    if messages is None or messages == []:
        return _load(record)
    if not isinstance(messages, list):
        raise WireError("'messages' must be a list.", param="messages")
    read = tuple(_message(one, f"messages[{number}]") for number, one in enumerate(messages))
    require_prompt(read)
    return _request(record, with_ids(read), tools=read_tools(record.get("tools")))


def parse_generate(body: bytes) -> ChatRequest:
    """Read the body of `/api/generate`; without a prompt the model shall be loaded.

    Raises:
        WireError: as `parse_chat` does.
    """
    record = read_object(body)
    refuse_unless(record, _REFUSED_OF_GENERATE)
    prompt, system = read_text(record.get("prompt"), "prompt"), read_text(record.get("system"), "system")
    if not prompt:
        return _load(record)
    if not prompt.strip():
        raise WireError("The prompt is empty: give 'prompt' some text.", param="prompt")
    before = (ChatMessage("system", system),) if system else ()
    asked = ChatMessage("user", prompt, read_images(record.get("images"), "images"))
    return replace(_request(record, (*before, asked)), prompt_field="prompt")


def parse_embed(body: bytes) -> EmbedRequest:
    """Read the body of `/api/embed`.

    Raises:
        WireError: as `parse_chat` does.
    """
    record = read_object(body)
    refuse_unless(record, {"dimensions": (None, 0)})
    truncate = record.get("truncate")
    model = read_model(record.get("model"), LISTED_AT)
    is_cut = truncate is None or read_flag(truncate, "truncate")
    given = record.get("input")
    return EmbedRequest(model, () if given in (None, "", []) else read_texts(given, "input"), is_cut=is_cut)


def parse_embeddings(body: bytes) -> EmbedRequest:
    """Read the body of the older `/api/embeddings`, which embeds one text.

    Raises:
        WireError: as `parse_chat` does.
    """
    record = read_object(body)
    prompt = read_text(record.get("prompt"), "prompt")
    return EmbedRequest(read_model(record.get("model"), LISTED_AT), (prompt,) if prompt else (), is_cut=True)


def parse_name(body: bytes) -> str:
    """Read the body of `/api/show`: the name of a model, as `model` or as the older `name`.

    Raises:
        WireError: it is not JSON, or has no name.
    """
    record = read_object(body)
    return read_model(record.get("model") or record.get("name"), LISTED_AT)


def _request(
    record: Mapping[str, Any], messages: tuple[ChatMessage, ...], tools: tuple[Mapping[str, Any], ...] = ()
) -> ChatRequest:
    return ChatRequest(
        read_model(record.get("model"), LISTED_AT),
        messages,
        _parameters(record.get("options")),
        is_streamed=_is_streamed(record),
        wish=read_request_wish(record.get("greenllm")),
        cache=read_cache(record.get("cache")),
        demands=Demands(tools, answer_format=read_format(record.get("format"))),
    )


def _load(record: Mapping[str, Any]) -> ChatRequest:
    return ChatRequest(
        read_model(record.get("model"), LISTED_AT),
        (),
        _parameters(record.get("options")),
        is_streamed=_is_streamed(record),
        is_unloading=record.get("keep_alive") in (0, "0", "0s", "0m"),
    )


def _is_streamed(record: Mapping[str, Any]) -> bool:
    stream = record.get("stream")
    return stream is None or read_flag(stream, "stream")


def _message(raw: object, param: str) -> ChatMessage:
    if not isinstance(raw, Mapping):
        raise WireError(f"{param} must be an object with 'role' and 'content'.", param=param)
    given = raw.get("role")
    role = _ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        raise WireError(f"{param}.role must be one of {', '.join(_ROLES)}.", param=f"{param}.role")
    is_of_tool = role == "tool"
    return ChatMessage(
        role,
        read_text(raw.get("content"), f"{param}.content"),
        read_images(raw.get("images"), f"{param}.images"),
        tool_calls=read_ollama_calls(raw.get("tool_calls"), f"{param}.tool_calls") if role == "assistant" else (),
        tool_call_id=read_text(raw.get("tool_call_id"), f"{param}.tool_call_id") if is_of_tool else "",
        tool_name=read_text(raw.get("tool_name") or raw.get("name"), f"{param}.tool_name") if is_of_tool else "",
    )


def _parameters(raw: object) -> GenerationParameters:
    if raw is None:
        return GenerationParameters()
    if not isinstance(raw, Mapping):
        raise WireError("'options' must be an object.", param="options")
    return GenerationParameters(
        seed=read_whole(raw.get("seed"), "options.seed", -(2**63), 2**63 - 1),
        temperature=read_decimal(raw.get("temperature"), "options.temperature", 0.0, 100.0),
        num_ctx=read_whole(raw.get("num_ctx"), "options.num_ctx", 1, 10_000_000),
        num_predict=_limit(raw.get("num_predict")),
        top_p=read_decimal(raw.get("top_p"), "options.top_p", 0.0, 1.0),
        top_k=read_whole(raw.get("top_k"), "options.top_k", 0, 1_000_000),
        stop=read_stops(raw.get("stop"), "options.stop", _MOST_STOPS),
        extras=_extras(raw),
    )


def _limit(raw: object) -> int | None:
    """Read `num_predict`, of which 0 and any number below are Ollama's words for no limit."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw <= 0:
        return None
    return read_whole(raw, "options.num_predict", 1, 1_000_000)


def _extras(raw: Mapping[str, Any]) -> dict[str, ParameterValue]:
    decimals = {name: read_decimal(raw.get(name), f"options.{name}", *bounds) for name, bounds in _DECIMALS.items()}
    wholes = {name: read_whole(raw.get(name), f"options.{name}", *bounds) for name, bounds in _WHOLES.items()}
    return {name: value for name, value in {**decimals, **wholes}.items() if value is not None}
