"""Send a prompt of the chat page: streamed to its script as lines of JSON, or whole to a form without one."""

import json
from collections.abc import Callable, Generator
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

from benchmarks.inference.base import PromptTooLong, TextChunk
from benchmarks.inference.interruption import Interruption
from router.answering import AUTO_MODEL
from router.api.doors import sees_results
from router.api.endpoint import told_error
from router.api.streaming import PING_INTERVAL_S, StreamBody, stream_response
from router.branches import NoSuchTurn
from router.chat.shown import shown_message
from router.chat.views import MAX_PROMPT_CHARACTERS, chat_page, own_conversation
from router.chat.visiting import is_welcome, remembered_speaker
from router.connections import DatabasePlace
from router.conversation_carbon import carbon_in
from router.conversing import Speaker, converse
from router.exchanging import Begun, ConversationEvent, ConversationGone, Kept
from router.manner import Manner, MannerRefused, read_manner
from router.models import Conversation, Message
from router.piping import Pipe
from router.policy import NoLargerModel
from router.refusing import AnswerStands
from router.wiring import interruptible_gateway

STREAM_TYPE = "application/x-ndjson"

Lines = Callable[[Interruption], Generator[bytes, None, None]]


class Unacceptable(Exception):
    """The form cannot be taken; the message tells the person what to do."""

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
    manner: Manner | None
    edited_id: int | None


@require_POST
async def send(request: HttpRequest) -> HttpResponseBase:
    if STREAM_TYPE not in request.headers.get("Accept", ""):
        return await _send_form(request)
    try:
        prompt = await sync_to_async(_read)(request)
        return await streamed(partial(_lines, prompt))
    except Exception as error:  # noqa: BLE001  the outer edge: the script shows what went wrong beside the prompt
        message, status = told(error)
        return JsonResponse({"problem": message}, status=status)


async def streamed(lines: Lines) -> HttpResponseBase:
    """Send the lines of one exchange as they come."""
    interruption = Interruption()
    pipe = Pipe(partial(lines, interruption), on_leave=interruption.interrupt, name="chat")
    is_handed_over = False
    try:
        body = StreamBody(
            pipe,
            head=await pipe.read(),
            written=bytes,
            failed=lambda error: _line("problem", message=told(error)[0]),
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
        conversation = await whole(partial(_lines, prompt))
    except Exception as error:  # noqa: BLE001  the outer edge: the page shows what went wrong and keeps the prompt
        message, status = told(error)
        return await sync_to_async(page_with_problem)(request, message, status)
    return HttpResponseRedirect(reverse("chat:conversation", args=[conversation]))


async def whole(lines: Lines) -> str:
    """Wait for the end of one exchange and return the id of its conversation."""
    interruption = Interruption()
    pipe = Pipe(partial(lines, interruption), on_leave=interruption.interrupt, name="chat")
    try:
        conversation = str(json.loads(await pipe.read())["conversation"])
        while True:
            await pipe.read()
    except StopAsyncIteration:
        return conversation
    finally:
        pipe.leave()


def page_with_problem(request: HttpRequest, message: str, status: int) -> HttpResponse:
    """Return the page of the conversation with what went wrong and what was written."""
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
        Unacceptable: with what the person can do.
        Http404: the conversation is not the caller's.
    """
    if not is_welcome(request):
        raise Unacceptable("You are signed out. Sign in in another tab, then send this again.", HTTPStatus.FORBIDDEN)
    text = request.POST.get("prompt", "").replace("\r\n", "\n")
    if not text.strip():
        raise Unacceptable("The prompt is empty; write something.", HTTPStatus.BAD_REQUEST)
    if len(text) > MAX_PROMPT_CHARACTERS:
        message = f"The prompt has {len(text):,} characters; at most {MAX_PROMPT_CHARACTERS:,} are taken. Shorten it."
        raise Unacceptable(message, HTTPStatus.BAD_REQUEST)
    if "\x00" in text:
        raise Unacceptable("The prompt holds a NUL character; remove it.", HTTPStatus.BAD_REQUEST)
    public_id = request.POST.get("conversation", "")
    return _Prompt(
        remembered_speaker(request),
        own_conversation(request, public_id) if public_id else None,
        text,
        picked_model_of(request),
        request.POST.get("keep") == "yes",
        sees_results(request),
        manner_of(request),
        edited_id_of(request),
    )


def edited_id_of(request: HttpRequest) -> int | None:
    """Return the own turn that a prompt is another version of, None where it is a new one."""
    written = request.POST.get("edit", "")
    return number_of(written) if written else None


def number_of(written: str) -> int:
    """Return the number of a turn.

    Raises:
        Unacceptable: it is none.
    """
    if not (written.isascii() and written.isdecimal() and len(written) < 19):
        raise Unacceptable("The form names no answer or prompt; reload the page and try again.", HTTPStatus.BAD_REQUEST)
    return int(written)


def picked_model_of(request: HttpRequest) -> str:
    """Return the name of the model that was picked."""
    return request.POST.get("model", "").strip()[:200] or AUTO_MODEL


def manner_of(request: HttpRequest) -> Manner | None:
    """Return how the answers are to be from now on; None where the form has no such fields.

    Raises:
        Unacceptable: with what the person can do.
    """
    if "system_prompt" not in request.POST:
        return None
    try:
        return read_manner(request.POST.dict())
    except MannerRefused as error:
        raise Unacceptable(str(error), HTTPStatus.BAD_REQUEST) from error


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
            manner=prompt.manner,
            edited_id=prompt.edited_id,
            is_keeping_allowed=prompt.is_keeping_allowed,
        )
        yield from lines_of(events, place, prompt.sees_results)
    finally:
        place.release()


def lines_of(
    events: Generator[ConversationEvent, None, None], place: DatabasePlace, sees: bool
) -> Generator[bytes, None, None]:
    """Write a line for each event; `sees` is whether the person may see results."""
    with closing(events):
        for event in events:
            yield _begun(event) if isinstance(event, Begun) else _written(event, place, sees)


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
    refused = {"refused": _rendered(event.refused, sees), "answer": event.refused.pk} if event.refused else {}
    meter = render_to_string("chat/_meter.html", {"carbon": carbon_in(event.message.conversation)})
    place.release()
    return _line("finished", html=html, text=event.message.text, meter=meter, **refused)


def _rendered(message: Message, sees: bool) -> str:
    shown = shown_message(message, sees_results=sees)
    return render_to_string("chat/_message.html", {"message": shown, "is_latest": True})


def _line(kind: str, **fields: Any) -> bytes:
    return json.dumps({"kind": kind, **fields}).encode() + b"\n"


def told(error: Exception) -> tuple[str, int]:
    """Return what a person is told of an error, and its status."""
    if isinstance(error, Unacceptable):
        return str(error), error.status
    if isinstance(error, Http404 | ConversationGone):
        return "This conversation is gone: it was deleted. Start a new one.", HTTPStatus.NOT_FOUND
    if isinstance(error, AnswerStands | NoLargerModel | NoSuchTurn):
        return str(error), HTTPStatus.CONFLICT
    wire = told_error(error)
    if isinstance(error, PromptTooLong):
        remedy = "The whole conversation goes to the model: start a new one, shorten the prompt, or pick another model."
        return f"{wire} {remedy}", wire.status
    return str(wire), wire.status
