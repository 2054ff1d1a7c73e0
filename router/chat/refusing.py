"""Have a prompt answered once more: by the next larger model, because its answer is not good enough, or as it stands.

As with sending, the script gets lines of JSON as they come, and a form without one waits for the whole answer.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from asgiref.sync import sync_to_async
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from benchmarks.inference.interruption import Interruption
from router.api.doors import sees_results
from router.chat.sending import (
    STREAM_TYPE,
    Unacceptable,
    lines_of,
    manner_of,
    number_of,
    page_with_problem,
    picked_model_of,
    streamed,
    told,
    whole,
)
from router.chat.views import chat_page, own_conversation
from router.chat.visiting import is_welcome, speaker_of
from router.connections import DatabasePlace
from router.conversing import Speaker, answer_anew
from router.conversing import regenerate as regenerate_answer
from router.manner import Manner
from router.models import Conversation
from router.wiring import interruptible_gateway


@dataclass(frozen=True)
class _Refusal:
    speaker: Speaker
    conversation: Conversation
    answer_id: int
    picked_model: str
    sees_results: bool
    manner: Manner | None


_Answering = Callable[[_Refusal, Interruption], Generator[bytes, None, None]]


@require_POST
async def refuse(request: HttpRequest) -> HttpResponseBase:
    return await _answer_again(request, _lines_anew)


@require_POST
async def regenerate(request: HttpRequest) -> HttpResponseBase:
    return await _answer_again(request, _lines_again)


async def _answer_again(request: HttpRequest, answering: _Answering) -> HttpResponseBase:
    if STREAM_TYPE not in request.headers.get("Accept", ""):
        return await _answer_form(request, answering)
    try:
        refusal = await sync_to_async(_read)(request)
        return await streamed(partial(answering, refusal))
    except Exception as error:  # noqa: BLE001  the outer edge: the script shows what went wrong
        message, status = told(error)
        return JsonResponse({"problem": message}, status=status)


async def _answer_form(request: HttpRequest, answering: _Answering) -> HttpResponseBase:
    """Wait for the new answer and show the conversation; a prompt that was being written is still in its box."""
    if not await sync_to_async(is_welcome)(request):
        return redirect_to_login(reverse("chat:start"))
    try:
        conversation = await whole(partial(answering, await sync_to_async(_read)(request)))
    except Exception as error:  # noqa: BLE001  the outer edge: the page shows what went wrong
        message, status = told(error)
        return await sync_to_async(page_with_problem)(request, message, status)
    draft = request.POST.get("prompt", "")
    if not draft.strip():
        return HttpResponseRedirect(reverse("chat:conversation", args=[conversation]))
    return await sync_to_async(lambda: chat_page(request, own_conversation(request, conversation), prompt=draft))()


def _read(request: HttpRequest) -> _Refusal:
    """Read the form.

    Raises:
        Unacceptable: with what the person can do.
        Http404: the conversation is not the caller's.
    """
    if not is_welcome(request):
        raise Unacceptable("You are signed out. Sign in in another tab, then try again.", HTTPStatus.FORBIDDEN)
    conversation = own_conversation(request, request.POST.get("conversation", ""))
    return _Refusal(
        speaker=speaker_of(request),
        conversation=conversation,
        answer_id=number_of(request.POST.get("answer", "")),
        picked_model=picked_model_of(request),
        sees_results=sees_results(request),
        manner=manner_of(request),
    )


def _lines_anew(refusal: _Refusal, interruption: Interruption) -> Generator[bytes, None, None]:
    """Answer by a larger model in a thread of its own, a line for each event."""
    place = DatabasePlace()
    try:
        events = answer_anew(
            gateway=interruptible_gateway(interruption, place),
            speaker=refusal.speaker,
            conversation=refusal.conversation,
            answer_id=refusal.answer_id,
            manner=refusal.manner,
        )
        yield from lines_of(events, place, refusal.sees_results)
    finally:
        place.release()


def _lines_again(refusal: _Refusal, interruption: Interruption) -> Generator[bytes, None, None]:
    """Answer by the picked model in a thread of its own, a line for each event."""
    place = DatabasePlace()
    try:
        events = regenerate_answer(
            gateway=interruptible_gateway(interruption, place),
            speaker=refusal.speaker,
            conversation=refusal.conversation,
            answer_id=refusal.answer_id,
            picked_model=refusal.picked_model,
            manner=refusal.manner,
        )
        yield from lines_of(events, place, refusal.sees_results)
    finally:
        place.release()
