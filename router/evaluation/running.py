"""Run policies and controls over seeded splits; keep what each of them was worth on each reported prompt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from router.cascade import Cascade, Rates
from router.estimate import Estimates, Estimator, Floats, Integers, Shrinkage
from router.evaluation.booking import Calibration, Ledger, Steadiness, mean_of_known
from router.evaluation.table import Split, Table, split
from router.evaluation.tuning import Tunable, Tuned, finest_of, trials, with_tuned
from router.expecting import Choices, Worth, agreed_rates, choices_of, worth_of
from router.policies import ByCategory, Floor, Guarded, Knn, Nearest, Policy
from router.regression import RegressionEstimator

TARGETS = (0.0, -0.005, -0.01, -0.02, -0.05)  # allowed changes of accuracy at which the dial is shown


@dataclass(frozen=True)
class Approach:
    """A policy as it is evaluated.

    Args:
        policy: the rule; the price of a `knn` or `category`, the floor of a `floor` or the tolerance of a `cascade` is
            replaced by the tuned one where `target` is given.
        target: allowed change of accuracy against the fallback; None: nothing is tuned.
        is_regression: whether the estimates come from the regression, else from neighbours alone.
        is_category_known: whether the rule is told the prompt's true category, as no live router is; it embeds nothing.
        dial_of: title of the approach of which this is another place on its dial; "" for one of its own.
        wrong_alike: of a `cascade` whose checkers are not measured: it goes by an agreement that is modelled on the
            learned prompts, with this share of answers alike where both are wrong; None: by the rates of the policy.
    """

    title: str
    policy: Policy
    target: float | None = None
    is_regression: bool = False
    is_category_known: bool = False
    dial_of: str = ""
    wrong_alike: float | None = None

    @property
    def kind(self) -> str:
        """Return what its row is: a policy, or a place on the dial of one."""
        return "dial" if self.dial_of else "policy"


def usual_approaches(*, target: float = -0.01) -> list[Approach]:
    """Return the policies of docs/routing.md as every report shows them."""
    return [
        Approach("nearest", Nearest()),
        Approach("category, label known", ByCategory(), target=target, is_category_known=True),
        Approach("guarded", Guarded()),
        Approach("knn, neighbours", Knn(), target=target),
        Approach("knn, regression", Knn(), target=target, is_regression=True),
    ]


def dial_of(approaches: Sequence[Approach]) -> list[Approach]:
    """Return the other places on the dial of every tuned `knn`: the same rule for other allowed losses."""
    return [
        replace(one, title=f"{one.title}, loss {abs(100 * target):g}", target=target, dial_of=one.title)
        for one in approaches
        if isinstance(one.policy, Knn) and one.target is not None
        for target in TARGETS
        if target != one.target
    ]


@dataclass(frozen=True)
class Written:
    """All prompts of the table written slightly otherwise: their texts and (n, d) unit embeddings."""

    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Run:
    """Everything that a report is made of."""

    table: Table
    approaches: tuple[Approach, ...]
    seed: int
    split_count: int
    shares: tuple[float, float, float]
    ledgers: tuple[Ledger, ...]
    calibrations: Mapping[str, Calibration]
    steadiness: Mapping[tuple[str, str], Steadiness]
    fallbacks: Mapping[str, int]


def run(
    table: Table,
    *,
    approaches: Sequence[Approach],
    split_count: int,
    seed: int = 0,
    shares: tuple[float, float, float] = (0.6, 0.15, 0.25),
    written: Mapping[str, Written] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Run:
    """Evaluate approaches and every control on the same splits.

    Prices are tuned on prompts that are reported nowhere: the training and calibration prompts of a split, each
    estimated by a router that knows all others of them. The reported router knows all of these.

    Raises:
        UnusableOutcomes: the table cannot be split.
    """
    titles = [("model", name) for name in table.models]
    titles += [("control", name) for name in ("cheapest", "random", "best single", "oracle")]
    titles += [(approach.kind, approach.title) for approach in approaches]
    ledgers = {title: _empty_ledger(table, kind, title) for kind, title in titles}
    calibrations: dict[str, Calibration] = {}
    steadiness: dict[tuple[str, str], Steadiness] = {}
    fallbacks: dict[str, int] = {}
    for number in range(split_count):
        part = split(table, seed=seed + number, shares=shares)
        book = _Book(table, part, ledgers)
        book.controls()
        fallbacks[table.models[book.fallback]] = fallbacks.get(table.models[book.fallback], 0) + 1
        desk = _Desk(table, part)
        for approach in approaches:
            policy, tuned = desk.tuned(approach, book.fallback)
            chosen = choices_of(policy, desk.estimator(approach), desk.estimates(approach))
            book.policy(approach.title, chosen, tuned)
            if approach.dial_of:
                continue  # of the same estimates as what it is the dial of
            if isinstance(policy, Knn | Floor):
                calibration = calibrations.setdefault(approach.title, Calibration())
                calibration.add(desk.estimates(approach).p, table.is_right[part.test])
            for name, other in (written or {}).items():
                again = choices_of(policy, desk.estimator(approach), desk.estimates(approach, other))
                steady = steadiness.setdefault((approach.title, name), Steadiness())
                steady.add(chosen.same_as(again), before=book.worth(chosen), after=book.worth(again))
        if on_progress is not None:
            on_progress(number + 1)
    return Run(
        table,
        tuple(approaches),
        seed,
        split_count,
        shares,
        tuple(ledgers.values()),
        calibrations,
        steadiness,
        fallbacks,
    )


def _empty_ledger(table: Table, kind: str, title: str) -> Ledger:
    n = len(table.texts)
    return Ledger(
        title, kind, np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64),
        chosen_counts=np.zeros(len(table.models)),
    )  # fmt: skip


def _column_means(values: Floats) -> Floats:
    return np.array([mean_of_known(column) for column in values.T])


class _Book:
    """Books one split: what is reported of it, and what every control would have been worth there."""

    def __init__(self, table: Table, part: Split, ledgers: Mapping[str, Ledger]) -> None:
        self._rows, self._ledgers, self._models = part.test, ledgers, table.models
        self.right, self.cost = table.is_right[part.test], table.costs[part.test]
        self._learned_cost = _column_means(table.costs[part.learned])
        self.fallback = int(np.nanargmax(_column_means(table.is_right[part.learned])))
        self._base = (mean_of_known(self.right[:, self.fallback]), mean_of_known(self.cost[:, self.fallback]))

    def controls(self) -> None:
        for column, model in enumerate(self._models):
            self._add(model, self.right[:, column], self.cost[:, column])
        cheapest = int(np.nanargmin(self._learned_cost))
        self._add("cheapest", self.right[:, cheapest], self.cost[:, cheapest])
        self._add("best single", self.right[:, self.fallback], self.cost[:, self.fallback])
        known = ~np.isnan(self.right).all(axis=1)
        with np.errstate(invalid="ignore"):
            right = np.where(known, np.nansum(self.right, axis=1) / (~np.isnan(self.right)).sum(axis=1), np.nan)
            cost = np.nansum(self.cost, axis=1) / (~np.isnan(self.cost)).sum(axis=1)
        self._add("random", right, cost)
        self.policy("oracle", Choices(self._oracle()))

    def worth(self, chosen: Choices) -> Worth:
        return worth_of(chosen, self.right, self.cost)

    def policy(self, title: str, chosen: Choices, tuned: Tuned | None = None) -> None:
        worth = self.worth(chosen)
        self._add(title, worth.right, worth.costs)
        ledger = self._ledgers[title]
        if ledger.chosen_counts is not None:
            ledger.chosen_counts += worth.stands.sum(axis=0)
        if tuned is not None:
            ledger.tuned.append(tuned)

    def _add(self, title: str, right: Floats, cost: Floats) -> None:
        self._ledgers[title].add(self._rows, right, cost, self._base)

    def _oracle(self) -> Integers:
        """Return the cheapest model that was right on each prompt, and where none was the cheapest."""
        costs = np.where(np.isnan(self.cost), np.inf, self.cost)
        is_right = self.right == 1
        chosen: Integers = np.where(is_right, costs, np.where(is_right.any(axis=1)[:, None], np.inf, costs)).argmin(
            axis=1
        )
        return chosen


class _Desk:
    """Makes and keeps the estimates of one split, so that policies of like estimates share them."""

    def __init__(self, table: Table, part: Split) -> None:
        self._table, self._part = table, part
        self._estimators: dict[tuple[bool, Shrinkage], Estimator] = {}
        self._estimates: dict[tuple[bool, Shrinkage, int], Estimates] = {}
        self._left_out: dict[tuple[bool, Shrinkage], Estimates] = {}
        self._tried: dict[tuple[Tunable, bool, bool], list[Tuned]] = {}
        self._agreed: dict[float, tuple[Rates, ...]] = {}

    def estimator(self, approach: Approach) -> Estimator:
        key = (approach.is_regression, approach.policy.shrinkage)
        if key not in self._estimators:
            self._estimators[key] = self._learn(self._part.learned, *key)
        return self._estimators[key]

    def estimates(self, approach: Approach, written: Written | None = None) -> Estimates:
        key = (approach.is_regression, approach.policy.shrinkage, id(written))
        if key not in self._estimates:
            test = self._part.test
            texts, vectors = (
                (self._table.texts, self._table.vectors) if written is None else (written.texts, written.vectors)
            )
            self._estimates[key] = self.estimator(approach).estimate(vectors[test], [texts[row] for row in test])
        return self._estimates[key]

    def tuned(self, approach: Approach, fallback: int) -> tuple[Policy, Tuned | None]:
        """Return the policy as it is reported: with its price, and told the true categories where it may know them."""
        policy = self._checked(approach)
        if not isinstance(policy, Tunable):
            return policy, None
        tuned = None
        if approach.target is not None:
            coarse, closer = self._coarse(policy, approach, fallback), partial(self._trials, policy, approach, fallback)
            tuned = finest_of(coarse, closer, accuracy_change=approach.target)
            policy = with_tuned(policy, tuned)
        return self._told(policy, approach, self._part.test), tuned

    def _checked(self, approach: Approach) -> Policy:
        """Return the policy with the checkers that it goes by, where these are modelled on the learned prompts."""
        policy, alike, learned = approach.policy, approach.wrong_alike, self._part.learned
        if not isinstance(policy, Cascade) or alike is None:
            return policy
        if alike not in self._agreed:
            right, categories = self._table.is_right[learned], self._table.categories[learned]
            self._agreed[alike] = tuple(agreed_rates(right, categories, wrong_alike=alike))
        return replace(policy, rates=self._agreed[alike])

    def _coarse(self, policy: Tunable, approach: Approach, fallback: int) -> list[Tuned]:
        """Try every price on the learned prompts; other places on the dial want the same trials."""
        key = (policy, approach.is_regression, approach.is_category_known)
        if key not in self._tried:
            self._tried[key] = self._trials(policy, approach, fallback)
        return self._tried[key]

    def _trials(self, policy: Tunable, approach: Approach, fallback: int, near: Tuned | None = None) -> list[Tuned]:
        learned = self._part.learned
        return trials(
            self._told(policy, approach, learned),
            estimator=self.estimator(approach), estimates=self._of_learned(approach),
            right=self._table.is_right[learned], costs=self._table.costs[learned], fallback=fallback, near=near,
        )  # fmt: skip

    def _told(self, policy: Tunable, approach: Approach, rows: Integers) -> Tunable:
        if isinstance(policy, ByCategory) and approach.is_category_known:
            return replace(policy, categories=self._table.categories[rows])
        return policy

    def _learn(self, rows: Integers, is_regression: bool, shrinkage: Shrinkage) -> Estimator:
        known = self._table.known(rows)
        if is_regression:
            return RegressionEstimator(known, [self._table.texts[row] for row in rows], shrinkage)
        return Estimator(known, shrinkage)

    def _of_learned(self, approach: Approach) -> Estimates:
        """Estimate every learned prompt by a router that knows all others but those of the same text."""
        key = (approach.is_regression, approach.policy.shrinkage)
        if key not in self._left_out:
            learned = self._part.learned
            texts = [self._table.texts[row] for row in learned]
            groups = np.unique(self._table.groups[learned], return_inverse=True)[1]
            self._left_out[key] = self.estimator(approach).estimate_known(groups, texts)
        return self._left_out[key]
