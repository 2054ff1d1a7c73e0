"""A conversation as a file for its owner: all of it as JSON, the branch that is shown as Markdown."""

from datetime import datetime
from typing import Any

from router.branches import path_to, tip_id_of
from router.models import Conversation, Message, RoutingDecision


def conversation_as_json(conversation: Conversation) -> dict[str, Any]:
    """Return a conversation with every version of every turn, masses in gCO2e, in one query."""
    rows = _rows(conversation)
    manner = conversation.manner
    return {
        "id": conversation.public_id,
        "title": conversation.title,
        "created_at": conversation.created_at.isoformat(),
        "updated_at": conversation.updated_at.isoformat(),
        "picked_model": conversation.picked_model,
        "instructions": manner.system_prompt,
        "parameters": {
            "temperature": manner.temperature,
            "top_p": manner.top_p,
            "seed": manner.seed,
            "max_output_tokens": manner.max_output_tokens,
        },
        "shown_turn": tip_id_of(conversation, rows),
        "turns": [_turn_as_json(row) for row in rows],
    }


def conversation_as_markdown(conversation: Conversation) -> str:
    """Return the branch of a conversation that is shown as one text, in one query."""
    rows = _rows(conversation)
    parts = [f"# {conversation.title}"]
    if conversation.system_prompt:
        parts.append("\n".join(f"> {line}".rstrip() for line in conversation.system_prompt.split("\n")))
    for row in path_to(rows, tip_id_of(conversation, rows)):
        parts += [f"## {_speaker(row)}", row.text or "(nothing)"]
    return "\n\n".join(parts) + "\n"


def _rows(conversation: Conversation) -> list[Message]:
    return list(
        conversation.messages.select_related(
            "request__decision__category", "request__decision__chosen__language_model"
        ).order_by("pk")
    )


def _speaker(row: Message) -> str:
    decision = decision_of(row)
    if row.role == Message.Role.USER:
        return "You"
    ended = {Message.State.CANCELLED: ", stopped", Message.State.FAILED: ", broken off"}.get(
        Message.State(row.state), ""
    )
    return f"{decision.chosen.language_model.name if decision else 'Answer'}{ended}"


def _turn_as_json(row: Message) -> dict[str, Any]:
    decision = decision_of(row)
    told: dict[str, Any] = {
        "id": row.pk,
        "parent_id": row.parent_id,
        "role": row.role,
        "text": row.text,
        "created_at": row.created_at.isoformat(),
    }
    if row.role == Message.Role.USER:
        return told
    return told | {
        "state": row.state,
        "thumb": row.thumb or None,
        "refused_at": _moment(row.refused_at),
        "model": decision.chosen.language_model.name if decision else None,
        "category": decision.category.name if decision and decision.category else None,
        "predicted_sci_gco2e": decision.predicted_sci_gco2e if decision else None,
        "quality": (decision.predicted_quality if decision else "") or "missing",
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def decision_of(row: Message) -> RoutingDecision | None:
    """Return the decision behind an answer, None where it is not known any more."""
    if row.role == Message.Role.USER or row.request is None:
        return None
    return getattr(row.request, "decision", None)
