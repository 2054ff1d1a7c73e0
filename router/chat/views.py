"""The chat page: own conversations at the side, the thread, and the box to write in."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from benchmarks.models import Deployment
from router.answering import AUTO_MODEL
from router.api.doors import sees_results
from router.chat.shown import shown_messages
from router.chat.visiting import is_welcome, speaker_of
from router.conversing import delete_conversation
from router.models import Conversation, PromptIndex

MAX_PROMPT_CHARACTERS = 20_000
_LISTED = 30

_View = Callable[..., HttpResponseBase]


def _welcoming(view: _View) -> _View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_welcome(request):
            return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("chat:start"))
        return view(request, *args, **kwargs)

    return wrapped


@require_safe
@never_cache
@_welcoming
def start(request: HttpRequest) -> HttpResponse:
    return chat_page(request, None)


@require_safe
@never_cache
@_welcoming
def conversation(request: HttpRequest, public_id: str) -> HttpResponse:
    return chat_page(request, own_conversation(request, public_id))


@require_safe
@never_cache
@_welcoming
def thread(request: HttpRequest, public_id: str) -> HttpResponse:
    """Return the turns alone, for the page to renew after an answer was stopped."""
    found = own_conversation(request, public_id)
    return render(
        request, "chat/_thread.html", {"shown_messages": shown_messages(found, sees_results=sees_results(request))}
    )


@require_POST
@_welcoming
def delete(request: HttpRequest, public_id: str) -> HttpResponse:
    delete_conversation(conversation=own_conversation(request, public_id))
    return HttpResponseRedirect(reverse("chat:start"))


def own_conversation(request: HttpRequest, public_id: str) -> Conversation:
    """Return one of the caller's own conversations; of another's not even its being there is told."""
    found = (
        speaker_of(request)
        .conversations()
        .filter(public_id=public_id)
        .select_related("settled__language_model")
        .first()
    )
    if found is None:
        raise Http404("no such conversation")
    return found


def chat_page(
    request: HttpRequest,
    found: Conversation | None,
    *,
    prompt: str = "",
    picked_model: str = "",
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """Return the page of a conversation, or of a new one; with a problem, what was written is still there."""
    listed = speaker_of(request).conversations().order_by("-updated_at", "-pk")
    names = Deployment.objects.active().order_by("language_model__name").values_list("language_model__name", flat=True)
    settled = found.settled if found else None
    context = {
        "conversation": found,
        "conversations": Paginator(listed, _LISTED).get_page(request.GET.get("page")),
        "shown_messages": shown_messages(found, sees_results=sees_results(request)) if found else [],
        "model_names": list(dict.fromkeys(names)),
        "picked_model": picked_model or (found.picked_model if found else AUTO_MODEL),
        "settled_model": settled.language_model.name if settled else "",
        "has_index": PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).exists(),
        "prompt": prompt,
        "problem": problem,
        "may_keep": settings.KEEP_WITH_CONSENT,
        "is_keep_ticked": request.POST.get("keep") == "yes",  # only where a problem sends the form back
        "max_prompt_characters": MAX_PROMPT_CHARACTERS,
    }
    return render(request, "chat/conversation.html", context, status=status)
