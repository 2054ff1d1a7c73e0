"""The chat page: own conversations at the side, the thread, and the box to write in."""

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.models import Deployment
from router.answering import AUTO_MODEL
from router.api.doors import sees_results
from router.chat.shown import shown_conversation
from router.chat.visiting import is_welcome, speaker_of
from router.manner import MOST_SYSTEM_CHARACTERS, Manner
from router.models import Conversation, Message, PromptIndex
from router.wishes import DIALS

MAX_PROMPT_CHARACTERS = 20_000
_LISTED = 30
_LONGEST_SEARCH = 200
# short prompts of different kinds, for whoever has none at hand; none is anybody's own
_EXAMPLES = (
    "Write a Python function that reverses a string.",
    "A train covers 180 km in 2 hours. How fast is it?",
    "Who wrote the play Faust?",
    "Translate to German: Good morning, how are you?",
)

_View = Callable[..., HttpResponseBase]


def welcoming(view: _View) -> _View:
    """Have whoever may not chat sign in first."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_welcome(request):
            return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("chat:start"))
        return view(request, *args, **kwargs)

    return wrapped


@require_safe
@never_cache
@welcoming
def start(request: HttpRequest) -> HttpResponse:
    """Show an empty conversation; an example of which the address tells the number stands in its box, not yet sent."""
    examples = {str(number): text for number, text in enumerate(_EXAMPLES, 1)}
    return chat_page(request, None, prompt=examples.get(request.GET.get("example", ""), ""))


@require_safe
@never_cache
@welcoming
def conversation(request: HttpRequest, public_id: str) -> HttpResponse:
    found = own_conversation(request, public_id)
    edited = _edited(found, request.GET.get("edit", ""))
    return chat_page(request, found, edited=edited, prompt=edited.text if edited else "")


@require_safe
@never_cache
@welcoming
def turns(request: HttpRequest, public_id: str) -> HttpResponse:
    """Return the turns alone, for the page to renew after an answer was stopped."""
    return thread(request, own_conversation(request, public_id))


def thread(request: HttpRequest, found: Conversation) -> HttpResponse:
    """Return the turns of a conversation and what they have cost, alone."""
    shown = shown_conversation(found, sees_results=sees_results(request))
    return render(request, "chat/_turns.html", {"shown_messages": shown.messages, "carbon": shown.carbon})


def _written_manner(request: HttpRequest, found: Conversation | None) -> dict[str, Any]:
    """Return the fields of the instructions and parameters: as a form that came back has them, else as kept."""
    kept = found.manner if found else Manner()
    fields = {name: "" if value is None else str(value) for name, value in asdict(kept).items()}
    written = {name: request.POST[name] for name in fields if name in request.POST}
    return {**fields, **written, "is_plain": kept.is_plain and written.items() <= fields.items()}


def _edited(found: Conversation, written: str) -> Message | None:
    """Return the own turn that is to be changed, None where there is none."""
    is_number = written.isascii() and written.isdecimal() and len(written) < 19
    return found.messages.filter(pk=int(written), role=Message.Role.USER).first() if is_number else None


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
    edited: Message | None = None,
    picked_model: str = "",
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """Return the page of a conversation, or of a new one; with a problem, what was written is still there."""
    listed = speaker_of(request).conversations().order_by("-updated_at", "-pk")
    words = request.GET.get("q", "").replace("\x00", "").strip()[:_LONGEST_SEARCH]
    if words:
        listed = listed.holding(words)
    names = Deployment.objects.active().order_by("language_model__name").values_list("language_model__name", flat=True)
    settled = found.settled if found else None
    shown = shown_conversation(found, sees_results=sees_results(request)) if found else None
    context = {
        "conversation": found,
        "conversations": Paginator(listed, _LISTED).get_page(request.GET.get("page")),
        "words": words,
        "shown_messages": shown.messages if shown else [],
        "carbon": shown.carbon if shown else None,
        "model_names": list(dict.fromkeys(names)),
        "picked_model": picked_model or (found.picked_model if found else AUTO_MODEL),
        "settled_model": settled.language_model.name if settled else "",
        "dials": [AUTO_MODEL, *DIALS],
        "manner": _written_manner(request, found),
        "max_system_characters": MOST_SYSTEM_CHARACTERS,
        "has_index": PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).exists(),
        "prompt": prompt,
        "examples": _EXAMPLES,
        "edited_key": edited.pk if edited else request.POST.get("edit", ""),
        "problem": problem,
        "may_keep": settings.KEEP_WITH_CONSENT,
        "is_keep_ticked": request.POST.get("keep") == "yes",  # only where a problem sends the form back
        "max_prompt_characters": MAX_PROMPT_CHARACTERS,
    }
    return render(request, "chat/conversation.html", context, status=status)
