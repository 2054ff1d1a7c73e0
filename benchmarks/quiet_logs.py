"""Logs without a word that somebody asked or a model said: what errors quote is left out above the level DEBUG.

Errors quote what they stumbled over: Postgres the row that it refuses, a parser the text that it could not read, an
inference server the prompt. Where an error happened, and of which kind it is, tells most; `LOG_LEVEL=DEBUG` all of it.
"""

import logging
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

_OURS = ("greenllm.", "benchmarks.", "labeling.", "router.")
_TRACEBACK = "Traceback (most recent call last)"
_LEFT_OUT = "what it quotes is left out; LOG_LEVEL=DEBUG tells it"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class QuietFormatter(logging.Formatter):
    """Formats records as ever, but for errors: of those the kind and the places, and words of our own alone."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback beneath it."""
        if is_wordy():
            return super().format(record)
        quiet = logging.makeLogRecord(vars(record))
        quiet.args = _quiet_arguments(record.args)
        quiet.exc_text = None  # another formatter's words
        return super().format(quiet)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802  the name is inherited
        """Return the traceback of an error and of those that led to it."""
        if is_wordy() or ei[1] is None:
            return super().formatException(ei)
        return traceback_of(ei[1])


def is_wordy() -> bool:
    """Tell whether the log may hold all of it."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def traceback_of(error: BaseException) -> str:
    """Return where an error and those that led to it happened, and of which kind they are."""
    return "\n\nwhich led to\n\n".join(_told(one) for one in reversed(list(_chain(error))))


def quiet_words(error: BaseException) -> str:
    """Return what a log may hold of an error: our own words, of other errors their kind, number and state."""
    told = getattr(error, "log_text", None)
    if isinstance(told, str):
        return told
    if f"{type(error).__module__}.".startswith(_OURS):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__}{f' (SQLSTATE {state})' if state else ''}"


def _quiet_arguments(given: Any) -> Any:  # Any: as logging has it
    if isinstance(given, dict):
        return {name: _quiet(value) for name, value in given.items()}
    return tuple(_quiet(value) for value in given) if isinstance(given, tuple) else given


def _quiet(value: object) -> object:
    if isinstance(value, BaseException):
        return quiet_words(value)
    if isinstance(value, str) and _TRACEBACK in value:  # a library that formats errors itself, as RQ does
        return _LEFT_OUT
    return value


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error, what caused it, and so on."""
    seen: set[int] = set()
    latest: BaseException | None = error
    while latest is not None and id(latest) not in seen:
        seen.add(id(latest))
        yield latest
        latest = latest.__cause__ or (None if latest.__suppress_context__ else latest.__context__)


def _told(error: BaseException) -> str:
    places = "".join(traceback.format_tb(error.__traceback__))
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{_TRACEBACK}:\n{places}{kind}: {quiet_words(error)} ({_LEFT_OUT})"
