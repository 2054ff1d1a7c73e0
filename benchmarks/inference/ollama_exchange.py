"""One request to an Ollama server: how the errors of the `ollama` package are read."""

from dataclasses import dataclass
from typing import ClassVar

import httpx
import ollama

from benchmarks.inference.errors import InferenceError
from benchmarks.inference.exchange import Exchange

_NO_STATUS = -1  # the package's word for an error line inside a stream


@dataclass(slots=True)
class OllamaExchange(Exchange):
    """The state of one request to an Ollama server."""

    # What the ollama package lets out. The last three are how it meets an answer it does not expect: no JSON or
    # missing keys (ValueError), an object instead of a text (TypeError), a list or number (AttributeError).
    package_errors: ClassVar[tuple[type[Exception], ...]] = (
        ollama.ResponseError,
        ConnectionError,
        httpx.HTTPError,
        ValueError,
        TypeError,
        AttributeError,
    )
    server_word: ClassVar[str] = "an Ollama server"

    def failure(self, error: Exception) -> InferenceError:
        """Tell which `InferenceError` an error of the package means for this request."""
        if isinstance(error, ollama.ResponseError):
            status = None if error.status_code == _NO_STATUS else error.status_code
            return self.refusal(str(error.error), status)
        return self.disturbance(error)
