"""The policy that counts for one prompt: the version in force, and what key, model name and body want otherwise."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from router.models import ApiKey, PolicyVersion
from router.wishes import USED_BY, Limits, Wish, require_within

UNTUNED = PolicyVersion.Policy.GUARDED  # what counts where nobody has made a version
_KEPT_AS = {"neighbours": "neighbour_count"}


@dataclass(frozen=True)
class Settled:
    """What counts: `version` is the one in force (None: nobody made one), `effective` that with the overrides.

    `overrides` tells for each field that was set otherwise its value and who wanted it.
    """

    version: PolicyVersion | None
    effective: PolicyVersion
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)


def policy_in_force() -> str:
    """Return the name of the policy that chooses where nothing is lacking."""
    latest = PolicyVersion.objects.order_by("-pk").values_list("policy", flat=True).first()
    return latest or UNTUNED.value


def settle(*, version: PolicyVersion | None, wishes: Sequence[Wish] = ()) -> Settled:
    """Return the policy that counts; of two wishes for one field the later one does.

    Raises:
        WishRefused: a caller wants something outside the limits of the version.
    """
    in_force = version or _untuned()
    wishes = [one for one in wishes if one.wanted]
    if not wishes:
        return Settled(version, in_force)
    limits = limits_of(in_force)
    effective = copy(in_force)  # never saved
    overrides: dict[str, dict[str, Any]] = {}
    for wish in wishes:
        policy = wish.policy or effective.policy
        if wish.by != "key":  # what an admin set on a key is no caller's word
            require_within(wish, limits, policy=policy)
        if policy != effective.policy:
            effective.neighbour_count = None  # each policy has its own usual number
            overrides = {name: given for name, given in overrides.items() if policy in USED_BY.get(name, ())}
        for name, value in wish.wanted.items():
            if name == "policy" or policy in USED_BY[name]:
                setattr(effective, _KEPT_AS.get(name, name), value)
                overrides[name] = {"value": value, "by": wish.by}
    return Settled(version, effective, overrides)


@cache
def _untuned() -> PolicyVersion:
    """Return what counts where nobody has made a version; never saved, and changed in copies only."""
    return PolicyVersion(policy=UNTUNED)


def limits_of(version: PolicyVersion) -> Limits:
    """Return what a version lets callers set."""
    return Limits(
        policies=tuple(name for name in PolicyVersion.Policy.values if name != PolicyVersion.Policy.FIXED),
        is_open=version.is_open,
        most_sci_price=version.most_sci_price,
        least_accuracy_floor=version.least_accuracy_floor,
    )


def wish_of_key(key: ApiKey) -> Wish:
    """Return what an admin set for the prompts of one key."""
    return Wish("key", policy=key.policy or None, sci_price=key.sci_price, accuracy_floor=key.accuracy_floor)
