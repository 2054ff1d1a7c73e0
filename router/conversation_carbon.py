"""What a conversation has cost: expected and measured apart, each sum with how many answers stand behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import OuterRef, Subquery, Sum

from router.models import Conversation, Message, UpstreamAttempt
from router.steps import made_by, with_own_runs

_MEASURED = "measured"


@dataclass(frozen=True)
class Share:
    """Answers whose energy is of one quality, and the sum of their SCI in gCO2e."""

    quality: str
    sci_gco2e: float
    answer_count: int


@dataclass(frozen=True)
class Carbon:
    """What the answers of a conversation have cost, in every version, replaced and broken-off ones too.

    An expected cost holds the runs that a cascade discarded for the answer. `expected` has a sum for each quality,
    since energy of unlike quality is not added; `missing_count` answers have no expected cost and are in no sum.
    `measured` is None where no answer was measured.
    """

    answer_count: int
    expected: tuple[Share, ...]
    missing_count: int
    measured: Share | None


Cost = tuple[str | None, float | None, float | None]  # of one answer: quality, expected and measured SCI in gCO2e


def measured_sci() -> Subquery:
    """Return the expression for what the answer of a message was measured to cost, in gCO2e."""
    return Subquery(
        UpstreamAttempt.objects.filter(request=OuterRef("request"), measurement__quality=_MEASURED)
        .order_by()
        .values("request")
        .annotate(sum=Sum("measurement__sci_gco2e"))
        .values("sum")
    )


def carbon_in(conversation: Conversation) -> Carbon:
    """Return what a conversation has cost, in one query."""
    answers = conversation.messages.filter(role=Message.Role.ASSISTANT).annotate(measured_sci_gco2e=measured_sci())
    rows = answers.values_list(
        "request__decision__predicted_quality", "request__decision__predicted_sci_gco2e", "measured_sci_gco2e",
        "request__public_id", "request__decision__steps",
    )  # fmt: skip
    return carbon_of(
        (quality, with_own_runs(sci, quality or "", made_by(request_id or "", steps or [])), measured)
        for quality, sci, measured, request_id, steps in rows
    )


def carbon_of(costs: Iterable[Cost]) -> Carbon:
    """Return the sums over some answers."""
    costs = list(costs)
    known = [(quality or "missing", sci) for quality, sci, _ in costs if sci is not None]
    qualities = sorted({quality for quality, _ in known})
    sums = [sci for *_, sci in costs if sci is not None]
    return Carbon(
        answer_count=len(costs),
        expected=tuple(_share(one, [sci for quality, sci in known if quality == one]) for one in qualities),
        missing_count=len(costs) - len(known),
        measured=_share(_MEASURED, sums) if sums else None,
    )


def _share(quality: str, sums: Sequence[float]) -> Share:
    return Share(quality, sum(sums), len(sums))
