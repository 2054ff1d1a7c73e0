"""Send a prompt of the chat page: streamed to its script as lines of JSON, or whole to a form without one."""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST

from benchmarks.inference.base import GenerationParameters, PromptTooLong, TextChunk
from benchmarks.inference.interruption import Interruption
from router.answering import AUTO_MODEL
from router.api.doors import sees_results
from router.api.endpoint import told_error
from router.api.streaming import PING_INTERVAL_S, StreamBody, stream_response
from router.chat.shown import shown_message
from router.chat.views import MAX_PROMPT_CHARACTERS, chat_page, own_conversation
from router.chat.visiting import is_welcome, remembered_speaker
from router.connections import DatabasePlace
from router.conversing import Begun, ConversationGone, Kept, Speaker, converse
from router.models import Conversation, Message
from router.piping import Pipe
from router.wiring import interruptible_gateway

STREAM_TYPE = "application/x-ndjson"
_MAX_OUTPUT_TOKENS = 1024


class _Refused(Exception):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Prompt:
    speaker: Speaker
    conversation: Conversation | None
    text: str
    picked_model: str
    is_keeping_allowed: bool
    sees_results: bool


@require_POST
async def send(request: HttpRequest) -> HttpResponseBase:
    if STREAM_TYPE not in request.headers.get("Accept", ""):
        return await _send_form(request)
    try:
        prompt = await sync_to_async(_read)(request)
        return await _stream(prompt)
    except Exception as error:  # noqa: BLE001  the outer edge: the script shows what went wrong beside the prompt
        message, status = _told(error)
        return JsonResponse({"problem": message}, status=status)


async def _stream(prompt: _Prompt) -> HttpResponseBase:
    interruption = Interruption()
    pipe = Pipe(partial(_lines, prompt, interruption), on_leave=interruption.interrupt, name="chat")
    is_handed_over = False
    try:
        body = StreamBody(
            pipe,
            head=await pipe.read(),
            written=bytes,
            failed=lambda error: _line("problem", message=_told(error)[0]),
            ping=b"\n",
            ping_interval_s=PING_INTERVAL_S,
        )
        is_handed_over = True
        return stream_response(body, content_type=STREAM_TYPE)
    finally:
        if not is_handed_over:
            pipe.leave()


async def _send_form(request: HttpRequest) -> HttpResponseBase:
    """Answer a form that waits for the whole answer, and show the conversation, or the page with the problem."""
    if not await sync_to_async(is_welcome)(request):
        return redirect_to_login(reverse("chat:start"))
    try:
        prompt = await sync_to_async(_read)(request)
        conversation = await _whole(prompt)
    except Exception as error:  # noqa: BLE001  the outer edge: the page shows what went wrong and keeps the prompt
        message, status = _told(error)
        return await sync_to_async(_page_with_problem)(request, message, status)
    return HttpResponseRedirect(reverse("chat:conversation", args=[conversation]))


async def _whole(prompt: _Prompt) -> str:
    interruption = Interruption()
    pipe = Pipe(partial(_lines, prompt, interruption), on_leave=interruption.interrupt, name="chat")
    try:
        conversation = str(json.loads(await pipe.read())["conversation"])
        while True:
            await pipe.read()
    except StopAsyncIteration:
        return conversation
    finally:
        pipe.leave()


def _page_with_problem(request: HttpRequest, message: str, status: int) -> HttpResponse:
    public_id = request.POST.get("conversation", "")
    return chat_page(
        request,
        own_conversation(request, public_id) if public_id else None,
        prompt=request.POST.get("prompt", ""),
        picked_model=request.POST.get("model", ""),
        problem=message,
        status=status,
    )


def _read(request: HttpRequest) -> _Prompt:
    """Read the form.

    Raises:
        _Refused: with what the person can do.
        Http404: the conversation is not the caller's.
    """
    if not is_welcome(request):
        raise _Refused("You are signed out. Sign in in another tab, then send this again.", HTTPStatus.FORBIDDEN)
    text = request.POST.get("prompt", "").replace("\r\n", "\n")
    if not text.strip():
        raise _Refused("The prompt is empty; write something.", HTTPStatus.BAD_REQUEST)
    if len(text) > MAX_PROMPT_CHARACTERS:
        message = f"The prompt has {len(text):,} characters; at most {MAX_PROMPT_CHARACTERS:,} are taken. Shorten it."
        raise _Refused(message, HTTPStatus.BAD_REQUEST)
    if "\x00" in text:
        raise _Refused("The prompt holds a NUL character; remove it.", HTTPStatus.BAD_REQUEST)
    public_id = request.POST.get("conversation", "")
    return _Prompt(
        remembered_speaker(request),
        own_conversation(request, public_id) if public_id else None,
        text,
        request.POST.get("model", "").strip()[:200] or AUTO_MODEL,
        request.POST.get("keep") == "yes",
        sees_results(request),
    )


def _lines(prompt: _Prompt, interruption: Interruption) -> Generator[bytes, None, None]:
    """Answer in a thread of its own, a line for each event."""
    place = DatabasePlace()
    try:
        events = converse(
            gateway=interruptible_gateway(interruption, place),
            speaker=prompt.speaker,
            conversation=prompt.conversation,
            prompt=prompt.text,
            picked_model=prompt.picked_model,
            parameters=GenerationParameters(num_predict=_MAX_OUTPUT_TOKENS),
            is_keeping_allowed=prompt.is_keeping_allowed,
        )
        with closing(events):
            for event in events:
                yield _begun(event) if isinstance(event, Begun) else _written(event, place, prompt.sees_results)
    finally:
        place.release()


def _begun(event: Begun) -> bytes:
    conversation = event.conversation
    return _line(
        "begun",
        conversation=conversation.public_id,
        title=conversation.title,
        url=reverse("chat:conversation", args=[conversation.public_id]),
        question=event.question.pk,
        model=event.decided.deployment.language_model.name,
    )


def _written(event: TextChunk | Kept, place: DatabasePlace, sees: bool) -> bytes:
    if isinstance(event, TextChunk):
        return _line("thinking" if event.is_thinking else "text", text=event.text)
    place.claim()
    html = _rendered(event.message, sees)
    place.release()
    return _line("finished", html=html, text=event.message.text)


def _rendered(message: Message, sees: bool) -> str:
    return render_to_string("chat/_message.html", {"message": shown_message(message, sees_results=sees)})


def _line(kind: str, **fields: Any) -> bytes:
    return json.dumps({"kind": kind, **fields}).encode() + b"\n"


def _told(error: Exception) -> tuple[str, int]:
    """Return what a person is told of an error, and its status."""
    if isinstance(error, _Refused):
        return str(error), error.status
    if isinstance(error, Http404 | ConversationGone):
        return "This conversation is gone: it was deleted. Start a new one.", HTTPStatus.NOT_FOUND
    wire = told_error(error)
    if isinstance(error, PromptTooLong):
        remedy = "The whole conversation goes to the model: start a new one, shorten the prompt, or pick another model."
        return f"{wire} {remedy}", wire.status
    return str(wire), wire.status
