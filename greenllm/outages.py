"""What people are told while Postgres is away: a page of its own with status 503, at once, and no trace of an error."""

import logging
import sys
from asyncio import iscoroutinefunction
from collections.abc import Callable
from typing import Any

import psycopg
from asgiref.sync import markcoroutinefunction
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults

from greenllm.pooling import impatience
from greenllm.toasts import with_toast

logger = logging.getLogger(__name__)

AWAY = "The database does not answer at the moment. Nothing is lost that was saved before; try again in a few seconds."
FULL = (
    "The database has no room left: its disk, its memory or its connections are used up. What was saved before is "
    "safe, but nothing new can be saved until an admin has made room."
)
_RETRY_AFTER_S = 5
_NO_ROOM = "53"  # class of SQLSTATE: insufficient resources
_AWAY_CLASSES = ("08", "57P", "58")  # no connection; an operator or a crash stopped the server; its files fail it


def told_outage(error: BaseException | None) -> str | None:
    """Return in words why the database cannot be used, or None where an error has another reason."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    cause = error.__cause__
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    if state is None:
        return AWAY
    if state.startswith(_NO_ROOM):
        return FULL
    return AWAY if state.startswith(_AWAY_CLASSES) else None


def told_as_503(request: HttpRequest, text: str) -> HttpResponse:
    """Return what whoever asked can read: a page, a toast for htmx, an error in JSON for clients of the endpoint."""
    response: HttpResponse
    if request.path.startswith("/api/"):
        response = JsonResponse({"error": text}, status=503)
    elif request.path.startswith("/v1/"):
        error = {"message": text, "type": "server_error", "param": None, "code": "database_unavailable"}
        response = JsonResponse({"error": error}, status=503)
    elif request.headers.get("HX-Request") == "true":
        response = with_toast(HttpResponse(status=503), text, is_problem=True)
    else:
        again = request.get_full_path() if request.method in {"GET", "HEAD"} else ""
        response = HttpResponse(render_to_string("503.html", {"text": text, "again": again}), status=503)
    response.headers["Retry-After"] = str(_RETRY_AFTER_S)
    response.headers["Cache-Control"] = "no-store"
    return response


class OutageMiddleware:
    """Lets no page wait for a Postgres that is away, and says so instead."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:  # Any: a response, or what is awaited for one
        if self._is_async:
            return self._awaited(request)
        with impatience():
            return self._get_response(request)

    async def _awaited(self, request: HttpRequest) -> HttpResponseBase:
        with impatience():
            response: HttpResponseBase = await self._get_response(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Say that the database is away, where that is why a page cannot be made."""
        text = told_outage(exception)
        if text is None:
            return None
        logger.warning("%s: %s", request.path, str(exception).strip().splitlines()[0] if str(exception) else "")
        return told_as_503(request, text)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer whatever failed outside of a page's view, such as saving its session."""
    text = told_outage(sys.exc_info()[1])
    return defaults.server_error(request) if text is None else told_as_503(request, text)
