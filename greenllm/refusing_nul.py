"""Refuse pages that are asked for with a NUL: Postgres takes none in any text, and each view would have to know."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase

_NUL, _QUOTED = "\x00", "%00"
_OF_THE_ENDPOINT = ("/v1/", "/api/")  # which names the field, in the shape of its wire
_SAID = "The address holds a NUL character, which is no text. Leave it out.\n"


class RefuseNul:
    """Answers 400 where the path or the query holds a NUL; the forms name their fields themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Look at the address, before anything is read."""
        if request.path_info.startswith(_OF_THE_ENDPOINT):
            return self._get_response(request)
        if _NUL in request.path_info or _QUOTED in request.META.get("QUERY_STRING", ""):
            return _refused()
        return self._get_response(request)


def _refused() -> HttpResponseBase:
    return HttpResponseBadRequest(_SAID, content_type="text/plain; charset=utf-8")
