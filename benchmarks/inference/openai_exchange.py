"""One request to an OpenAI-compatible server: how the errors of the `openai` package are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import openai

from benchmarks.inference.errors import InferenceError
from benchmarks.inference.exchange import Exchange


@dataclass(slots=True)
class OpenAIExchange(Exchange):
    """The state of one request to an OpenAI-compatible server."""

    # What the package lets out, and what reading an answer of another form raises: no JSON or missing keys
    # (ValueError).
    package_errors: ClassVar[tuple[type[Exception], ...]] = (openai.OpenAIError, ValueError)
    server_word: ClassVar[str] = "an OpenAI-compatible server"

    def failure(self, error: Exception) -> InferenceError:
        """Tell which `InferenceError` an error of the package means for this request."""
        if isinstance(error, openai.APIStatusError):
            return self.refusal(_message(error), error.status_code)
        if isinstance(error, openai.APIConnectionError) and error.__cause__ is not None:
            return self.disturbance(error.__cause__)
        if isinstance(error, openai.APIError):
            return self.refusal(_message(error), None)
        return self.disturbance(error)


def _message(error: openai.APIError) -> str:
    """Give the server's own words: servers put them into `message`, `detail`, or the error is a text itself."""
    body = error.body
    if isinstance(body, Mapping):
        body = body.get("message") or body.get("detail")
    return body if isinstance(body, str) and body else error.message
