"""Who is at the chat page: a signed-in person, or an unnamed one on this machine where that is allowed."""

import secrets

from django.http import HttpRequest

from router.api.doors import is_anonymous_allowed
from router.conversing import Speaker

_VISITOR = "chat_visitor"


def is_welcome(request: HttpRequest) -> bool:
    """Tell whether the caller may chat."""
    return request.user.is_authenticated or is_anonymous_allowed(request)


def speaker_of(request: HttpRequest) -> Speaker:
    """Return who is there; a person without an account and without a conversation owns nothing yet."""
    if request.user.is_authenticated:
        return Speaker(request.user.pk, "")
    return Speaker(None, str(request.session.get(_VISITOR, "")))


def remembered_speaker(request: HttpRequest) -> Speaker:
    """Return who is there, and give an unnamed person a random word for the session, so that they can come back."""
    if not request.user.is_authenticated and not request.session.get(_VISITOR):
        request.session[_VISITOR] = secrets.token_hex(24)
    return speaker_of(request)
