"""What an evaluation found, with intervals: the rows of its table, calibration, steadiness, and all of it as JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.intervals import Interval
from router.evaluation.booking import Calibration, Ledger, Steadiness
from router.evaluation.mixing import Single, cheapest_mix, frontier, most_accurate_mix, singles_of
from router.evaluation.own_cost import UNKNOWN, OwnCost
from router.evaluation.resampling import Resampling, interval
from router.evaluation.running import Approach, Run

FORMAT = 2


@dataclass(frozen=True)
class Row:
    """One approach over all reported prompts of all splits.

    `accuracy` and `cost` are means over splits; `accuracy_change` and `saving` are against the best single model of
    each split, chosen on the learned prompts. Intervals are paired bootstraps over prompt texts, 95 %. `worst_change`
    is that of the worst split.

    `is_routed`: whether a prompt is embedded first; then `cost` and `saving` hold the router's own cost, `own_cost`,
    which is None where it is missing: then they lack it.

    `mixture` is the accuracy of the best mix of two single models at the same cost, `gain` how much more accurate the
    approach is. `mixture_cost` is the cost of the cheapest mix that is as accurate, `equal_saving` what the approach
    saves against it; None where no mix is.
    """

    title: str
    kind: str
    accuracy: Interval
    cost: Interval
    accuracy_change: Interval
    saving: Interval
    worst_change: float
    mixture: float | None
    prices: tuple[float, float] | None
    chosen: dict[str, float]
    mixture_of: str = ""
    gain: Interval | None = None
    mixture_cost: float | None = None
    mixture_cost_of: str = ""
    equal_saving: Interval | None = None
    floors: tuple[float, float] | None = None
    is_routed: bool = False
    own_cost: float | None = None
    dial_of: str = ""
    target: float | None = None
    tolerances: tuple[float, float] | None = None


@dataclass(frozen=True)
class Report:
    """The whole report; `unit` is that of every cost, per prompt.

    `qualities` counts the costs of the table by how they came about; `frontier` names the models that the best mixes of
    two are made of. `reckoned` says of approaches that check answers how that was reckoned.
    """

    unit: str
    prompt_count: int
    text_count: int
    category_count: int
    split_count: int
    seed: int
    shares: tuple[float, float, float]
    fallbacks: dict[str, int]
    rows: tuple[Row, ...]
    calibration: dict[str, dict[str, Any]]
    steadiness: list[dict[str, Any]]
    own_cost: OwnCost
    qualities: dict[str, int]
    frontier: tuple[str, ...]
    reckoned: dict[str, str] = field(default_factory=dict)

    def row(self, title: str) -> Row:
        """Return the row of an approach."""
        return next(row for row in self.rows if row.title == title)

    def as_json(self) -> dict[str, Any]:
        """Return everything in the form of the file; `format` is its version. What is not known is None, never NaN."""
        return {"format": FORMAT, **_without_nan(asdict(self))}


def report(
    run: Run,
    *,
    own_cost: OwnCost = UNKNOWN,
    qualities: Mapping[str, int] | None = None,
    reckoned: Mapping[str, str] | None = None,
) -> Report:
    """Draw up the report of a run; what routes is charged with the router's own cost where that is known."""
    groups = run.table.groups
    draws = Resampling(run.ledgers, groups, seed=run.seed)
    rows = _Rows(run, draws, own_cost)
    return Report(
        unit=run.table.unit,
        prompt_count=len(run.table.texts),
        text_count=int(groups.max()) + 1,
        category_count=len(np.unique(run.table.categories)),
        split_count=run.split_count,
        seed=run.seed,
        shares=run.shares,
        fallbacks=dict(run.fallbacks),
        rows=tuple(rows.row(ledger) for ledger in run.ledgers),
        calibration={title: _calibration(found) for title, found in run.calibrations.items()},
        steadiness=[
            {"policy": title, "written": name, **_steadiness(found)}
            for (title, name), found in run.steadiness.items()
            if found.prompt_count
        ],
        own_cost=own_cost,
        qualities=dict(qualities or {}),
        frontier=tuple(one.title for one in frontier(rows.singles)),
        reckoned=dict(reckoned or {}),
    )


class _Rows:
    """Makes the rows of one run."""

    def __init__(self, run: Run, draws: Resampling, own_cost: OwnCost) -> None:
        self._run, self._draws, self._own = run, draws, own_cost
        self._approaches = {one.title: one for one in run.approaches}
        self.singles: list[Single] = singles_of(run.ledgers, draws)

    def row(self, ledger: Ledger) -> Row:
        """Return the row of what was booked of one approach."""
        run, approach = self._run, self._approaches.get(ledger.title)
        is_routed = approach is not None and not approach.is_category_known
        extra = (self._own.value or 0.0) if is_routed else 0.0
        own, base = np.array(ledger.splits), np.array(ledger.base)
        costs = own[:, 1] + extra
        right, cost = self._draws.means(ledger.title)
        base_right, base_cost = self._draws.means("best single")
        changes, n = own[:, 0] - base[:, 0], run.split_count
        return Row(
            title=ledger.title,
            kind=ledger.kind,
            accuracy=interval(float(own[:, 0].mean()), right, n),
            cost=interval(float(costs.mean()), cost + extra, n),
            accuracy_change=interval(float(changes.mean()), right - base_right, n),
            saving=interval(float((1 - costs / base[:, 1]).mean()), 1 - (cost + extra) / base_cost, n),
            worst_change=float(changes.min()),
            chosen=self._chosen(ledger),
            is_routed=is_routed,
            own_cost=self._own.value if is_routed else None,
            **self._against_mixes(ledger, float(own[:, 0].mean()), float(costs.mean()), extra),
            **_tuned(ledger, approach),
        )

    def _chosen(self, ledger: Ledger) -> dict[str, float]:
        counts = ledger.chosen_counts if ledger.chosen_counts is not None else np.zeros(0)
        total = max(float(counts.sum()), 1.0)
        named = zip(self._run.table.models, counts, strict=False)
        return {model: float(count) / total for model, count in named if count}

    def _against_mixes(self, ledger: Ledger, accuracy: float, cost: float, extra: float) -> dict[str, Any]:
        if ledger.kind not in {"policy", "dial"}:
            return {"mixture": None}
        right_draws, cost_draws = self._draws.means(ledger.title)
        n, facts = self._run.split_count, dict[str, Any](mixture=None)
        as_dear = most_accurate_mix(self.singles, cost=cost)
        if as_dear is not None:
            gain = interval(accuracy - as_dear.right, right_draws - as_dear.right_draws, n)
            facts |= {"mixture": as_dear.right, "mixture_of": as_dear.name, "gain": gain}
        as_good = cheapest_mix(self.singles, right=accuracy)
        if as_good is not None:
            saving = interval(1 - cost / as_good.cost, 1 - (cost_draws + extra) / as_good.cost_draws, n)
            facts |= {"mixture_cost": as_good.cost, "mixture_cost_of": as_good.name, "equal_saving": saving}
        return facts


def _tuned(ledger: Ledger, approach: Approach | None) -> dict[str, Any]:
    floors = [found.accuracy_floor for found in ledger.tuned if found.accuracy_floor is not None]
    tolerances = [found.tolerance for found in ledger.tuned if found.tolerance is not None]
    prices = [] if floors or tolerances else [found.sci_price for found in ledger.tuned]
    return {
        "prices": (min(prices), max(prices)) if prices else None,
        "floors": (min(floors), max(floors)) if floors else None,
        "tolerances": (min(tolerances), max(tolerances)) if tolerances else None,
        "dial_of": "" if approach is None else approach.dial_of,
        "target": None if approach is None else approach.target,
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _calibration(found: Calibration) -> dict[str, Any]:
    bins = zip(found.p, found.right, found.count, strict=True)
    return {
        "expected_error": found.expected_error,
        "n": int(found.count.sum()),
        "bins": [{"p": p / count, "right": right / count, "n": int(count)} for p, right, count in bins if count],
    }


def _steadiness(found: Steadiness) -> dict[str, Any]:
    return {
        "n": found.prompt_count,
        "unchanged": found.unchanged / found.prompt_count,
        "accuracy_change": (found.right - found.right_before) / found.prompt_count,
        "cost_change": found.cost / found.cost_before - 1,
    }
