"""Make a whole report of policies on outcomes: what `manage.py evaluate_router` prints and the page shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.datasets.outcome_table import QUALITIES, OutcomeTable
from router.assessing import Embedding, table_of, written_otherwise
from router.cascade import Cascade, Rates
from router.estimate import Shrinkage
from router.evaluation.own_cost import OwnCost
from router.evaluation.report import Report, report
from router.evaluation.running import Approach, Run, dial_of, run, usual_approaches
from router.evaluation.table import MOST_SPLITS, Table, require_splittable
from router.evaluation.tuning import Tuned
from router.policies import ByCategory, Floor, Knn, Policy

POLICIES = ("nearest", "category", "guarded", "knn", "floor", "cascade")
USUAL_POLICIES = POLICIES[:4]
TUNABLE: Mapping[str, Policy] = {
    "knn": Knn(), "category": ByCategory(), "floor": Floor(accuracy=1.0), "cascade": Cascade(),
}  # fmt: skip
ESTIMATORS = ("regression", "neighbours")  # what knn and floor are tuned with; the first unless another is asked for
LARGEST_SEED = 2**31 - 1
Tell = Callable[[str, int, int], None]  # stage, done, total
RatesOf = Callable[[Sequence[str], Sequence[str]], Sequence[Rates]]  # of checkers, for models and categories by name
WRONG_ALIKE = 0.5  # assumed: how often two wrong answers are the same


class UnusablePlan(ValueError):
    """What shall be evaluated makes no sense; `field` is what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NothingToTune(ValueError):
    """No price, floor or tolerance saves anything at the allowed loss, or no checker is measured."""


@dataclass(frozen=True)
class Plan:
    """What is evaluated, and how.

    Args:
        split_count: seeded splits by prompt text, from `seed` on.
        points: points of accuracy that a tuned price may cost.
        floor: probability for the policy `floor`.
        is_written: whether the prompts are looked at with typos and in other framings too.
        wrong_alike: for a `cascade` of models without a measured checker: how often two wrong answers are the same.
    """

    policies: tuple[str, ...] = USUAL_POLICIES
    split_count: int = 20
    seed: int = 0
    points: float = 1.0
    floor: float = 0.6
    is_written: bool = False
    wrong_alike: float = WRONG_ALIKE

    def __post_init__(self) -> None:
        if not self.policies or set(self.policies) - set(POLICIES):
            raise UnusablePlan("policies", f"Choose policies among {', '.join(POLICIES)}.")
        _require("splits", self.split_count, 1, MOST_SPLITS)
        _require("seed", self.seed, 0, LARGEST_SEED)
        _require("points", self.points, 0, 100)
        _require("floor", self.floor, 0, 1)
        _require("wrong_alike", self.wrong_alike, 0, 1)

    @property
    def approaches(self) -> list[Approach]:
        """Return the policies as they are evaluated, with the dial of those that have one."""
        usual = usual_approaches(target=-self.points / 100)
        chosen = [approach for approach in usual if approach.policy.name in self.policies]
        if "floor" in self.policies:
            chosen.append(Approach(f"floor {self.floor:g}", Floor(accuracy=self.floor), is_regression=True))
        if "cascade" in self.policies:
            chosen.append(Approach("cascade", Cascade(), wrong_alike=self.wrong_alike))
        return [*chosen, *dial_of(chosen)]

    def as_json(self) -> dict[str, Any]:
        """Return it in the form that is stored, with the parameters of each policy."""
        return {**asdict(self), "approaches": [_told(one) for one in self.approaches if not one.dial_of]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Plan":
        """Return a stored plan."""
        known = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        return cls(**{**known, "policies": tuple(known.get("policies", USUAL_POLICIES))})


@dataclass(frozen=True)
class TuningPlan:
    """Which policy is tuned, for a loss of how many points of accuracy, on which split, and who estimates.

    A version of it has the same estimates. `category` goes by means alone, and `cascade` by neighbours.
    """

    policy: str = "knn"
    loss: float = 1.0
    seed: int = 0
    estimator: str = ESTIMATORS[0]

    def __post_init__(self) -> None:
        if self.policy not in TUNABLE:
            raise UnusablePlan("policy", f"Choose a policy that can be tuned: {', '.join(TUNABLE)}.")
        if self.estimator not in ESTIMATORS:
            raise UnusablePlan("estimates", f"Choose estimates among {', '.join(ESTIMATORS)}.")
        _require("loss", self.loss, 0, 100)
        _require("seed", self.seed, 0, LARGEST_SEED)

    @property
    def is_regression(self) -> bool:
        """Tell whether the regression estimates."""
        return self.estimator == "regression" and self.policy in {"knn", "floor"}


@dataclass(frozen=True)
class Proposal:
    """A tuned policy: what was chosen on the learned prompts, and what the reported ones say of it.

    `tuned` is the choice with what it did where it was chosen.
    """

    plan: TuningPlan
    tuned: Tuned
    report: Report

    @property
    def parameter(self) -> str:
        """Return the field of the policy version that was tuned."""
        if self.tuned.tolerance is not None:
            return "tolerance"
        return "sci_price" if self.tuned.accuracy_floor is None else "accuracy_floor"

    @property
    def value(self) -> float:
        """Return what was chosen for it."""
        return float(getattr(self.tuned, self.parameter))

    def as_json(self) -> dict[str, Any]:
        """Return it in the form that is stored: a report with what was tuned."""
        tuning = {
            "policy": self.plan.policy,
            "estimator": "regression" if self.plan.is_regression else "neighbours",
            "parameter": self.parameter,
            "value": self.value,
            "loss": self.plan.loss,
            "title": title_of(self.plan.policy),
            "accuracy_change": self.tuned.accuracy_change,
            "saving": self.tuned.saving,
            "prompt_count": self.tuned.prompt_count,
        }
        return {**self.report.as_json(), "tuning": tuning}


def title_of(policy: str) -> str:
    """Return what the row of a tuned policy is called."""
    return f"{policy}, tuned"


def draw_up(
    outcomes: OutcomeTable,
    *,
    plan: Plan,
    embedder: Embedding,
    own_cost: Callable[[str], OwnCost],
    tell: Tell,
    rates_of: RatesOf | None = None,
) -> Report:
    """Embed the prompts, run every approach and control, and report.

    Args:
        own_cost: returns the router's own cost of a prompt in a unit.
        tell: is told how far it is.
        rates_of: returns what is measured of checkers; None: nothing is, because the models are known by name alone.

    Raises:
        UnusableOutcomes: there are too few different prompts.
        Whatever the embedder raises.
    """
    table = _table(outcomes, embedder, tell)
    approaches = [_with_checkers(one, table, rates_of) for one in plan.approaches]
    written, total = None, len(table.texts)
    if plan.is_written:
        told = _telling(tell, "embedding what is written otherwise", total)
        written = written_otherwise(table, embedder=embedder, seed=plan.seed, on_progress=told)
    found = run(
        table,
        approaches=approaches,
        split_count=plan.split_count,
        seed=plan.seed,
        written=written,
        on_progress=_telling(tell, "evaluating", plan.split_count),
    )
    return _report(found, outcomes, own_cost)


def propose(
    outcomes: OutcomeTable,
    *,
    plan: TuningPlan,
    embedder: Embedding,
    own_cost: Callable[[str], OwnCost],
    tell: Tell,
    rates_of: RatesOf | None = None,
) -> Proposal:
    """Choose the price of `knn` or `category`, the floor of `floor` or the tolerance of `cascade` for a loss in points.

    The price is chosen on the learned prompts of one split, each estimated by a router that does not know it; what is
    reported of it are the other prompts.

    Raises:
        UnusableOutcomes: there are too few different prompts.
        NothingToTune: nothing saves anything at that loss, or a cascade has no measured checker to go by.
    """
    table = _table(outcomes, embedder, tell)
    approach = Approach(
        title_of(plan.policy), TUNABLE[plan.policy], target=-plan.loss / 100, is_regression=plan.is_regression
    )
    approach = _with_checkers(approach, table, rates_of)
    if isinstance(approach.policy, Cascade) and not approach.policy.rates:
        raise NothingToTune(
            "No checker has accepted enough judged answers of these models in these categories, so that a cascade has "
            "nothing to go by: measure them with manage.py measure_checkers."
        )
    found = run(
        table,
        approaches=[approach],
        split_count=1,
        seed=plan.seed,
        on_progress=_telling(tell, "choosing on the learned prompts", 1),
    )
    tuned = next(ledger for ledger in found.ledgers if ledger.title == approach.title).tuned[0]
    if tuned.saving <= 0:
        raise NothingToTune(
            f"Nothing that was tried for {plan.policy} saves anything at a loss of at most {plan.loss:g} points of "
            f"accuracy on the {tuned.prompt_count} prompts to learn from; allow more, or keep what is in force."
        )
    return Proposal(plan, tuned, _report(found, outcomes, own_cost))


def _report(found: Run, outcomes: OutcomeTable, own_cost: Callable[[str], OwnCost]) -> Report:
    reckoned = {one.title: how_reckoned(one) for one in found.approaches if isinstance(one.policy, Cascade)}
    return report(found, own_cost=own_cost(found.table.unit), qualities=_qualities(outcomes), reckoned=reckoned)


def how_reckoned(approach: Approach) -> str:
    """Return in words how a cascade is reckoned where no checker reads an answer."""
    policy = approach.policy
    if isinstance(policy, Cascade) and policy.rates:
        accepted_count = sum(one.accepted_count for one in policy.rates)
        checkers = (
            f"each checker is taken to accept the share of right and of wrong answers that measure_checkers measured "
            f"({len(policy.rates)} rates over n = {accepted_count} accepted answers, among them those of the reported "
            f"prompts where they were measured on this study)"
        )
    else:
        checkers = (
            f"no checker is measured for these models, so that an agreement of two models is modelled from the "
            f"verdicts: two right answers agree, a right and a wrong one do not, and two wrong ones in "
            f"{100 * (approach.wrong_alike or 0.0):g} % of the cases, which is an assumption; how far it can be "
            f"trusted is counted on the learned prompts"
        )
    return (
        f"By the runs that it would make: every run is charged, and {checkers}. Accuracy and cost are expected values; "
        f"the energy of the checkers themselves is not in them."
    )


def _with_checkers(approach: Approach, table: Table, rates_of: RatesOf | None) -> Approach:
    """Return a cascade with what is measured of checkers; where nothing is, it stays as it is."""
    if not isinstance(approach.policy, Cascade) or rates_of is None:
        return approach
    rates = tuple(rates_of(table.models, table.category_names))
    return replace(approach, policy=replace(approach.policy, rates=rates), wrong_alike=None) if rates else approach


def _table(outcomes: OutcomeTable, embedder: Embedding, tell: Tell) -> Table:
    require_splittable(outcomes.texts)
    told = _telling(tell, "embedding", len(outcomes.texts))
    return table_of(outcomes, embedder=embedder, on_progress=told)


def _qualities(outcomes: OutcomeTable) -> dict[str, int]:
    known = ~np.isnan(outcomes.costs)
    counts = {name: int((known & (outcomes.qualities == number)).sum()) for number, name in enumerate(QUALITIES)}
    return {name: count for name, count in (counts | {"missing": int((~known).sum())}).items() if count}


def _telling(tell: Tell, stage: str, total: int) -> Callable[[int], None]:
    tell(stage, 0, total)
    return lambda done: tell(stage, done, total)


def _told(approach: Approach) -> dict[str, Any]:
    shrinkage: Shrinkage = approach.policy.shrinkage
    facts = {name: getattr(approach.policy, name, None) for name in ("caution", "tolerance", "novelty", "accuracy")}
    return {
        "title": approach.title,
        "policy": approach.policy.name,
        "neighbour_count": shrinkage.neighbour_count,
        "target": approach.target,
        "is_regression": approach.is_regression,
        "is_category_known": approach.is_category_known,
        **{name: value for name, value in facts.items() if value is not None},
    }


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UnusablePlan(name, f"{name}: {value:g} is not between {low:g} and {high:g}.")
