"""One request to an inference server: what is known about it, and which `InferenceError` a failure means."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import httpx

from benchmarks.inference.budget import TimeBudget
from benchmarks.inference.demands import ToolCall
from benchmarks.inference.errors import (
    AccessRefused,
    FirstTokenTimedOut,
    GenerationTimedOut,
    InferenceError,
    ModelMissing,
    RefusedForNow,
    RequestRefused,
    ServerForbidden,
    ServerUnreachable,
    StreamBroken,
    UnsupportedParameter,
)
from benchmarks.inference.margins import Margins
from benchmarks.inference.prompt_length import too_long_by_message

Line = TypeVar("Line")

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_REQUEST_TIMEOUT = 408
_TOO_MANY_REQUESTS = 429
_INTERNAL_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501

_UNSUPPORTED = re.compile(
    r"unsupported (?:option|parameter)s?:?\s*['\"]?(?P<after>\w+)"
    r"|(?:option|parameter)\s+['\"]?(?P<before>\w+)['\"]? is not supported",
    re.IGNORECASE,
)
# What real servers answer with 500 although it never heals: a wrong type (Ollama), a model for another task.
_NEVER_HEALS = re.compile(r"option \"\w+\" must be of|does not support")


@dataclass(slots=True)
class Exchange(ABC):
    """The state of one request; each kind of server has a subclass that knows the errors of its package.

    `activity` names what takes long, for the message of a timeout; None marks a question about the server
    itself, where no answer in time means that the server is not well.
    """

    package_errors: ClassVar[tuple[type[Exception], ...]]
    server_word: ClassVar[str]

    base_url: str
    budget: TimeBudget
    model: str | None = None
    activity: str | None = None
    context: int | None = None
    key_variable: str = ""
    has_answer: bool = False
    text_parts: list[str] = field(default_factory=list)
    thinking_parts: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    margins: Margins = field(default_factory=Margins)

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
        except self.package_errors as error:
            raise self.failure(error) from error

    @abstractmethod
    def failure(self, error: Exception) -> InferenceError:
        """Tell which `InferenceError` an error of the package means for this request."""

    def disturbance(self, error: BaseException) -> InferenceError:
        """Tell what an error means that is no refusal: of the connection, the clock or the form of the answer."""
        if self.budget.forbidden_address:
            return ServerForbidden(self.base_url, self.budget.forbidden_address)
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
        return StreamBroken(f"it is not what {self.server_word} sends ({type(error).__name__})", partial_text=self.text)

    def refusal(self, message: str, status: int | None) -> InferenceError:
        """Tell what a refusal in the server's own words means; None is the status of an error inside a stream."""
        if too_long := too_long_by_message(message, context=self.context, status=status):
            return too_long
        if status is None:
            return StreamBroken(f"the server reported '{message}'", partial_text=self.text)
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            return AccessRefused(self.base_url, self.key_variable, status=status, reason=_reason(message))
        if status == _NOT_FOUND and self.model is not None and self.names_missing_model(message):
            return ModelMissing(self.model, self.base_url)
        if unsupported := _UNSUPPORTED.search(message):
            name = unsupported["after"] or unsupported["before"]
            return UnsupportedParameter([name], f"The server at {self.base_url}", status=status)
        return self._other_refusal(message, status)

    def names_missing_model(self, message: str) -> bool:
        """Say whether a 404 is about the model and not about the address."""
        return "model" in message and ("not found" in message or "does not exist" in message)

    def _timeout(self) -> InferenceError:
        if self.activity is None:
            return ServerUnreachable(self.base_url, f"no answer within {self.budget.total_s:g} s")
        if self.budget.waits_for_first_token:
            return FirstTokenTimedOut(self.model or "", self.budget.first_token_s)
        return GenerationTimedOut(self.activity, self.budget.total_s, partial_text=self.text)

    def _other_refusal(self, message: str, status: int) -> RequestRefused:
        told = f"The server at {self.base_url} refused with status {status}: {_reason(message)}. "
        if status == _NOT_FOUND:
            return RequestRefused(told + f"Check that the base URL is that of {self.server_word}.", status=status)
        may_heal = status in {_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS} or status >= _INTERNAL_SERVER_ERROR
        if may_heal and status != _NOT_IMPLEMENTED and not _NEVER_HEALS.search(message):
            return RefusedForNow(told + "Ask again later, or read the log of the server.", status=status)
        return RequestRefused(told + "Correct the request.", status=status)


def _reason(message: str) -> str:
    return message.strip().rstrip(".") or "no reason given"
