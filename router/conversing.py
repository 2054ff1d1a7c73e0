"""Conversations of the chat page: who owns them, what is said in them, and which model they stay on."""

import secrets
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from benchmarks.inference.base import ChatMessage, GenerationParameters, TextChunk
from router.answering import Answer, Caller, Decided, Gateway, Interrupted, is_auto, stream_answer
from router.keeping import forget_requests
from router.models import Conversation, ConversationQuerySet, GatewayRequest, Message

_TITLE_LENGTH = 80


class ConversationGone(LookupError):
    """The conversation was deleted while its answer was on the way."""


@dataclass(frozen=True)
class Speaker:
    """A person at the chat page: by account, or unnamed by a random word in the session."""

    user_id: int | None
    visitor: str

    def conversations(self) -> ConversationQuerySet:
        """Return this person's own conversations."""
        return Conversation.objects.of(owner_id=self.user_id, visitor=self.visitor)


@dataclass(frozen=True)
class Begun:
    """A prompt is kept and a model decided; what follows are its pieces."""

    conversation: Conversation
    question: Message
    decided: Decided


@dataclass(frozen=True)
class Kept:
    """The answer is whole, and kept."""

    message: Message


ConversationEvent = Begun | TextChunk | Kept


@dataclass
class _Exchange:
    """What is known so far of one prompt and its answer."""

    conversation: Conversation
    is_new: bool
    question: Message | None = None
    request: GatewayRequest | None = None
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return _storable("".join(self.pieces))


def converse(
    *,
    gateway: Gateway,
    speaker: Speaker,
    conversation: Conversation | None,
    prompt: str,
    picked_model: str,
    parameters: GenerationParameters,
    is_keeping_allowed: bool = False,
) -> Generator[ConversationEvent, None, None]:
    """Answer a prompt within a conversation, or begin one with it, and keep both.

    The model gets the whole conversation. `auto` chooses for the first prompt and stays on its choice. An answer
    that was stopped or broke off is kept as far as it came; a prompt that got no word of an answer because of a
    failure is not kept, so that it can be sent again.

    Raises what `stream_answer` raises, and `ConversationGone` when it was deleted meanwhile.
    """
    gateway.claim()
    messages = [*_said(conversation), ChatMessage("user", prompt)]
    exchange = _Exchange(
        conversation or _new_conversation(speaker, prompt, picked_model, gateway.clock()), conversation is None
    )
    events = stream_answer(
        gateway=gateway,
        caller=Caller(GatewayRequest.Surface.PAGE, user_id=speaker.user_id),
        requested_model=picked_model,
        messages=tuple(messages),
        parameters=parameters,
        stay_on_id=exchange.conversation.settled_id,
        is_keeping_allowed=is_keeping_allowed,
    )
    try:
        with closing(events):
            for event in events:
                if isinstance(event, Answer):
                    message = _keep_answer(gateway, exchange, Message.State.COMPLETE)
                    gateway.release()
                    yield Kept(message)
                elif isinstance(event, Decided):
                    yield _begin(gateway, exchange, event, prompt, picked_model)
                else:
                    if not event.is_thinking:
                        exchange.pieces.append(event.text)
                    yield event
    except (GeneratorExit, Interrupted):
        _keep_rest(gateway, exchange, Message.State.CANCELLED)
        raise
    except Exception:
        _keep_rest(gateway, exchange, Message.State.FAILED)
        raise


def delete_conversation(*, conversation: Conversation) -> None:
    """Delete a conversation for good, and what was kept of it for labels unless it is known already."""
    public_ids = conversation.messages.exclude(request=None).values_list("request__public_id", flat=True)
    with transaction.atomic():
        forget_requests(public_ids=list(public_ids))
        conversation.delete()


def _said(conversation: Conversation | None) -> list[ChatMessage]:
    if conversation is None:
        return []
    rows = conversation.messages.exclude(text="").order_by("pk").values_list("role", "text")
    return [ChatMessage("user" if role == Message.Role.USER else "assistant", text) for role, text in rows]


def _new_conversation(speaker: Speaker, prompt: str, picked_model: str, now: datetime) -> Conversation:
    title = " ".join(prompt.split())
    return Conversation(
        public_id=f"conv_{secrets.token_hex(16)}",
        owner_id=speaker.user_id,
        visitor="" if speaker.user_id is not None else speaker.visitor,
        title=title if len(title) <= _TITLE_LENGTH else f"{title[: _TITLE_LENGTH - 1].rstrip()}…",
        picked_model=picked_model,
        created_at=now,
        updated_at=now,
    )


def _begin(gateway: Gateway, exchange: _Exchange, decided: Decided, prompt: str, picked_model: str) -> Begun:
    conversation, now = exchange.conversation, gateway.clock()
    with transaction.atomic():
        conversation.picked_model = picked_model
        conversation.updated_at = now
        if is_auto(picked_model):
            conversation.settled = decided.deployment
        conversation.save()
        exchange.request = decided.request
        exchange.question = Message.objects.create(
            conversation=conversation,
            parent=conversation.messages.order_by("pk").last(),
            role=Message.Role.USER,
            text=prompt,
            request=decided.request,
            created_at=now,
        )
    return Begun(conversation, exchange.question, decided)


def _keep_answer(gateway: Gateway, exchange: _Exchange, state: Message.State) -> Message:
    gateway.claim()
    now = gateway.clock()
    own = Conversation.objects.filter(pk=exchange.conversation.pk)
    with transaction.atomic():
        if not own.select_for_update().exists():
            raise ConversationGone("The conversation was deleted while its answer was on the way.")
        message = Message.objects.create(
            conversation=exchange.conversation,
            parent=exchange.question,
            role=Message.Role.ASSISTANT,
            text=exchange.text,
            state=state,
            request=exchange.request,
            created_at=now,
        )
        own.update(updated_at=now)
    return message


def _keep_rest(gateway: Gateway, exchange: _Exchange, state: Message.State) -> None:
    """Keep what there is of an answer that ended early."""
    if exchange.question is None:
        return
    gateway.claim()
    if exchange.text or state == Message.State.CANCELLED:
        if not exchange.question.children.exists():
            with suppress(ConversationGone):
                _keep_answer(gateway, exchange, state)
    elif exchange.is_new:
        exchange.conversation.delete()
    else:
        exchange.question.delete()


def _storable(text: str) -> str:
    """Return a model's text without what Postgres cannot hold."""
    return text.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
