"""What can go wrong between GreenLLM and an inference server, told apart by what a caller can do about it."""

from collections.abc import Collection
from typing import ClassVar


class InferenceError(Exception):
    """Any failure of an inference server; `is_retryable` says whether the same request may succeed later."""

    is_retryable: ClassVar[bool] = False

    @property
    def log_text(self) -> str:
        """Return what a log may hold of it: no word of a server, which may quote what it was asked."""
        return str(self)


class ServerUnreachable(InferenceError):
    """Nobody answers at the address, or the connection closed before a single byte of an answer came."""

    is_retryable = True

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(
            f"The inference server at {base_url} does not answer ({reason}). "
            "Start it, or correct the base URL of the inference server."
        )
        self.base_url = base_url


class ServerForbidden(InferenceError):
    """The server's address is where no server may be; nothing was sent."""

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(f"The inference server at {base_url} is not asked: {reason}")
        self.base_url = base_url


class ModelMissing(InferenceError):
    """The server does not have the model."""

    def __init__(self, model: str, base_url: str) -> None:
        super().__init__(
            f"The server at {base_url} has no model '{model}'. "
            f"Pull or create it there, or correct the name of the deployment."
        )
        self.model = model


class RequestRefused(InferenceError):
    """The request is wrong and stays wrong; `status` is the HTTP status, None when it was never sent."""

    def __init__(self, message: str, *, status: int | None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def log_text(self) -> str:
        """Return the status alone."""
        return f"status {self.status}"


class RefusedForNow(RequestRefused):
    """The server is busy or in trouble (408, 429, 5xx); the same request may be accepted later."""

    is_retryable = True


class AccessRefused(RequestRefused):
    """The server wants a key that it was not given; `status` is None when the key is missing here already."""

    def __init__(self, base_url: str, key_variable: str, *, status: int | None, reason: str = "") -> None:
        refused = f"The server at {base_url} refused with status {status}: {reason}. "
        if status is None:
            told = f"The environment variable {key_variable}, which holds the key of {base_url}, is not set. Set it"
        elif key_variable:
            told = f"{refused}Correct the key in the environment variable {key_variable}"
        else:
            told = f"{refused}Name the environment variable that holds its key (the server's api_key_variable)"
        super().__init__(f"{told}, and start this process again.", status=status)
        self.key_variable = key_variable


class PullFailed(RequestRefused):
    """The server could not fetch a model."""

    def __init__(self, model: str, base_url: str, reason: str) -> None:
        super().__init__(
            f"The server at {base_url} cannot pull '{model}': {reason}. "
            "Correct the name, and check that the server reaches the library of models.",
            status=None,
        )
        self.model = model


class EmptyPrompt(RequestRefused):
    """There is nothing to answer; a server would take it as a request to load the model."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Nothing was sent: {what}. Give a text that is more than white space.", status=None)


class UnsupportedParameter(RequestRefused):
    """The server would ignore or refuse these parameters, so the answer would not be what was asked."""

    def __init__(
        self,
        names: Collection[str],
        server: str,
        *,
        status: int | None = None,
        remedy: str = "Remove the parameter, or use a server version that has it.",
    ) -> None:
        self.names = tuple(sorted(names))
        super().__init__(f"{server} does not support {', '.join(self.names)}. {remedy}", status=status)


class PromptTooLong(RequestRefused):
    """The prompt does not fit into the context.

    `prompt_token_count` is exact when the server refused, a lower bound when words were counted before
    sending, and what was left of the prompt when the server cut it; None when nobody told.
    """

    def __init__(
        self,
        *,
        prompt_token_count: int | None,
        context_length: int | None,
        reason: str,
        status: int | None = None,
    ) -> None:
        super().__init__(
            f"The prompt is longer than the context: {reason}. "
            "Shorten it, or give the model a longer context: by num_ctx on Ollama, elsewhere where the server starts.",
            status=status,
        )
        self.prompt_token_count = prompt_token_count
        self.context_length = context_length


class GenerationTimedOut(InferenceError):
    """The whole answer took longer than its budget; asking again would most likely take as long."""

    def __init__(self, what: str, budget_s: float, *, partial_text: str = "") -> None:
        super().__init__(
            f"{what} took longer than {budget_s:g} s and was cancelled. Raise the time budget, or lower num_predict."
        )
        self.budget_s = budget_s
        self.partial_text = partial_text


class FirstTokenTimedOut(GenerationTimedOut):
    """No token came in time: the model may still be loading, or other requests are ahead."""

    is_retryable = True

    def __init__(self, model: str, budget_s: float) -> None:
        InferenceError.__init__(
            self,
            f"'{model}' gave no token within {budget_s:g} s and the request was cancelled. "
            "Load the model first, wait until the server is idle, or raise the budget for the first token.",
        )
        self.budget_s = budget_s
        self.partial_text = ""


class StreamBroken(InferenceError):
    """The answer stopped before its last line, was garbage or held an error; `partial_text` came before."""

    is_retryable = True

    def __init__(self, reason: str, *, partial_text: str = "") -> None:
        super().__init__(
            f"The answer broke off: {reason}. Ask again; if that does not help, read the log of the server."
        )
        self.partial_text = partial_text

    @property
    def log_text(self) -> str:
        """Return that it broke off."""
        return "the answer broke off"
