"""What a page says after something was done: a toast for htmx, a message on the next page without it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_htmx.http import trigger_client_event


def with_toast(response: HttpResponse, text: str, *, is_problem: bool = False) -> HttpResponse:
    """Have page.js show a text on top of the page that htmx changes; a problem stays until it is closed."""
    return trigger_client_event(response, "toast", {"text": text, "is_problem": is_problem})


def said(request: HttpRequest, text: str, *, then: str, is_problem: bool = False) -> HttpResponse:
    """Say a text and change nothing else: on this page where htmx asked, else on the page named `then`."""
    if getattr(request, "htmx", False):
        return with_toast(HttpResponse(status=204), text, is_problem=is_problem)
    (messages.error if is_problem else messages.success)(request, text)
    return redirect(then)
