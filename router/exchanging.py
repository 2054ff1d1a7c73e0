"""One prompt and its answer on their way into a conversation: what is kept when, also where it ends early."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field

from django.db import transaction

from benchmarks.inference.base import TextChunk
from router.answering import AUTO_MODEL, Answer, AnswerEvent, Decided, is_auto
from router.erasing import erase_texts
from router.generating import Gateway, Interrupted
from router.keeping import forget_requests
from router.models import Conversation, GatewayRequest, Message
from router.refusing import AnswerStands, refusable_answer

_GONE = "The conversation was deleted while its answer was on the way."


class ConversationGone(LookupError):
    """The conversation was deleted while its answer was on the way."""


@dataclass(frozen=True)
class Begun:
    """A prompt is kept and a model decided; what follows are its pieces."""

    conversation: Conversation
    question: Message
    decided: Decided


@dataclass(frozen=True)
class Kept:
    """The answer is whole, and kept; `refused` is the one that it stands in for."""

    message: Message
    refused: Message | None = None


ConversationEvent = Begun | TextChunk | Kept


@dataclass
class Exchange:
    """What is known so far of one prompt and its answer."""

    conversation: Conversation
    is_new: bool
    parent: Message | None = None  # of the new question
    question: Message | None = None  # at first where it was there before
    is_question_new: bool = True
    request: GatewayRequest | None = None
    pieces: list[str] = field(default_factory=list)
    refused: Message | None = None  # the answer that this one stands in for
    moved_to_id: int | None = None

    @property
    def text(self) -> str:
        return _storable("".join(self.pieces))


def keep_exchange(
    gateway: Gateway,
    exchange: Exchange,
    events: Generator[AnswerEvent, None, None],
    prompt: str,
    picked_model: str,
) -> Generator[ConversationEvent, None, None]:
    """Tell the events of an answer on its way, and keep what comes of it.

    An answer that was stopped or broke off is kept as far as it came; a new prompt that got no word of an answer
    because of a failure is not kept, so that it can be sent again.
    """
    try:
        with closing(events):
            for event in events:
                if isinstance(event, Answer):
                    message = _keep_answer(gateway, exchange, Message.State.COMPLETE)
                    gateway.release()
                    yield Kept(message, exchange.refused)
                elif isinstance(event, Decided):
                    yield _begin(gateway, exchange, event, prompt, picked_model)
                else:
                    if not event.is_thinking:
                        exchange.pieces.append(event.text)
                    yield event
    except ConversationGone:
        _forget(exchange)
        raise
    except (GeneratorExit, Interrupted):
        _keep_rest(gateway, exchange, Message.State.CANCELLED)
        raise
    except Exception:
        _keep_rest(gateway, exchange, Message.State.FAILED)
        raise


def dial_of(picked_model: str) -> str:
    """Return the setting of the dial that a name of a model means, empty for a model itself."""
    return picked_model.removesuffix(":latest") if is_auto(picked_model) else ""


def _begin(gateway: Gateway, exchange: Exchange, decided: Decided, prompt: str, picked_model: str) -> Begun:
    conversation, now = exchange.conversation, gateway.clock()
    exchange.request = decided.request
    if exchange.question is not None:  # another answer: nothing changes before there is one
        exchange.moved_to_id = decided.deployment.pk
        return Begun(conversation, exchange.question, decided)
    conversation.picked_model, conversation.updated_at = picked_model, now
    if is_auto(picked_model):
        conversation.settled, conversation.settled_by = decided.deployment, dial_of(picked_model)
    with transaction.atomic():
        _keep_head(exchange)
        exchange.question = Message.objects.create(
            conversation=conversation,
            parent=exchange.parent,
            role=Message.Role.USER,
            text=prompt,
            request=decided.request,
            created_at=now,
        )
        Conversation.objects.filter(pk=conversation.pk).update(tip=exchange.question)
    return Begun(conversation, exchange.question, decided)


def _keep_head(exchange: Exchange) -> None:
    """Store a new conversation, or of one that is there only what a prompt changes: it may have been renamed meanwhile.

    Raises:
        ConversationGone: it was deleted since it was read.
    """
    conversation = exchange.conversation
    if exchange.is_new:
        conversation.save(force_insert=True)
        return
    changed = {
        "picked_model": conversation.picked_model,
        "settled": conversation.settled,
        "settled_by": conversation.settled_by,
        "updated_at": conversation.updated_at,
        **asdict(conversation.manner),
    }
    if not Conversation.objects.filter(pk=conversation.pk).update(**changed):
        raise ConversationGone(_GONE)


def _keep_answer(gateway: Gateway, exchange: Exchange, state: Message.State) -> Message:
    gateway.claim()
    now = gateway.clock()
    own = Conversation.objects.filter(pk=exchange.conversation.pk)
    with transaction.atomic():
        if not own.select_for_update().exists():
            raise ConversationGone(_GONE)
        if exchange.refused is not None:
            refused = refusable_answer(conversation=exchange.conversation, answer_id=exchange.refused.pk)
            refused.refused_at = now
            refused.save(update_fields=["refused_at"])
            exchange.refused = refused
            own.update(settled_id=exchange.moved_to_id, picked_model=AUTO_MODEL, settled_by=AUTO_MODEL)
        message = Message.objects.create(
            conversation=exchange.conversation,
            parent=exchange.question,
            role=Message.Role.ASSISTANT,
            text=exchange.text,
            state=state,
            request=exchange.request,
            created_at=now,
        )
        own.update(updated_at=now, tip=message, **asdict(exchange.conversation.manner))
    return message


def _keep_rest(gateway: Gateway, exchange: Exchange, state: Message.State) -> None:
    """Keep what there is of an answer that ended early."""
    if exchange.question is None or exchange.request is None:
        return
    gateway.claim()
    if exchange.text or state == Message.State.CANCELLED:
        if not exchange.question.children.filter(request=exchange.request).exists():
            try:
                _keep_answer(gateway, exchange, state)
            except AnswerStands:
                pass
            except ConversationGone:
                _forget(exchange)
    elif exchange.is_new:
        exchange.conversation.delete()
    elif exchange.is_question_new:
        with transaction.atomic():
            exchange.question.delete()
            Conversation.objects.filter(pk=exchange.conversation.pk).update(tip_id=exchange.conversation.tip_id)


def _forget(exchange: Exchange) -> None:
    """Erase what was kept of an answer whose conversation was deleted before it was whole."""
    if exchange.request is not None:
        forget_requests(public_ids=[exchange.request.public_id])
        erase_texts(requests=GatewayRequest.objects.filter(pk=exchange.request.pk))


def _storable(text: str) -> str:
    """Return a model's text without what Postgres cannot hold."""
    return text.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
