"""One request to an Ollama server: what is known about it, and which `InferenceError` a failure means."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import httpx
import ollama

from benchmarks.inference.budget import TimeBudget
from benchmarks.inference.errors import (
    FirstTokenTimedOut,
    GenerationTimedOut,
    InferenceError,
    ModelMissing,
    RefusedForNow,
    RequestRefused,
    ServerUnreachable,
    StreamBroken,
    UnsupportedParameter,
)
from benchmarks.inference.prompt_length import too_long_by_message

Line = TypeVar("Line")

# What the ollama package lets out. The last three are how it meets an answer it does not expect: no JSON or
# missing keys (ValueError), an object instead of a text (TypeError), a list or number (AttributeError).
PACKAGE_ERRORS = (
    ollama.ResponseError,
    ConnectionError,
    httpx.HTTPError,
    ValueError,
    TypeError,
    AttributeError,
)

_REQUEST_TIMEOUT = 408
_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
_INTERNAL_SERVER_ERROR = 500
_NO_STATUS = -1  # the package's word for an error line inside a stream

_UNSUPPORTED = re.compile(
    r"unsupported (?:option|parameter)s?:?\s*['\"]?(?P<after>\w+)"
    r"|(?:option|parameter)\s+['\"]?(?P<before>\w+)['\"]? is not supported",
    re.IGNORECASE,
)
_WRONG_TYPE = re.compile(r"option \"\w+\" must be of")  # real servers answer this with 500 although it never heals


@dataclass(slots=True)
class Exchange:
    """The state of one request.

    `activity` names what takes long, for the message of a timeout; None marks a question about the server
    itself, where no answer in time means that the server is not well.
    """

    base_url: str
    budget: TimeBudget
    model: str | None = None
    activity: str | None = None
    context: int | None = None
    has_answer: bool = False
    text_parts: list[str] = field(default_factory=list)
    thinking_parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Give the text that has arrived so far."""
        return "".join(self.text_parts)

    @property
    def thinking(self) -> str | None:
        """Give the reasoning that has arrived so far, or None when the server sent none."""
        return "".join(self.thinking_parts) or None

    def lines(self, source: Iterable[Line]) -> Iterator[Line]:
        """Pass the lines of a stream on and raise its failures as `InferenceError`s."""
        try:
            for line in source:
                self.has_answer = True
                yield line
        except PACKAGE_ERRORS as error:
            raise self.failure(error) from error

    def failure(self, error: Exception) -> InferenceError:
        """Tell which `InferenceError` an error of the package means for this request."""
        if isinstance(error, ollama.ResponseError):
            return self._refusal(str(error.error), error.status_code)
        if isinstance(error, httpx.ConnectTimeout):
            return ServerUnreachable(self.base_url, "no connection in time")
        if isinstance(error, httpx.TimeoutException):
            return self._timeout()
        if isinstance(error, (ConnectionError, httpx.ConnectError, httpx.UnsupportedProtocol)):
            return ServerUnreachable(self.base_url, "no connection")
        if isinstance(error, httpx.TransportError) and not self.has_answer:
            return ServerUnreachable(self.base_url, "it closed the connection without an answer")
        if isinstance(error, httpx.TransportError):
            return StreamBroken("the connection closed in the middle", partial_text=self.text)
        return StreamBroken(f"it is not what an Ollama server sends ({type(error).__name__})", partial_text=self.text)

    def _timeout(self) -> InferenceError:
        if self.activity is None:
            return ServerUnreachable(self.base_url, f"no answer within {self.budget.total_s:g} s")
        if self.budget.waits_for_first_token:
            return FirstTokenTimedOut(self.model or "", self.budget.first_token_s)
        return GenerationTimedOut(self.activity, self.budget.total_s, partial_text=self.text)

    def _refusal(self, message: str, status: int) -> InferenceError:
        sent_status = None if status == _NO_STATUS else status
        if too_long := too_long_by_message(message, context=self.context, status=sent_status):
            return too_long
        if sent_status is None:
            return StreamBroken(f"the server reported '{message}'", partial_text=self.text)
        if status == _NOT_FOUND and self.model is not None and "model" in message and "not found" in message:
            return ModelMissing(self.model, self.base_url)
        if unsupported := _UNSUPPORTED.search(message):
            name = unsupported["after"] or unsupported["before"]
            return UnsupportedParameter([name], f"The server at {self.base_url}", status=status)
        return self._other_refusal(message, status)

    def _other_refusal(self, message: str, status: int) -> RequestRefused:
        reason = message.strip() or "no reason given"
        told = f"The server at {self.base_url} refused with status {status}: {reason}. "
        if status == _NOT_FOUND:
            return RequestRefused(told + "Check that the base URL is that of an Ollama server.", status=status)
        may_heal = status in {_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS} or status >= _INTERNAL_SERVER_ERROR
        if may_heal and not _WRONG_TYPE.search(message):
            return RefusedForNow(told + "Ask again later, or read the log of the server.", status=status)
        return RequestRefused(told + "Correct the request.", status=status)
