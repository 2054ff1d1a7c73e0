"""What the chat page shows of stored conversations."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.safestring import SafeString

from benchmarks.rendering import render_markdown
from router.branches import shown_rows, tip_id_of, versions_of
from router.conversation_carbon import Carbon, Cost, carbon_of, measured_sci
from router.conversation_export import decision_of
from router.explaining import Explanation, explanations_of
from router.models import Conversation, Message
from router.steps import made_by, with_own_runs


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
    is_refused: bool
    refused_count: int
    discarded_sci_gco2e: float | None
    discarded_quality: str
    thumb: str
    conversation: str
    versions: tuple[int, ...]

    @property
    def number(self) -> int:
        """Return which of its versions it is, from 1."""
        return self.versions.index(self.key) + 1

    @property
    def earlier(self) -> int | None:
        """Return the version before it, if any."""
        return self.versions[self.number - 2] if self.number > 1 else None

    @property
    def later(self) -> int | None:
        """Return the version after it, if any."""
        return self.versions[self.number] if self.number < len(self.versions) else None


@dataclass(frozen=True)
class ShownConversation:
    """The turns of the branch that is shown, from first to last, and what all of them have cost."""

    messages: list[ShownMessage]
    carbon: Carbon


def shown_conversation(conversation: Conversation, *, sees_results: bool) -> ShownConversation:
    """Return what is shown of a conversation, in one query, and four more with results."""
    rows = list(
        conversation.messages.select_related(
            "request__decision__category", "request__decision__chosen__language_model", "request__decision__version"
        )
        .annotate(measured_sci_gco2e=measured_sci())
        .order_by("pk")
    )
    siblings: dict[int | None, list[Message]] = {}
    for row in rows:
        siblings.setdefault(row.parent_id, []).append(row)
    shown = shown_rows(rows, tip_id_of(conversation, rows))
    versions = {row.pk: versions_of(siblings[row.parent_id], row) for row in shown}
    costs = [_cost(row, row.measured_sci_gco2e) for row in rows if row.role == Message.Role.ASSISTANT]
    return ShownConversation(_shown(shown, versions, conversation, sees_results), carbon_of(costs))


def _cost(row: Message, measured_sci_gco2e: float | None) -> Cost:
    decision = decision_of(row)
    if decision is None or row.request is None:
        return None, None, measured_sci_gco2e
    quality, own_runs = decision.predicted_quality, made_by(row.request.public_id, decision.steps)
    return quality, with_own_runs(decision.predicted_sci_gco2e, quality, own_runs), measured_sci_gco2e


def shown_message(message: Message, *, sees_results: bool) -> ShownMessage:
    """Return one turn, without its other versions."""
    [shown] = _shown([message], {message.pk: (message.pk,)}, message.conversation, sees_results)
    return shown


def _shown(
    messages: list[Message], versions: Mapping[int, tuple[int, ...]], conversation: Conversation, sees_results: bool
) -> list[ShownMessage]:
    decisions = {message.pk: decision for message in messages if (decision := decision_of(message))}
    reasons = dict(zip(decisions, explanations_of(list(decisions.values()), sees_results=sees_results), strict=True))
    return [
        _shown_message(message, reasons.get(message.pk), versions[message.pk], conversation) for message in messages
    ]


def _shown_message(
    message: Message, reason: Explanation | None, versions: tuple[int, ...], conversation: Conversation
) -> ShownMessage:
    is_person = message.role == Message.Role.USER
    decided = decision_of(message)
    return ShownMessage(
        is_refused=message.refused_at is not None,
        refused_count=len(decided.steps) if decided else 0,
        discarded_sci_gco2e=decided.discarded_sci_gco2e if decided else None,
        discarded_quality=str(decided.steps[0]["quality"]) if decided and decided.steps else "",
        key=message.pk,
        question_key=message.parent_id or 0,
        is_person=is_person,
        text=message.text,
        html="" if is_person else render_markdown(message.text),
        state=message.state,
        reason=reason,
        thumb=message.thumb,
        conversation=conversation.public_id,
        versions=versions,
    )
