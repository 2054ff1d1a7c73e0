"""Refuse pages that are asked for with a NUL: Postgres takes none in any text, and each view would have to know."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase

_NUL, _QUOTED = "\x00", "%00"
_OF_THE_ENDPOINT = ("/v1/", "/api/")  # which names the field, in the shape of its wire
_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
_SAID = "The address or a field holds a NUL character, which is no text. Leave it out.\n"


class RefuseNul:
    """Answers 400 where the path, the query or a field of a form holds a NUL."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Look at the address, before anything is read."""
        if request.path_info.startswith(_OF_THE_ENDPOINT):
            return self._get_response(request)
        if _NUL in request.path_info or _QUOTED in request.META.get("QUERY_STRING", ""):
            return _refused()
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponseBase | None:
        """Look at the fields, which the check of the form's token has read by now."""
        if request.method != "POST" or request.content_type not in _FORMS:
            return None
        values = (value for name, found in request.POST.lists() for value in (name, *found))
        return _refused() if any(_NUL in str(value) for value in values) else None


def _refused() -> HttpResponseBase:
    return HttpResponseBadRequest(_SAID, content_type="text/plain; charset=utf-8")
