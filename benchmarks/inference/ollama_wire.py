"""The Ollama wire as the `ollama` package speaks it, with the few questions that the package lacks."""

import json
from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import Any

import ollama
from pydantic import BaseModel

from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationRequest,
    LoadedModel,
    ModelDescription,
    ParameterValue,
    TextChunk,
)
from benchmarks.inference.demands import ToolCall, ToolCallPiece
from benchmarks.inference.margins import TOP_LOGPROBS
from benchmarks.inference.ollama_exchange import OllamaExchange
from benchmarks.inference.options import without_margins


class VersionAnswer(BaseModel):
    """What `/api/version` says."""

    version: str


class OllamaConnection(ollama.Client):
    """The package's client with two questions more; they use `_request`, the one way the package offers."""

    def version(self) -> VersionAnswer:
        """Ask for the version of the server."""
        return self._request(VersionAnswer, "GET", "/api/version")

    def chat_uncut(
        self,
        request: GenerationRequest,
        options: Mapping[str, ParameterValue],
        *,
        keep_alive_s: float | None,
    ) -> Iterator[ollama.ChatResponse]:
        """Stream an answer and forbid the server to cut the prompt.

        The package's own `chat` cannot say `truncate` and `shift`. Servers that know them (0.17.4 does,
        0.6.5 does not) then refuse a prompt that is too long and end an answer where the context ends.
        """
        body = chat_body(request, options, keep_alive_s=keep_alive_s)
        return self._request(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)


def chat_body(
    request: GenerationRequest, options: Mapping[str, ParameterValue], *, keep_alive_s: float | None
) -> dict[str, object]:
    """Give the body of `/api/chat` that streams an answer and forbids the server to cut the prompt."""
    body: dict[str, object] = {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "options": without_margins(options),
        "truncate": False,
        "shift": False,
        **request.demands.on_ollama(),
    }
    if TOP_LOGPROBS in options:
        body |= {"logprobs": True, TOP_LOGPROBS: options[TOP_LOGPROBS]}
    if keep_alive_s is not None:
        body["keep_alive"] = keep_alive_s
    return body


def pieces_of(exchange: OllamaExchange, line: ollama.ChatResponse) -> Iterator[TextChunk]:
    """Give the pieces of thinking and text on one line, noted in the exchange; so is how sure the text was."""
    if line.logprobs and (line.message.content or not line.message.thinking):
        exchange.margins.take([one.logprob for one in place.top_logprobs or ()] for place in line.logprobs)
    if thinking := line.message.thinking:
        exchange.budget.note_token()
        exchange.thinking_parts.append(thinking)
        yield TextChunk(thinking, is_thinking=True)
    if text := line.message.content:
        exchange.budget.note_token()
        exchange.text_parts.append(text)
        yield TextChunk(text)


def calls_of(exchange: OllamaExchange, record: Mapping[str, Any]) -> Iterator[ToolCallPiece]:
    """Give the calls of tools on one line, each whole, noted in the exchange; Any: as JSON has it.

    Older servers give a call no id.
    """
    message = record.get("message") or {}
    for told in message.get("tool_calls") or ():
        exchange.budget.note_token()
        function = told["function"]
        arguments = json.dumps(function.get("arguments") or {}, separators=(",", ":"), ensure_ascii=False)
        call = ToolCall(told.get("id") or f"call_{token_hex(4)}", function["name"], arguments)
        yield ToolCallPiece(len(exchange.tool_calls), call.id, call.name, call.arguments)
        exchange.tool_calls.append(call)


def _message(message: ChatMessage) -> dict[str, object]:
    fields: dict[str, object] = {"role": message.role, "content": message.content}
    if message.images:
        fields["images"] = [image.base64 for image in message.images]
    if message.tool_calls:
        fields["tool_calls"] = [call.on_ollama(index) for index, call in enumerate(message.tool_calls)]
    if message.tool_name:
        fields["tool_name"] = message.tool_name
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def with_tag(name: str) -> str:
    """Complete a model name as the server does: without a tag it means `latest`."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def listed_model(model: ollama.ListResponse.Model) -> ModelDescription:
    """Translate one entry of `/api/tags`."""
    family, parameter_size, quantization = _details(model)
    return ModelDescription(
        name=with_tag(model.model or ""),
        digest=model.digest or "",
        size_bytes=None if model.size is None else int(model.size),
        family=family,
        parameter_size=parameter_size,
        quantization=quantization,
    )


def loaded_model(model: ollama.ProcessResponse.Model) -> LoadedModel:
    """Translate one entry of `/api/ps`."""
    return LoadedModel(
        name=with_tag(model.model or model.name or ""),
        digest=model.digest or "",
        size_bytes=None if model.size is None else int(model.size),
        size_vram_bytes=None if model.size_vram is None else int(model.size_vram),
        context_length=model.context_length or None,
        expires_at=model.expires_at,
        file_format=(model.details and model.details.format) or "",
    )


def shown_model(name: str, shown: ollama.ShowResponse, listed: ModelDescription | None) -> ModelDescription:
    """Translate the answer of `/api/show`; digest and size come from the list, which alone has them."""
    family, parameter_size, quantization = _details(shown)
    return ModelDescription(
        name=with_tag(name),
        digest=listed.digest if listed else "",
        size_bytes=listed.size_bytes if listed else None,
        family=family,
        parameter_size=parameter_size,
        quantization=quantization,
        context_length=_architecture_number(shown.modelinfo or {}, "context_length"),
        embedding_length=_architecture_number(shown.modelinfo or {}, "embedding_length"),
        capabilities=tuple(shown.capabilities or ()),
    )


def finished(exchange: OllamaExchange, line: ollama.ChatResponse) -> Generation:
    """Make the whole answer of the pieces that came and the figures on the last line."""
    return Generation(
        text=exchange.text,
        thinking=exchange.thinking,
        prompt_token_count=line.prompt_eval_count,
        output_token_count=line.eval_count,
        total_duration_ns=line.total_duration,
        load_duration_ns=line.load_duration,
        prompt_eval_duration_ns=line.prompt_eval_duration,
        eval_duration_ns=line.eval_duration,
        time_to_first_token_ns=exchange.budget.time_to_first_token_ns,
        done_reason=line.done_reason,
        tool_calls=tuple(exchange.tool_calls),
        mean_margin_nats=exchange.margins.mean_nats,
    )


def _details(model: ollama.ListResponse.Model | ollama.ShowResponse) -> tuple[str, str, str]:
    details = model.details
    if details is None:
        return "", "", ""
    return details.family or "", details.parameter_size or "", details.quantization_level or ""


def _architecture_number(model_info: Mapping[str, Any], key: str) -> int | None:
    """Read `<architecture>.<key>`; the values are Any because a GGUF file may hold anything there."""
    number = model_info.get(f"{model_info.get('general.architecture')}.{key}")
    return number if isinstance(number, int) else None
