"""What one caller wants of the router otherwise than the policy in force has it, and within which limits. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_CAUTION = 10.0  # standard errors
_MOST_NEIGHBOURS = 1000
FIELDS = ("policy", "sci_price", "accuracy_floor", "caution", "neighbours")
_SETTABLE = ("policy", "sci_price", "accuracy_floor", "caution", "tolerance", "neighbours")  # also by names and keys
# which policies go by a field; in others it would have no say
USED_BY: dict[str, tuple[str, ...]] = {
    "sci_price": ("knn", "category"),
    "accuracy_floor": ("floor",),
    "caution": ("guarded", "cascade"),
    "tolerance": ("guarded", "cascade"),
    "neighbours": ("knn", "category", "guarded", "floor", "cascade"),
}


class WishRefused(ValueError):
    """A wish cannot be granted; the message names the field and what is allowed, `param` the field of the request."""

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class Wish:
    """What one of those who may set something wants; None is as it stands.

    Args:
        by: who wants it: `request` (the body), `model` (the name `auto:...`) or `key` (what an admin set on the key).
        policy: name of a policy.
        sci_price: probability of being right that one gCO2e is worth.
        accuracy_floor: probability of being right, 0 to 1.
        caution: standard errors.
        tolerance: loss of accuracy that is no loss, 0 to 1; no caller can set it.
        neighbours: how many known prompts speak.
    """

    by: str
    policy: str | None = None
    sci_price: float | None = None
    accuracy_floor: float | None = None
    caution: float | None = None
    tolerance: float | None = None
    neighbours: int | None = None

    @property
    def wanted(self) -> dict[str, Any]:
        """Return the fields that something is wanted of."""
        values = ((name, getattr(self, name)) for name in _SETTABLE)
        return {name: value for name, value in values if value is not None}


# two settings of the dial with a name of their own: `model` in a request
DIALS: dict[str, Wish] = {
    "auto:green": Wish("model", policy="guarded", caution=0.0, tolerance=0.05),
    "auto:quality": Wish("model", policy="knn", sci_price=0.0),
}


@dataclass(frozen=True)
class Limits:
    """What the policy in force lets callers set.

    Args:
        is_open: whether they may set anything.
        policies: the names they may choose from.
        most_sci_price: None: no limit.
        least_accuracy_floor: 0 to 1.
    """

    policies: Sequence[str]
    is_open: bool = True
    most_sci_price: float | None = None
    least_accuracy_floor: float = 0.0


def read_wish(raw: object, *, param: str = "greenllm") -> Wish:
    """Read what the body of a request wants of the router: an object with some of `FIELDS`, or nothing.

    Raises:
        WishRefused: it is no object, or a field is unknown or of another kind.
    """
    if raw is None:
        return Wish("request")
    if not isinstance(raw, Mapping):
        raise WishRefused(f"'{param}' must be an object with some of {', '.join(FIELDS)}.", param=param)
    for name in raw:
        if name not in FIELDS:
            raise WishRefused(
                f"'{param}.{name}' is unknown; what can be set is {', '.join(FIELDS)}.", param=f"{param}.{name}"
            )
    policy = raw.get("policy")
    if policy is not None and not isinstance(policy, str):
        raise WishRefused(f"'{param}.policy' must be the name of a policy.", param=f"{param}.policy")
    neighbours = raw.get("neighbours")
    if neighbours is not None and (isinstance(neighbours, bool) or not isinstance(neighbours, int)):
        raise WishRefused(f"'{param}.neighbours' must be a whole number.", param=f"{param}.neighbours")
    return Wish(
        "request",
        policy=policy,
        sci_price=_number(raw, "sci_price", param),
        accuracy_floor=_number(raw, "accuracy_floor", param),
        caution=_number(raw, "caution", param),
        neighbours=neighbours,
    )


def require_within(wish: Wish, limits: Limits, *, policy: str, param: str = "greenllm") -> None:
    """Refuse what lies outside the limits, or has no say in the policy that would choose.

    Raises:
        WishRefused: it names the first such field and what is allowed.
    """
    wanted = wish.wanted
    if wanted and not limits.is_open:
        first = "model" if wish.by == "model" else f"{param}.{next(iter(wanted))}"
        raise WishRefused(f"'{first}' cannot be set here: the policy in force lets nobody override it.", param=first)
    if wish.by != "request":
        return
    if wish.policy is not None and wish.policy not in limits.policies:
        raise WishRefused(
            f"'{param}.policy' must be one of {', '.join(limits.policies)}.",
            param=f"{param}.policy",
        )
    for name, value in wanted.items():
        if name == "policy":
            continue
        if policy not in USED_BY[name]:
            raise WishRefused(
                f"'{param}.{name}' has no say in the policy {policy}; with it set '{param}.policy' to "
                f"{' or '.join(USED_BY[name])}.",
                param=f"{param}.{name}",
            )
        low, high = _range(name, limits)
        if not low <= value <= high:
            allowed = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
            raise WishRefused(f"'{param}.{name}' must be {allowed}.", param=f"{param}.{name}")


def _range(name: str, limits: Limits) -> tuple[float, float]:
    match name:
        case "sci_price":
            return 0.0, math.inf if limits.most_sci_price is None else limits.most_sci_price
        case "accuracy_floor":
            return limits.least_accuracy_floor, 1.0
        case "caution":
            return 0.0, _MOST_CAUTION
    return 1, _MOST_NEIGHBOURS


def _number(raw: Mapping[str, Any], name: str, param: str) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    # `json` reads NaN and Infinity, which are no JSON
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise WishRefused(f"'{param}.{name}' must be a number.", param=f"{param}.{name}")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number larger than any float
        return False
