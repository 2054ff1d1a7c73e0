"""The runs that an answer caused before it was accepted, and what they add to its cost. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from router.policy import Evidence


@dataclass(frozen=True)
class Step:
    """One run whose answer was refused: by which checker, why, and what it was expected to cost.

    `sci_gco2e` is in gCO2e; None where it is not known, which is never 0.
    """

    request_id: str
    attempt_number: int
    deployment_id: int
    model: str
    checker: str
    reason: str
    sci_gco2e: float | None
    quality: str


def charged_sci_gco2e(steps: Sequence[Step]) -> float | None:
    """Return what the refused runs add to an answer, gCO2e; None where one is unknown or none was refused.

    Figures of unlike quality are not added.
    """
    costs = [step.sci_gco2e for step in steps]
    known = [cost for cost in costs if cost is not None]
    if not known or len(known) < len(costs) or len({step.quality for step in steps}) > 1:
        return None
    return sum(known)


def priced(steps: Iterable[Step], evidence: Iterable[Evidence]) -> tuple[Step, ...]:
    """Give a run without an expected cost what is known of its model on this prompt, where anything is."""
    known = {one.deployment_id: one for one in evidence if one.sci_gco2e is not None}
    return tuple(
        replace(step, sci_gco2e=known[step.deployment_id].sci_gco2e, quality=known[step.deployment_id].quality)
        if step.sci_gco2e is None and step.deployment_id in known
        else step
        for step in steps
    )


def made_by(request_id: str, rows: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Return the runs among stored ones that a request made itself; those of refused answers are of requests before."""
    return tuple(step for step in steps_from_json(rows) if step.request_id == request_id)


def with_own_runs(sci_gco2e: float | None, quality: str, runs: Sequence[Step]) -> float | None:
    """Return what an answer costs together with the discarded runs of its own request, in gCO2e.

    None where something of it is not known, or has energy of another quality, which is not added.
    """
    if sci_gco2e is None or not runs:
        return sci_gco2e
    charged = charged_sci_gco2e(runs)
    return None if charged is None or {step.quality for step in runs} != {quality} else sci_gco2e + charged


def steps_as_json(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Return steps for storing."""
    return [asdict(step) for step in steps]


def steps_from_json(rows: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Return stored steps."""
    return tuple(Step(**row) for row in rows)
