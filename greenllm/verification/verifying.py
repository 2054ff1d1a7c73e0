"""Every check, in the order in which rows come about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from greenllm.verification.energy import (
    check_measured_have_traces,
    check_missing_is_not_zero,
    check_scores,
    check_traces,
)
from greenllm.verification.judgements import check_counts, check_labels, check_leases, check_verdicts
from greenllm.verification.routes import check_budgets, check_decisions, check_index
from greenllm.verification.tally import Tally
from greenllm.verification.values import check_values
from greenllm.verification.work import check_jobs
from router.index import VectorStore


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    tally: Tally


def verify(*, store: VectorStore) -> Iterator[Finding]:
    """Make every check, one after the other, and give what each found; nothing is changed."""
    checks: dict[str, Callable[[], Tally]] = {
        "values": check_values,
        "traces": check_traces,
        "energies": check_measured_have_traces,
        "missing": check_missing_is_not_zero,
        "scores": check_scores,
        "verdicts": check_verdicts,
        "labels": check_labels,
        "leases": check_leases,
        "rollups": check_counts,
        "index": partial(check_index, store=store),
        "decisions": check_decisions,
        "budgets": check_budgets,
        "jobs": check_jobs,
    }
    for name, check in checks.items():
        yield Finding(name, check())
