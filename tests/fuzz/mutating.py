"""Random bytes, texts and JSON, and small changes of sound ones: what all generators of bad input share."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NASTY_TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\ufeff", "\u202e", "\r", "\n", "\r\n", "\t", '"', "'", "\\",
    "=1+1", "../../etc/passwd", "{{7*7}}", "%s%n", "\u2028", "é" * 300, "x" * 5000, "NaN", "-0", "1e999", "0x10", "٣",
    "2026-13-45T99:99:99", "2026-01-31T12:00:00+00:00", "9999-12-31T23:59:59-14:00", "http://[::1", "http://a:99999/",
    "true", "null", "[]", "{}", "[" * 200, '{"a":' * 200,
)  # fmt: skip
NASTY_NUMBERS = (
    0, -1, 1, 2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 2**64, 10**400, 0.5, -0.0, 1e308, -1e308, 5e-324,
)  # fmt: skip
NASTY_JSON = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"\\ud800"', b'"\\u0000"', b"9" * 5000, b"[" * 100_000)
_BYTES = (b"\x00", b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"\xed\xa0\x80", b"\r", b'"', b"\\")
_DEEPEST = 4
_DEEP = "@deep@"  # what stands for many levels until the text is written: the JSON module's writer could not
_DEPTHS = (21, 65, 300, 480, 900, 990, 100_000)


def changed(random: Random, sound: bytes, *, most: int = 4) -> bytes:
    """Return bytes with a few of them replaced, inserted, removed, doubled or cut off."""
    content = bytearray(sound)
    for _ in range(random.randint(1, most)):
        at, step = random.randint(0, len(content)), random.randrange(6)
        if step == 0:
            content[at : at + 1] = random.randbytes(1)
        elif step == 1:
            content[at:at] = random.choice(_BYTES)
        elif step == 2:
            del content[at : at + random.randint(1, 8)]
        elif step == 3:
            content[at:at] = content[at : at + random.randint(1, 40)]
        elif step == 4:
            content[at:at] = random.choice(NASTY_JSON) if random.random() < 0.05 else random.randbytes(3)
        elif random.random() < 0.3:
            del content[at:]
    return bytes(content)


def any_json(random: Random, depth: int = 0) -> Any:
    """Return whatever JSON can hold, mostly small and nasty."""
    kind = random.randrange(9 if depth < _DEEPEST else 6)
    if kind < 2:
        return random.choice(NASTY_TEXTS)
    if kind == 2:
        return random.choice(NASTY_NUMBERS)
    if kind < 6:
        return random.choice([None, True, False])
    if kind == 6:
        return [any_json(random, depth + 1) for _ in range(random.randint(0, 3))]
    return {random.choice(NASTY_TEXTS)[:20]: any_json(random, depth + 1) for _ in range(random.randint(0, 3))}


def changed_json(random: Random, sound: Any, *, most: int = 3) -> Any:
    """Return a JSON value of which a few places hold something else, are gone or are there twice."""
    value = json.loads(json.dumps(sound))
    for _ in range(random.randint(1, most)):
        places = list(_places(value))
        if not places:
            return any_json(random)
        holder, key = random.choice(places)
        step = random.random()
        if step < 0.7:
            holder[key] = any_json(random)
        elif step < 0.75:
            holder[key] = _DEEP
        elif step < 0.9:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[random.choice(NASTY_TEXTS)[:20]] = any_json(random)
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a value as the container and the key or index."""
    found: list[tuple[Any, Any]] = []
    rest = [value]
    while rest:
        holder = rest.pop()
        keys: Sequence[Any] = (
            list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        )
        for key in keys:
            found.append((holder, key))
            rest.append(holder[key])
    return found


def as_text(random: Random, value: Any) -> bytes:
    """Write a JSON value; lone surrogates stay escaped, as a client could send them."""
    text = json.dumps(value, ensure_ascii=True, separators=random.choice([(",", ":"), (", ", ": ")]))
    depth, (begin, end) = random.choice(_DEPTHS), random.choice([("[", "]"), ('{"a":', "}")])
    return text.replace(f'"{_DEEP}"', f"{begin * depth}0{end * depth}").encode()


def spoilt_json(random: Random, sound: Any) -> bytes:
    """Return the text of a changed value, now and then broken as text too."""
    text = as_text(random, changed_json(random, sound))
    return changed(random, text) if random.random() < 0.3 else text


def spoilt_lines(random: Random, lines: Sequence[Any], write: Callable[[Random, Any], bytes] = as_text) -> bytes:
    """Return JSON lines of which some are changed."""
    written = [write(random, changed_json(random, one) if random.random() < 0.5 else one) for one in lines]
    text = random.choice([b"\n", b"\n", b"\r\n"]).join(written)
    return changed(random, text) if random.random() < 0.5 else text
