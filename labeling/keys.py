"""The keys of the labeling page: what each does at first, and what a person may put in its place."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """Something on the labeling page that a key does."""

    name: str
    key: str
    does: str


ACTIONS = (
    Action("correct", "a", "Correct"),
    Action("incorrect", "x", "Incorrect"),
    Action("unsure", "n", "Unsure: not to be decided, even with the guideline"),
    Action("skip", "s", "Skip: the answer comes back later"),
    Action("undo", "u", "Undo the latest vote or skip, again and again"),
    Action("comment", "c", "Comment: a remark that is stored with your verdict"),
    Action("flag", "f", "Flag: tell an admin that this answer cannot be judged"),
    Action("reference", "r", "Reference: show or hide it"),
    Action("guideline", "g", "Guideline of the category: open or close it"),
    Action("evidence", "e", "Evidence: show it, where it may be asked for"),
    Action("help", "?", "Help: this list"),
)


def keys_of(stored: Mapping[str, str]) -> dict[str, str]:
    """Return the key of every action: the stored one where a person chose it, else the first one.

    A chosen key goes before the first one of an action that came later; that one has none then (an empty text).
    """
    chosen = {action.name: stored[action.name] for action in ACTIONS if action.name in stored}
    taken = set(chosen.values())
    return {action.name: chosen.get(action.name, "" if action.key in taken else action.key) for action in ACTIONS}


def changed_keys(keys: Mapping[str, str]) -> dict[str, str]:
    """Return what of a person's keys is not as it was at first, which is all that is kept."""
    return {action.name: keys[action.name] for action in ACTIONS if keys[action.name] != action.key}


def as_key(typed: str) -> str:
    """Return what a person typed as the browser names that key: without blanks around it, letters small."""
    return typed.strip().lower()


def problems_of(keys: Mapping[str, str]) -> dict[str, str]:
    """Return for each action whose key cannot be used why not, and what to do about it."""
    problems: dict[str, str] = {}
    owners: dict[str, Action] = {}
    for action in ACTIONS:
        key = keys.get(action.name, "")
        if not key:
            problems[action.name] = "Type one key, such as a letter."
        elif len(key) != 1 or not key.isprintable():
            problems[action.name] = f"“{key[:20]}” is not one key: type a single letter, digit or sign."
        elif key in owners:
            problems[action.name] = (
                f"“{key}” is already the key of “{_short(owners[key])}”: choose another for one of them."
            )
        else:
            owners[key] = action
    return problems


def _short(action: Action) -> str:
    return action.does.split(":")[0]
