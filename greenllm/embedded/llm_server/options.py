"""The `options` of a request: those of Ollama that the engine really honours, with Ollama's defaults."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from greenllm.embedded.llm_server.refusals import RequestRefusedError

DEFAULT_CONTEXT = 2048
DEFAULT_TEMPERATURE = 0.8
_LARGEST_SEED = 2**32 - 2  # one more means "random" to llama.cpp
_LARGEST_COUNT = 2**31 - 1

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class LoadOptions:
    """What a model is loaded with; another value means loading it anew. None leaves it to the server."""

    context: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen and when generation ends, in llama.cpp's terms.

    `max_tokens` -1 goes on until the context is full; `seed` -1 is random; `repeat_window` counts tokens, -1 is
    the whole context.
    """

    seed: int = -1
    temperature: float = DEFAULT_TEMPERATURE
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    max_tokens: int = -1
    stop: tuple[str, ...] = ()
    repeat_penalty: float = 1.1
    repeat_window: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


def parse_options(raw: object) -> tuple[LoadOptions, Sampling]:
    """Read the `options` of a request.

    Raises:
        RequestRefusedError: an option that is unknown or not honoured, of the wrong type or out of range.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise RequestRefusedError("options must be an object")
    options = {str(name): value for name, value in raw.items() if value is not None}
    unknown = sorted(set(options) - set(_READERS))
    if unknown:
        raise RequestRefusedError(
            f"unsupported options: {', '.join(unknown)}; supported are {', '.join(sorted(_READERS))}"
        )
    values = {name: _READERS[name](name, value) for name, value in options.items()}
    load = LoadOptions(context=_pick(values, "num_ctx", None), threads=_pick(values, "num_thread", None))
    return load, _sampling(values)


def _sampling(values: dict[str, object]) -> Sampling:
    defaults = Sampling()
    max_tokens = _pick(values, "num_predict", defaults.max_tokens)
    return Sampling(
        seed=max(_pick(values, "seed", defaults.seed), -1),
        temperature=_pick(values, "temperature", defaults.temperature),
        top_k=_pick(values, "top_k", defaults.top_k),
        top_p=_pick(values, "top_p", defaults.top_p),
        min_p=_pick(values, "min_p", defaults.min_p),
        typical_p=_pick(values, "typical_p", defaults.typical_p),
        max_tokens=max_tokens if max_tokens > 0 else -1,  # Ollama: 0 and below mean no limit
        stop=_pick(values, "stop", defaults.stop),
        repeat_penalty=_pick(values, "repeat_penalty", defaults.repeat_penalty),
        repeat_window=_pick(values, "repeat_last_n", defaults.repeat_window),
        presence_penalty=_pick(values, "presence_penalty", defaults.presence_penalty),
        frequency_penalty=_pick(values, "frequency_penalty", defaults.frequency_penalty),
    )


def _pick(values: dict[str, object], name: str, default: _Value) -> _Value:
    # The readers below have made sure that each value is of its option's type.
    return values.get(name, default)  # type: ignore[return-value]


def _whole(minimum: int, maximum: int) -> Callable[[str, object], int]:
    def read(name: str, value: object) -> int:
        # Clients in JavaScript send 40.0 for 40.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise RequestRefusedError(
                f"option {name} must be a whole number from {minimum} to {maximum}, not {value!r}"
            )
        return value

    return read


def _decimal(minimum: float, maximum: float) -> Callable[[str, object], float]:
    def read(name: str, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise RequestRefusedError(f"option {name} must be a number from {minimum:g} to {maximum:g}, not {value!r}")
        return float(value)

    return read


def _texts(name: str, value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise RequestRefusedError(f"option {name} must be a text or a list of texts, none of them empty")
    return tuple(texts)


_READERS: dict[str, Callable[[str, object], object]] = {
    "seed": _whole(-_LARGEST_COUNT, _LARGEST_SEED),
    "temperature": _decimal(0.0, 100.0),
    "top_k": _whole(0, _LARGEST_COUNT),
    "top_p": _decimal(0.0, 1.0),
    "min_p": _decimal(0.0, 1.0),
    "typical_p": _decimal(0.0, 1.0),
    "num_predict": _whole(-_LARGEST_COUNT, _LARGEST_COUNT),
    "num_ctx": _whole(1, _LARGEST_COUNT),
    "num_thread": _whole(1, os.cpu_count() or 1),
    "stop": _texts,
    "repeat_penalty": _decimal(0.01, 100.0),
    "repeat_last_n": _whole(-1, _LARGEST_COUNT),
    "presence_penalty": _decimal(-100.0, 100.0),
    "frequency_penalty": _decimal(-100.0, 100.0),
}
