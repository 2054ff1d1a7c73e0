"""Refuse pages that are asked for with a NUL: Postgres takes none in any text, and each view would have to know."""

from django.db import DataError
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

_NUL, _QUOTED = "\x00", "%00"
_OF_THE_ENDPOINT = ("/v1/", "/api/")  # which names the field, in the shape of its wire
_SAID = "The {} holds a NUL character, which is no text. Leave it out.\n"


class RefuseNul(MiddlewareMixin):
    """Answers 400 where the path or the query holds a NUL, and where a form fails on one that nobody looked for."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """Look at the address, before anything is read."""
        if request.path_info.startswith(_OF_THE_ENDPOINT):
            return None
        if _NUL in request.path_info or _QUOTED in request.META.get("QUERY_STRING", ""):
            return _refused("address")
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Take what Postgres or the system of files says of a NUL for the wrong input that it is.

        Pages with a word of their own for it (chat, labeling) never come here. Files are none of this.
        """
        if not isinstance(exception, ValueError | DataError) or not _has_nul(request):
            return None
        return _refused("form")


def _has_nul(request: HttpRequest) -> bool:
    return any(_NUL in text for name in request.POST for text in (name, *request.POST.getlist(name)))


def _refused(what: str) -> HttpResponseBadRequest:
    return HttpResponseBadRequest(_SAID.format(what), content_type="text/plain; charset=utf-8")
