"""Turn the JSON of a request into what is asked for, refusing what this server cannot do."""

import math
import re
from dataclasses import dataclass
from datetime import timedelta

from greenllm.embedded.llm_server.options import LoadOptions, Sampling, parse_options
from greenllm.embedded.llm_server.refusals import RequestRefusedError

JsonObject = dict[str, object]

_ROLES = {"system", "user", "assistant", "tool"}
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"-?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
_DEFAULT_KEEP_ALIVE = timedelta(minutes=5)
_ANY_OBJECT = {"type": "object"}
_MOST_LOGPROBS = 20


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True)
class GenerationOrder:
    """A chat or a generation that is asked for.

    Without messages and raw prompt it only loads the model, or unloads it when `keep_alive` is zero. `keep_alive`
    None means for good. `schema` is the JSON schema that the answer must obey, or None. `top_logprobs` is how many of
    the likeliest tokens are told with their log probabilities at each place, None where nothing is.
    """

    model: str
    messages: tuple[Message, ...]
    raw_prompt: str | None
    is_streamed: bool
    load: LoadOptions
    sampling: Sampling
    schema: JsonObject | None
    keep_alive: timedelta | None
    top_logprobs: int | None = None

    @property
    def is_empty(self) -> bool:
        return not self.messages and not self.raw_prompt


@dataclass(frozen=True)
class EmbeddingOrder:
    """Texts whose embeddings are asked for; `truncates` cuts those that are too long instead of refusing them."""

    model: str
    texts: tuple[str, ...]
    truncates: bool
    load: LoadOptions
    keep_alive: timedelta | None


def parse_chat(body: JsonObject) -> GenerationOrder:
    """Read the body of POST /api/chat.

    Raises:
        RequestRefusedError: something is missing, of the wrong type, or not offered.
    """
    name = model_name(body)
    if body.get("tools"):
        raise RequestRefusedError(f'"{name}" does not support tools')
    raw_messages = body.get("messages") or []
    if not isinstance(raw_messages, list):
        raise RequestRefusedError("messages must be a list")
    return _generation(body, name, tuple(_message(raw) for raw in raw_messages), None)


def parse_generate(body: JsonObject) -> GenerationOrder:
    """Read the body of POST /api/generate.

    Raises:
        RequestRefusedError: something is missing, of the wrong type, or not offered.
    """
    name = model_name(body)
    for field in ("suffix", "template", "context", "images"):
        if body.get(field):
            raise RequestRefusedError(f"{field} is not supported")
    prompt, system = _text(body, "prompt"), _text(body, "system")
    if _flag(body, "raw", default=False):
        if system:
            raise RequestRefusedError("raw mode does not support template, system, or context")
        return _generation(body, name, (), prompt)
    messages = [Message("system", system)] if system and prompt else []
    if prompt:
        messages.append(Message("user", prompt))
    return _generation(body, name, tuple(messages), None)


def parse_embed(body: JsonObject) -> EmbeddingOrder:
    """Read the body of POST /api/embed.

    Raises:
        RequestRefusedError: something is missing, of the wrong type, or not offered.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if texts is None:
        texts = []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestRefusedError("input must be a text or a list of texts")
    return _embedding(body, tuple(texts))


def parse_legacy_embedding(body: JsonObject) -> EmbeddingOrder:
    """Read the body of POST /api/embeddings, the older form with one text.

    Raises:
        RequestRefusedError: something is missing, of the wrong type, or not offered.
    """
    prompt = _text(body, "prompt")
    return _embedding(body, (prompt,) if prompt else ())


def model_name(body: JsonObject) -> str:
    """Return the model that a request names; `name` is the older form.

    Raises:
        RequestRefusedError: it names none.
    """
    name = body.get("model") or body.get("name")
    if not isinstance(name, str):
        raise RequestRefusedError("model is required")
    return name


def _generation(body: JsonObject, name: str, messages: tuple[Message, ...], raw_prompt: str | None) -> GenerationOrder:
    if body.get("think"):
        raise RequestRefusedError(f'"{name}" does not support thinking')
    load, sampling = parse_options(body.get("options"))
    return GenerationOrder(
        model=name,
        messages=messages,
        raw_prompt=raw_prompt,
        is_streamed=_flag(body, "stream", default=True),
        load=load,
        sampling=sampling,
        schema=_schema(body.get("format")),
        keep_alive=parse_keep_alive(body.get("keep_alive")),
        top_logprobs=_top_logprobs(body),
    )


def _top_logprobs(body: JsonObject) -> int | None:
    """Read how many likely tokens are told; only `logprobs` asks for any, as in Ollama."""
    count = body.get("top_logprobs") or 0
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST_LOGPROBS:
        raise RequestRefusedError(f"top_logprobs must be between 0 and {_MOST_LOGPROBS}")
    return count if _flag(body, "logprobs", default=False) else None


def _embedding(body: JsonObject, texts: tuple[str, ...]) -> EmbeddingOrder:
    if body.get("dimensions"):
        raise RequestRefusedError("dimensions is not supported")
    load, _sampling = parse_options(body.get("options"))
    return EmbeddingOrder(
        model=model_name(body),
        texts=texts,
        truncates=_flag(body, "truncate", default=True),
        load=load,
        keep_alive=parse_keep_alive(body.get("keep_alive")),
    )


def parse_keep_alive(raw: object) -> timedelta | None:
    """Read how long a model stays loaded: seconds or a Go duration such as `1h30m`; negative means for good (None).

    Raises:
        RequestRefusedError: neither of them.
    """
    if raw is None:
        return _DEFAULT_KEEP_ALIVE
    if isinstance(raw, str):
        seconds = _duration_seconds(raw)
    elif isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw):
        seconds = float(raw)
    else:
        raise RequestRefusedError(f"keep_alive must be a number of seconds or a duration, not {raw!r}")
    if seconds < 0:
        return None
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        return None


def _duration_seconds(raw: str) -> float:
    if raw in {"0", "-0"}:
        return 0.0
    if not _DURATION.fullmatch(raw):
        raise RequestRefusedError(f'keep_alive "{raw}" is no duration such as "5m", "1h30m" or "-1s"')
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(raw))
    return -seconds if raw.startswith("-") else seconds


def _message(raw: object) -> Message:
    if not isinstance(raw, dict):
        raise RequestRefusedError("each message must be an object")
    role, content = raw.get("role"), raw.get("content", "")
    if role not in _ROLES:
        raise RequestRefusedError(f"the role of a message must be one of {', '.join(sorted(_ROLES))}")
    if not isinstance(content, str):
        raise RequestRefusedError("the content of a message must be a text")
    if raw.get("images"):
        raise RequestRefusedError("images are not supported")
    if raw.get("tool_calls"):
        raise RequestRefusedError("tool_calls are not supported")
    return Message(str(role), content)


def _schema(raw: object) -> JsonObject | None:
    if raw is None or raw == "":
        return None
    if raw == "json":
        return dict(_ANY_OBJECT)
    if isinstance(raw, dict):
        return raw
    raise RequestRefusedError('format must be "json" or a JSON schema')


def _text(body: JsonObject, field: str) -> str:
    value = body.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestRefusedError(f"{field} must be a text")
    return value


def _flag(body: JsonObject, field: str, *, default: bool) -> bool:
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise RequestRefusedError(f"{field} must be true or false")
    return value
