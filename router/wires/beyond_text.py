"""How images and the format of an answer are read on both wires. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from benchmarks.inference.demands import AnswerFormat, Image
from router.wires.fields import WireError, read_text, require_plain

_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,", re.IGNORECASE)
_FORMATS = ("text", "json_object", "json_schema")
_BEGINNINGS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}
_LOOKED_AT = 16  # characters of base64 that hold the beginning


def read_image_part(part: Mapping[str, Any], param: str) -> Image:
    """Read a part of a message of OpenAI's wire with an image, which must be a data URL.

    Raises:
        WireError: it is an address, which this server does not fetch, or no base64.
    """
    told = part.get("image_url")
    url = read_text(told.get("url") if isinstance(told, Mapping) else told, f"{param}.image_url.url")
    found = _DATA_URL.match(url)
    if found is None:
        raise WireError(
            f"{param}.image_url.url must be a data URL (data:image/png;base64,...); nothing is fetched from elsewhere.",
            code="unsupported_parameter",
            param=f"{param}.image_url.url",
        )
    return Image(found[1].lower(), _base64(url[found.end() :], f"{param}.image_url.url"))


def read_images(raw: object, param: str) -> tuple[Image, ...]:
    """Read the `images` of Ollama's wire: base64 without a word on the kind, which the beginning tells.

    Raises:
        WireError: one is no base64, or of a kind that nobody knows.
    """
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise WireError(f"'{param}' must be a list of images in base64.", param=param)
    return tuple(_image(one, f"{param}[{number}]") for number, one in enumerate(raw))


def read_response_format(raw: object) -> AnswerFormat | None:
    """Read `response_format` of OpenAI's wire; None where a text is wanted.

    Raises:
        WireError: it is none of the formats, or lacks its schema.
    """
    if raw is None:
        return None
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if kind not in _FORMATS or not isinstance(raw, Mapping):
        raise WireError(f"'response_format' must have a 'type' of {', '.join(_FORMATS)}.", param="response_format")
    if kind == "text":
        return None
    if kind == "json_object":
        return AnswerFormat()
    named = raw.get("json_schema")
    if not isinstance(named, Mapping) or not isinstance(named.get("schema"), Mapping):
        param = "response_format.json_schema"
        raise WireError(f"'{param}' must be an object with a 'schema'.", param=param)
    require_plain(named, "response_format.json_schema")
    return AnswerFormat(named)


def read_format(raw: object) -> AnswerFormat | None:
    """Read `format` of Ollama's wire; None where a text is wanted.

    Raises:
        WireError: it is neither `json` nor a schema.
    """
    if raw is None or raw == "":
        return None
    if raw == "json":
        return AnswerFormat()
    if not isinstance(raw, Mapping):
        raise WireError("'format' must be \"json\" or a JSON schema.", param="format")
    require_plain(raw, "format")
    return AnswerFormat({"name": "answer", "schema": raw})


def _image(raw: object, param: str) -> Image:
    text = _base64(read_text(raw, param), param)
    beginning = base64.b64decode(text[:_LOOKED_AT])
    for known, kind in _BEGINNINGS.items():
        if beginning.startswith(known):
            return Image(kind, text)
    raise WireError(f"'{param}' is no PNG, JPEG, GIF or WebP.", param=param)


def _base64(text: str, param: str) -> str:
    try:
        is_image = bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        is_image = False
    if not is_image:
        raise WireError(f"'{param}' holds no image in base64.", param=param)
    return text
