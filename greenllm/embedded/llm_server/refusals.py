"""Why a request cannot be answered, with the HTTP status that says so."""

from http import HTTPStatus


class RequestRefusedError(Exception):
    """A request that gets `{"error": message}` with a status instead of an answer."""

    status = HTTPStatus.BAD_REQUEST


class ModelNotFoundError(RequestRefusedError):
    """There is no model of that name."""

    status = HTTPStatus.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' not found")


class ModelBeingPreparedError(RequestRefusedError):
    """The model's file is still being made; asking again later helps."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' is being prepared")


class ModelUnusableError(RequestRefusedError):
    """The model's file is damaged, cannot be made, or the engine cannot load it."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class GenerationFailedError(RequestRefusedError):
    """The engine failed while it worked."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class NotOfferedError(RequestRefusedError):
    """A part of Ollama's protocol that this server leaves out on purpose."""

    status = HTTPStatus.NOT_IMPLEMENTED
