"""What the chat page shows of stored conversations."""

from dataclasses import dataclass

from django.utils.safestring import SafeString

from benchmarks.rendering import render_markdown
from router.explaining import Explanation, explanations_of
from router.models import Conversation, Message, RoutingDecision


@dataclass(frozen=True)
class ShownMessage:
    """One turn: what a person wrote as it is, what a model wrote also as HTML."""

    key: int
    question_key: int
    is_person: bool
    text: str
    html: SafeString | str
    state: str
    reason: Explanation | None


def shown_messages(conversation: Conversation, *, sees_results: bool) -> list[ShownMessage]:
    """Return the turns of a conversation from first to last, in one query, and four more with results."""
    rows = conversation.messages.select_related(
        "request__decision__category", "request__decision__chosen__language_model", "request__decision__version"
    ).order_by("pk")
    return _shown(list(rows), sees_results)


def shown_message(message: Message, *, sees_results: bool) -> ShownMessage:
    """Return one turn."""
    [shown] = _shown([message], sees_results)
    return shown


def _shown(messages: list[Message], sees_results: bool) -> list[ShownMessage]:
    decisions = {message.pk: decision for message in messages if (decision := _decision_of(message))}
    reasons = dict(zip(decisions, explanations_of(list(decisions.values()), sees_results=sees_results), strict=True))
    return [_shown_message(message, reasons.get(message.pk)) for message in messages]


def _shown_message(message: Message, reason: Explanation | None) -> ShownMessage:
    is_person = message.role == Message.Role.USER
    return ShownMessage(
        key=message.pk,
        question_key=message.parent_id or 0,
        is_person=is_person,
        text=message.text,
        html="" if is_person else render_markdown(message.text),
        state=message.state,
        reason=reason,
    )


def _decision_of(message: Message) -> RoutingDecision | None:
    if message.role == Message.Role.USER or message.request is None:
        return None
    return getattr(message.request, "decision", None)
