"""How long a response takes, from those that were measured: what a new study will take, and what is left of one."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from statistics import median

from django.db.models import QuerySet

from benchmarks.models import ResponseAttempt, Study

_PER_DEPLOYMENT = 200  # the latest; enough for a median, few enough to read while somebody fills in a form
_RECENT = 30


@dataclass(frozen=True)
class Pace:
    """The median time of `count` measured responses, in seconds, from their claim to their storing."""

    median_s: float
    count: int


def paces_of(*, deployment_ids: Collection[int]) -> dict[int, Pace]:
    """Return the pace of each deployment in its latest responses of any study; one that never answered has none."""
    latest = [
        _finished().filter(response__deployment=pk).order_by("-pk").values_list(*_FIELDS)[:_PER_DEPLOYMENT]
        for pk in sorted(set(deployment_ids))
    ]
    if not latest:
        return {}
    rows = latest[0].union(*latest[1:], all=True) if len(latest) > 1 else latest[0]
    seconds: dict[int, list[float]] = defaultdict(list)
    for deployment_id, started_at, ended_at in rows:
        seconds[deployment_id].append((ended_at - started_at).total_seconds())
    return {pk: Pace(median(found), len(found)) for pk, found in seconds.items()}


def recent_pace(*, study: Study) -> Pace | None:
    """Return the pace of a study's latest responses, None before the first one."""
    rows = _finished().filter(response__study=study).order_by("-ended_at", "-pk").values_list(*_FIELDS)[:_RECENT]
    seconds = [(ended_at - started_at).total_seconds() for _, started_at, ended_at in rows]
    return Pace(median(seconds), len(seconds)) if seconds else None


_FIELDS = ("response__deployment_id", "started_at", "ended_at")


def _finished() -> QuerySet[ResponseAttempt]:
    return ResponseAttempt.objects.filter(outcome=ResponseAttempt.Outcome.FINISHED)
