"""How the fields of a request are read on every surface, and the error that names a wrong one. Pure."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100  # levels of lists and objects in a schema; usual ones have some ten
_COUNTS = {4: "four"}


class WireError(ValueError):
    """A request that cannot be served as it is: what goes into the error's four fields, and the HTTP status.

    `about` is the name of the model, where that is what is wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        about: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.about = about

    def as_json(self) -> dict[str, Any]:
        """Return the body that OpenAI's clients read."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class CacheWish:
    """Whether an answer of the cache may be given, and this one be kept there."""

    is_read: bool = True
    is_kept: bool = True

    def within(self, header: str) -> "CacheWish":
        """Return what is left of it by a header `Cache-Control` of the request."""
        words = {word.strip().lower() for word in header.split(",")}
        return CacheWish(self.is_read and "no-cache" not in words, self.is_kept and "no-store" not in words)


def read_cache(raw: object) -> CacheWish:
    """Read the field `cache` as LiteLLM has it: an object with `no-cache` and `no-store`; other fields are ignored."""
    if raw is None:
        return CacheWish()
    if not isinstance(raw, Mapping):
        raise WireError("'cache' must be an object with 'no-cache' or 'no-store'.", param="cache")
    return CacheWish(
        is_read=not read_flag(raw.get("no-cache"), "cache.no-cache"),
        is_kept=not read_flag(raw.get("no-store"), "cache.no-store"),
    )


def read_flag(raw: object, param: str) -> bool:
    """Read a field that is true, false or left out, which means false."""
    if raw is not None and not isinstance(raw, bool):
        raise WireError(f"'{param}' must be true or false.", param=param)
    return bool(raw)


def read_object(body: bytes) -> dict[str, Any]:
    """Read a body, which must be a JSON object."""
    if len(body) > MAX_BODY_BYTES:
        raise WireError(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413)
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"The body is not JSON ({error}).") from error
    if not isinstance(record, dict):
        raise WireError("The body must be a JSON object.")
    return record


def storable(text: str, param: str) -> str:
    """Return a text that Postgres can keep, and refuse any other."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{param} holds half of a surrogate pair, which is no text.", param=param) from error
    if "\x00" in text:
        raise WireError(f"{param} holds a NUL character.", param=param)
    return text


def require_plain(value: object, param: str) -> None:
    """Refuse what cannot be sent on or stored, anywhere in a value that a model's server gets as it is.

    Raises:
        WireError: it is nested more than `MAX_DEPTH` levels deep, or holds a number that JSON lacks, a NUL or half a
            surrogate pair; the error names `param`.
    """
    rest: list[tuple[object, int]] = [(value, 0)]
    while rest:
        part, depth = rest.pop()
        if depth > MAX_DEPTH:
            raise WireError(f"'{param}' is nested more than {MAX_DEPTH} levels deep.", param=param)
        if isinstance(part, dict):
            rest.extend((inner, depth + 1) for inner in (*part.keys(), *part.values()))
        elif isinstance(part, list):
            rest.extend((inner, depth + 1) for inner in part)
        elif isinstance(part, str):
            storable(part, param)
        elif isinstance(part, float) and not math.isfinite(part):
            raise WireError(f"'{param}' holds {part}, which is no number of JSON.", param=param)


def read_whole(raw: object, param: str, low: int, high: int) -> int | None:
    """Read a whole number within limits; None where it was left out."""
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
        raise WireError(f"'{param}' must be a whole number from {low} to {high}.", param=param)
    return raw


def read_decimal(raw: object, param: str, low: float, high: float) -> float | None:
    """Read a number within limits; None where it was left out."""
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not low <= raw <= high:
        raise WireError(f"'{param}' must be a number from {low:g} to {high:g}.", param=param)
    return float(raw)


def read_stops(raw: object, param: str = "stop", most: int = 4) -> tuple[str, ...]:
    """Read where an answer shall stop: a text, or a few."""
    if raw is None:
        return ()
    stops = [raw] if isinstance(raw, str) else raw
    if not isinstance(stops, list) or len(stops) > most or not all(isinstance(one, str) and one for one in stops):
        raise WireError(f"'{param}' must be a text or a list of up to {_COUNTS.get(most, most)} texts.", param=param)
    return tuple(storable(one, param) for one in stops)


def read_text(raw: object, param: str) -> str:
    """Read a field that is a text or left out, which means an empty one."""
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise WireError(f"'{param}' must be a text.", param=param)
    return storable(raw, param)


def read_model(raw: object, listed_at: str) -> str:
    """Read the name of a model; `listed_at` is where a client finds the names."""
    if not isinstance(raw, str) or not raw.strip():
        raise WireError(f"'model' is missing; use 'auto' or a name of GET {listed_at}.", param="model")
    return storable(raw.strip(), "model")


def read_texts(raw: object, param: str) -> tuple[str, ...]:
    """Read a field that is a text or a list of texts.

    Raises:
        WireError: it is neither, or holds numbers of tokens, which only the model itself could read.
    """
    texts = [raw] if isinstance(raw, str) else raw
    if not isinstance(texts, list) or not texts:
        raise WireError(f"'{param}' must be a text, or a list with at least one.", param=param)
    if any(isinstance(one, int | list) for one in texts):
        raise WireError(
            f"'{param}' holds numbers of tokens, which are not supported here; send texts.",
            code="unsupported_parameter",
            param=param,
        )
    if not all(isinstance(one, str) for one in texts):
        raise WireError(f"'{param}' must be a text, or a list with at least one.", param=param)
    return tuple(storable(one, param) for one in texts)


def refuse_unless(record: Mapping[str, Any], harmless: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse by name a field that would change the answer; `harmless` has the values that ask for nothing special."""
    for field, values in harmless.items():
        if record.get(field) not in values:
            raise WireError(
                f"'{field}' is not supported here; leave it out.", code="unsupported_parameter", param=field
            )
