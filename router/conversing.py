"""Conversations of the chat page: who owns them, what is said in them, and which model they stay on."""

import secrets
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from benchmarks.inference.base import ChatMessage
from router.answering import AUTO_MODEL, Caller, stream_answer
from router.branches import path_to, tip_id_of, turn_of
from router.erasing import erase_texts
from router.exchanging import ConversationEvent, Exchange, dial_of, keep_exchange
from router.generating import Gateway
from router.keeping import forget_requests
from router.manner import Manner
from router.models import Conversation, ConversationQuerySet, GatewayRequest, Message
from router.models.conversations import MOST_TITLE_CHARACTERS
from router.refusing import AnswerStands, refusable_answer, refused_runs

_TITLE_LENGTH = 80


class TitleRefused(ValueError):
    """A title cannot be taken; the message tells why."""


@dataclass(frozen=True)
class Speaker:
    """A person at the chat page: by account, or unnamed by a random word in the session."""

    user_id: int | None
    visitor: str

    def conversations(self) -> ConversationQuerySet:
        """Return this person's own conversations."""
        return Conversation.objects.of(owner_id=self.user_id, visitor=self.visitor)


def converse(
    *,
    gateway: Gateway,
    speaker: Speaker,
    conversation: Conversation | None,
    prompt: str,
    picked_model: str,
    manner: Manner | None = None,
    edited_id: int | None = None,
    is_keeping_allowed: bool = False,
) -> Generator[ConversationEvent, None, None]:
    """Answer a prompt within a conversation, or begin one with it, and keep both.

    The model gets the whole branch. `auto` chooses for the first prompt and stays on its choice, and so does each other
    setting of the dial. `manner` is kept with the conversation; without one it is as it was. `edited_id` is an own turn
    of before that the prompt is another version of: a branch begins there, and what was said after it is kept.

    Raises what `stream_answer` raises, `NoSuchTurn`, and `ConversationGone` when it was deleted meanwhile.
    """
    gateway.claim()
    path = _path(conversation, edited_id)
    exchange = Exchange(
        conversation or _new_conversation(speaker, prompt, picked_model, gateway.clock()),
        is_new=conversation is None,
        parent=path[-1] if path else None,
    )
    manner = manner or exchange.conversation.manner
    exchange.conversation.take_manner(manner)
    events = stream_answer(
        gateway=gateway,
        caller=Caller(GatewayRequest.Surface.PAGE, user_id=speaker.user_id),
        requested_model=picked_model,
        messages=(*manner.opening, *_said(path), ChatMessage("user", prompt)),
        parameters=manner.parameters,
        stay_on_id=settled_id(exchange.conversation, picked_model),
        is_keeping_allowed=is_keeping_allowed,
    )
    yield from keep_exchange(gateway, exchange, events, prompt, picked_model)


def answer_anew(
    *,
    gateway: Gateway,
    speaker: Speaker,
    conversation: Conversation,
    answer_id: int,
    manner: Manner | None = None,
) -> Generator[ConversationEvent, None, None]:
    """Move a conversation to the next larger model, because its latest answer was not good enough, and answer there.

    Both answers are kept: the refused one is marked, its cost is charged to the new one, and it is not sent to a model
    again. Where the larger model fails before its first word nothing changes.

    Raises what `stream_answer` raises, `AnswerStands` where that answer cannot be refused, and `ConversationGone`.
    """
    gateway.claim()
    refused = refusable_answer(conversation=conversation, answer_id=answer_id)
    runs = refused_runs(refused)
    question = refused.parent
    if question is None:
        raise AnswerStands("This answer has no prompt to answer anew.")
    exchange = Exchange(conversation, is_new=False, question=question, is_question_new=False, refused=refused)
    manner = manner or conversation.manner
    conversation.take_manner(manner)
    events = stream_answer(
        gateway=gateway,
        caller=Caller(GatewayRequest.Surface.PAGE, user_id=speaker.user_id),
        requested_model=AUTO_MODEL,
        messages=(*manner.opening, *_said(_path_of(conversation, question.pk))),
        parameters=manner.parameters,
        instead_of=runs,
    )
    yield from keep_exchange(gateway, exchange, events, question.text, AUTO_MODEL)


def regenerate(
    *,
    gateway: Gateway,
    speaker: Speaker,
    conversation: Conversation,
    answer_id: int,
    picked_model: str,
    manner: Manner | None = None,
) -> Generator[ConversationEvent, None, None]:
    """Answer the prompt of an answer once more, as another version of it; both are kept, and the new one is shown.

    Where the model fails before its first word nothing changes.

    Raises what `stream_answer` raises, `NoSuchTurn`, and `ConversationGone`.
    """
    gateway.claim()
    question = turn_of(conversation, answer_id, Message.Role.ASSISTANT).parent
    if question is None:
        raise AnswerStands("This answer has no prompt to answer once more.")
    exchange = Exchange(conversation, is_new=False, question=question, is_question_new=False)
    manner = manner or conversation.manner
    conversation.take_manner(manner)
    events = stream_answer(
        gateway=gateway,
        caller=Caller(GatewayRequest.Surface.PAGE, user_id=speaker.user_id),
        requested_model=picked_model,
        messages=(*manner.opening, *_said(_path_of(conversation, question.pk))),
        parameters=manner.parameters,
        stay_on_id=settled_id(conversation, picked_model),
    )
    yield from keep_exchange(gateway, exchange, events, question.text, picked_model)


def rename_conversation(*, conversation: Conversation, title: str) -> None:
    """Give a conversation another title.

    Raises:
        TitleRefused: the title is empty, too long, or holds what cannot be kept.
    """
    title = " ".join(title.split())
    if not title:
        raise TitleRefused("The title is empty; write something.")
    if len(title) > MOST_TITLE_CHARACTERS:
        raise TitleRefused(f"The title has {len(title)} characters; at most {MOST_TITLE_CHARACTERS} are taken.")
    if "\x00" in title:
        raise TitleRefused("The title holds a NUL character; remove it.")
    conversation.title = title
    conversation.save(update_fields=["title"])


def delete_conversation(*, conversation: Conversation) -> None:
    """Delete a conversation for good, with every text of it.

    What was kept of it for labels is deleted too unless it is known already; the rows of its requests stay, without
    their text.
    """
    public_ids = list(conversation.messages.exclude(request=None).values_list("request__public_id", flat=True))
    with transaction.atomic():
        forget_requests(public_ids=public_ids)
        erase_texts(requests=GatewayRequest.objects.filter(public_id__in=public_ids))
        conversation.delete()


def delete_old_conversations(*, before: datetime) -> int:
    """Delete the conversations in which nothing was said since a moment; return how many."""
    old = list(Conversation.objects.filter(updated_at__lt=before).order_by("pk"))
    for conversation in old:
        delete_conversation(conversation=conversation)
    return len(old)


def _path(conversation: Conversation | None, edited_id: int | None) -> list[Message]:
    """Return the turns that come before a new prompt."""
    if conversation is None:
        return []
    if edited_id is not None:
        parent_id = turn_of(conversation, edited_id, Message.Role.USER).parent_id
        return _path_of(conversation, parent_id) if parent_id else []
    conversation.tip_id = Conversation.objects.values_list("tip_id", flat=True).filter(pk=conversation.pk).first()
    return _path_of(conversation, None)


def _path_of(conversation: Conversation, tip_id: int | None) -> list[Message]:
    rows = list(conversation.messages.order_by("pk"))
    return path_to(rows, tip_id or tip_id_of(conversation, rows))


def _said(path: list[Message]) -> list[ChatMessage]:
    """Return what counts of a branch: without what was refused."""
    return [
        ChatMessage("user" if turn.role == Message.Role.USER else "assistant", turn.text)
        for turn in path
        if turn.text and turn.refused_at is None
    ]


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


def settled_id(conversation: Conversation, picked_model: str) -> int | None:
    """Return what a setting of the dial stays on: what itself chose, and no other setting."""
    return conversation.settled_id if dial_of(picked_model) == conversation.settled_by else None
