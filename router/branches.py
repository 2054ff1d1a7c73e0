"""The turns of a conversation as a tree: the branch that is shown, and the other versions of each of its turns.

A prompt that was changed is a sibling of the one before, and so is an answer that was asked for again. A refused answer
is no version of its own: it is shown folded before the one that stands in for it.
"""

from collections.abc import Iterable, Sequence

from router.models import Conversation, Message


class NoSuchTurn(LookupError):
    """The turn is not there, or not of the kind that is needed; the message tells what to do."""


def tip_id_of(conversation: Conversation, rows: Sequence[Message]) -> int | None:
    """Return the latest turn of the branch that is shown; of an old conversation it is the latest one."""
    return conversation.tip_id or max((row.pk for row in rows), default=None)


def path_to(rows: Iterable[Message], tip_id: int | None) -> list[Message]:
    """Return the turns from the first one to a tip."""
    by_id = {row.pk: row for row in rows}
    path: list[Message] = []
    row = by_id.get(tip_id) if tip_id else None
    while row is not None:
        path.append(row)
        row = by_id.get(row.parent_id) if row.parent_id else None
    return path[::-1]


def shown_rows(rows: Sequence[Message], tip_id: int | None) -> list[Message]:
    """Return the turns of a branch, each refused answer before the one that stands in for it."""
    refused: dict[int | None, list[Message]] = {}
    for row in sorted(rows, key=lambda row: row.pk):
        if row.refused_at is not None:
            refused.setdefault(row.parent_id, []).append(row)
    shown: list[Message] = []
    for row in path_to(rows, tip_id):
        if row.role == Message.Role.ASSISTANT:
            shown += [one for one in refused.get(row.parent_id, []) if one.pk < row.pk]
        shown.append(row)
    return shown


def versions_of(rows: Iterable[Message], turn: Message) -> tuple[int, ...]:
    """Return the versions of a turn, itself among them, the oldest first."""
    return tuple(
        sorted(
            row.pk
            for row in rows
            if row.parent_id == turn.parent_id
            and row.role == turn.role
            and (row.refused_at is None or row.pk == turn.pk)
        )
    )


def tip_under(rows: Sequence[Message], turn_id: int) -> int:
    """Return the latest turn of the newest branch that goes through a turn."""
    children: dict[int | None, list[Message]] = {}
    for row in rows:
        if row.refused_at is None:
            children.setdefault(row.parent_id, []).append(row)
    tip_id = turn_id
    while children.get(tip_id):
        tip_id = max(row.pk for row in children[tip_id])
    return tip_id


def turn_of(conversation: Conversation, turn_id: int, role: Message.Role) -> Message:
    """Return a turn of a conversation by who said it.

    Raises:
        NoSuchTurn: there is none.
    """
    found = conversation.messages.select_related("parent").filter(pk=turn_id, role=role).first()
    if found is None:
        raise NoSuchTurn("This turn is not part of the conversation any more. Reload the page and try again.")
    return found


def show_branch(*, conversation: Conversation, turn_id: int) -> None:
    """Show the newest branch through a turn from now on.

    Raises:
        NoSuchTurn: it is none of the conversation, or a refused answer.
    """
    rows = list(conversation.messages.defer("text"))
    if not any(row.pk == turn_id and row.refused_at is None for row in rows):
        raise NoSuchTurn("This turn is not part of the conversation any more. Reload the page and try again.")
    conversation.tip_id = tip_under(rows, turn_id)
    conversation.save(update_fields=["tip"])


def give_thumb(*, conversation: Conversation, answer_id: int, thumb: str) -> Message:
    """Note what a person thinks of an answer; the same thumb once more takes it back.

    Raises:
        NoSuchTurn: there is no such answer.
    """
    answer = turn_of(conversation, answer_id, Message.Role.ASSISTANT)
    answer.thumb = "" if answer.thumb == thumb else thumb
    answer.save(update_fields=["thumb"])
    return answer
