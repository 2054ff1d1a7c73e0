"""Have expressions evaluated beside a solution in a sandbox, and read what comes back."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeling.grading import inside
from labeling.grading.parsing import read_literal
from labeling.sandbox import Killed, Sandbox

MEMORY_BYTES = 512 * 1024 * 1024
_INSIDE = Path(inside.__file__).read_text(encoding="utf8")
_CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


@dataclass(frozen=True)
class Value:
    """What an expression gave, of built-in types only."""

    value: object


@dataclass(frozen=True)
class Trouble:
    """Why an expression gave no value that can be compared."""

    reason: str


Outcome = Value | Trouble


def evaluate(
    *, sandbox: Sandbox, code: str, setup: str, expressions: Sequence[str], timeout_s: float
) -> list[Outcome] | Trouble:
    """Run a solution and its set-up in a sandbox and evaluate expressions; one outcome for each, or one for all.

    Raises:
        SandboxError: nothing was run.
    """
    nonce = secrets.token_hex(16)
    order = f"nonce={nonce!r}, code={code!r}, setup={setup!r}, expressions={list(expressions)!r}"
    result = sandbox.run(f"{_INSIDE}\n\nreport({order})\n", timeout_s=timeout_s, memory_bytes=MEMORY_BYTES)
    if result.killed is Killed.TIME:
        return Trouble(f"It took more than {timeout_s:g} s.")
    if result.killed is Killed.OUTPUT:
        return Trouble("Its results are too long.")
    return _read(result.stdout, nonce=nonce, count=len(expressions))


def _read(stdout: bytes, *, nonce: str, count: int) -> list[Outcome] | Trouble:
    """Read the one line of `inside.report`; a line without the nonce, or of another form, is none."""
    try:
        said, failure, outcomes = read_literal(stdout.decode("ascii"))
        if said != nonce:
            return Trouble("It ended without a result of ours.")
        if failure:
            return Trouble(f"It does not run: {failure}")
        if len(outcomes) == count:
            return [_outcome(*outcome) for outcome in outcomes]
    except (ValueError, TypeError, SyntaxError, ArithmeticError, MemoryError, RecursionError):
        pass
    return Trouble("It ended before its tests did.")


def _outcome(kind: str, content: Any) -> Outcome:
    if kind != "value":
        return Trouble(f"It raises {content}")
    try:
        return Value(_plain_value(*content))
    except _NotPlain as error:
        return Trouble(f"It gives a {error}, which cannot be compared.")


class _NotPlain(Exception):
    """A value is of a class that cannot cross; the message is its name."""


def _plain_value(kind: str, content: Any) -> object:
    if kind == "other":
        raise _NotPlain(str(content)[:100])
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](_plain_value(*part) for part in content)
    if kind == "dict":
        return {_plain_value(*key): _plain_value(*part) for key, part in content}
    if kind == "int":
        return int(content, 16)
    if kind == "float":
        return float.fromhex(content)
    if kind == "complex":
        return complex(float.fromhex(content[0]), float.fromhex(content[1]))
    if kind == "bytes":
        return bytes.fromhex(content)
    return content
