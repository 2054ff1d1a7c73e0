"""What the chat page shows of stored conversations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.safestring import SafeString

from benchmarks.models import Prompt
from benchmarks.rendering import render_markdown
from router.models import Conversation, Message, RoutingDecision
from router.policy import Candidate
from router.routing import candidates_from_json


@dataclass(frozen=True)
class ShownNeighbour:
    """One known prompt near the one that was asked; distance is squared L2."""

    text: str
    category: str
    squared_distance: float


@dataclass(frozen=True)
class ShownReason:
    """Which model answered, what that was expected to cost, and why that one."""

    model: str
    category: str
    explanation: str
    predicted_sci_gco2e: float | None
    quality: str
    sci_count: int
    request_id: str
    is_picked: bool
    candidates: tuple[Candidate, ...]
    neighbours: tuple[ShownNeighbour, ...]


@dataclass(frozen=True)
class ShownMessage:
    """One turn: what a person wrote as it is, what a model wrote also as HTML."""

    key: int
    question_key: int
    is_person: bool
    text: str
    html: SafeString | str
    state: str
    reason: ShownReason | None


def shown_messages(conversation: Conversation) -> list[ShownMessage]:
    """Return the turns of a conversation from first to last, in two queries."""
    rows = conversation.messages.select_related(
        "request__decision__category", "request__decision__chosen__language_model"
    ).order_by("pk")
    return _shown(list(rows))


def shown_message(message: Message) -> ShownMessage:
    """Return one turn."""
    [shown] = _shown([message])
    return shown


def _shown(messages: list[Message]) -> list[ShownMessage]:
    decisions = {message.pk: _decision_of(message) for message in messages}
    ids = {row["prompt_id"] for decision in decisions.values() if decision for row in decision.neighbours}
    texts = dict(Prompt.objects.filter(pk__in=ids).values_list("pk", "item_text")) if ids else {}
    return [_shown_message(message, decisions[message.pk], texts) for message in messages]


def _shown_message(message: Message, decision: RoutingDecision | None, texts: Mapping[int, str]) -> ShownMessage:
    is_person = message.role == Message.Role.USER
    return ShownMessage(
        key=message.pk,
        question_key=message.parent_id or 0,
        is_person=is_person,
        text=message.text,
        html="" if is_person else render_markdown(message.text),
        state=message.state,
        reason=_reason(message, decision, texts) if decision else None,
    )


def _decision_of(message: Message) -> RoutingDecision | None:
    if message.role == Message.Role.USER or message.request is None:
        return None
    return getattr(message.request, "decision", None)


def _reason(message: Message, decision: RoutingDecision, texts: Mapping[int, str]) -> ShownReason:
    candidates = candidates_from_json(decision.candidates)
    return ShownReason(
        model=decision.chosen.language_model.name,
        category=decision.category.name if decision.category else "",
        explanation=decision.explanation,
        predicted_sci_gco2e=decision.predicted_sci_gco2e,
        quality=decision.predicted_quality,
        sci_count=sum(one.evidence.sci_count for one in candidates if one.is_chosen),
        request_id=message.request.public_id if message.request else "",
        is_picked=decision.reason == RoutingDecision.Reason.PINNED,
        candidates=candidates,
        neighbours=tuple(_neighbours(decision.neighbours, texts)),
    )


def _neighbours(rows: Iterable[Mapping[str, object]], texts: Mapping[int, str]) -> Iterable[ShownNeighbour]:
    for row in rows:
        prompt_id, distance = row["prompt_id"], row["squared_distance"]
        if isinstance(prompt_id, int) and isinstance(distance, int | float) and prompt_id in texts:
            yield ShownNeighbour(texts[prompt_id], str(row["category"]), float(distance))
