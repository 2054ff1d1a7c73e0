"""Refuse pages that are asked for with a NUL: Postgres takes none in any text, and each view would have to know."""

from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

_NUL, _QUOTED = "\x00", "%00"
_OF_THE_ENDPOINT = ("/v1/", "/api/")  # which names the field, in the shape of its wire
_SAID = "The address holds a NUL character, which is no text. Leave it out.\n"


class RefuseNul(MiddlewareMixin):
    """Answers 400 where the path or the query holds a NUL; the forms name their fields themselves."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """Look at the address, before anything is read."""
        if request.path_info.startswith(_OF_THE_ENDPOINT):
            return None
        if _NUL in request.path_info or _QUOTED in request.META.get("QUERY_STRING", ""):
            return HttpResponseBadRequest(_SAID, content_type="text/plain; charset=utf-8")
        return None
