"""Choose a deployment for one prompt by a version of a policy, from all that is known, and say why each other lost."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.units import grams_to_milligrams
from router.estimate import Estimates, Estimator, Pairs, Shrinkage
from router.knowledge import Column, Knowledge
from router.models import PolicyVersion, RoutingDecision
from router.policies import ByCategory, Fixed, Floor, Guarded, Knn, Policy
from router.policy import Candidate, Choice, Evidence, NoCandidate

_Reason = RoutingDecision.Reason
_FEW, _MANY = 20, 50  # neighbours


def weigh(*, version: PolicyVersion, knowledge: Knowledge, vector: npt.NDArray[np.float32]) -> Choice:
    """Choose by any policy but `nearest`.

    Raises:
        NoCandidate: there is no active deployment, nobody has judged any, or the fallback is not active.
    """
    policy = policy_of(version, knowledge)
    estimator = knowledge.estimator(policy.shrinkage)
    if np.isnan(estimator.model_scores).all() and not isinstance(policy, Fixed):
        raise NoCandidate(
            "Nobody has judged an answer of an active model to a prompt of the index; label some, or choose the policy "
            "nearest or fixed."
        )
    estimates = estimator.estimate(vector[None])
    chosen = int(policy.choose(estimator, estimates)[0])
    scale = _Scale(policy, estimator, estimates, knowledge, chosen)
    evidence = [scale.evidence(column) for column in range(len(knowledge.columns))]
    candidates = tuple(
        Candidate(one, column == chosen, scale.why if column == chosen else scale.why_not(column))
        for column, one in sorted(
            enumerate(evidence), key=lambda pair: (pair[1].sci_gco2e is None, pair[1].sci_gco2e or 0)
        )
    )
    return Choice(evidence[chosen], scale.reason, scale.explanation, candidates)


def policy_of(version: PolicyVersion, knowledge: Knowledge) -> Policy:
    """Return the rule of a version over what is known.

    Raises:
        NoCandidate: its fallback is not among the deployments.
    """
    column_of = {column.deployment_id: number for number, column in enumerate(knowledge.columns)}
    fallback = None
    if version.fallback_id is not None:
        fallback = column_of.get(version.fallback_id)
        if fallback is None:
            raise NoCandidate(
                f"The fallback of policy version {version.pk} is not active; make a version with another one in the "
                f"admin."
            )
    few, many = (Shrinkage(neighbour_count=version.neighbour_count or usual) for usual in (_FEW, _MANY))
    match version.policy:
        case PolicyVersion.Policy.CATEGORY:
            return ByCategory(sci_price=version.sci_price, shrinkage=few)
        case PolicyVersion.Policy.KNN:
            return Knn(sci_price=version.sci_price, shrinkage=few)
        case PolicyVersion.Policy.FLOOR:
            return Floor(accuracy=version.accuracy_floor, shrinkage=few)
        case PolicyVersion.Policy.FIXED:
            return Fixed(model=fallback or 0)
        case _:
            return Guarded(
                fallback=fallback, caution=version.caution, tolerance=version.tolerance, novelty=version.novelty,
                shrinkage=many,
            )  # fmt: skip


@dataclass(frozen=True)
class _Weights:
    """What the estimates say of one column, as plain numbers; None where nothing is known."""

    p: float | None
    p_low: float | None
    p_high: float | None
    sci: float | None


class _Scale:
    """Words for a choice that a policy has made."""

    def __init__(
        self, policy: Policy, estimator: Estimator, estimates: Estimates, knowledge: Knowledge, chosen: int
    ) -> None:
        self._policy, self._estimates, self._knowledge, self._chosen = policy, estimates, knowledge, chosen
        self._fallback = estimator.best_model
        self._pairs: Pairs | None = None
        if isinstance(policy, Guarded):
            self._fallback = estimator.best_model if policy.fallback is None else policy.fallback
            self._pairs = estimator.compare(estimates.neighbours, self._fallback)

    def evidence(self, column: int) -> Evidence:
        """Return what is known of one deployment around the prompt."""
        info, weights = self._knowledge.columns[column], self._weights(column)
        return Evidence(
            deployment_id=info.deployment_id,
            model=info.model,
            sci_gco2e=weights.sci,
            quality=info.quality,
            is_correct=None,
            response_count=int(self._estimates.label_count[0, column]),
            sci_count=int(self._estimates.sci_count[0, column]),
            p=weights.p,
            p_low=weights.p_low,
            p_high=weights.p_high,
            label_count=int(self._estimates.label_count[0, column]),
        )

    @property
    def reason(self) -> str:
        """Return the kind of the reason, as it is stored."""
        match self._policy:
            case ByCategory():
                return _Reason.CATEGORY.value
            case Knn():
                return _Reason.DIAL.value
            case Floor(accuracy=floor):
                return (_Reason.FLOOR if (self._weights(self._chosen).p or 0.0) >= floor else _Reason.BELOW_FLOOR).value
            case Fixed():
                return _Reason.FIXED.value
        if self._chosen != self._fallback:
            return _Reason.AS_GOOD.value
        return (_Reason.NOVEL if self._is_novel else _Reason.FALLBACK).value

    @property
    def why(self) -> str:
        """Return in one sentence why the chosen deployment was chosen."""
        match self.reason:
            case _Reason.CATEGORY.value:
                return f"It is the best in {self._category} at the price of SCI."
            case _Reason.DIAL.value:
                return "Its probability of being right less the price of its SCI is the highest."
            case _Reason.FLOOR.value:
                return "It is the cheapest whose probability of being right reaches the floor."
            case _Reason.BELOW_FLOOR.value:
                return "No model reaches the floor; it is the most probable to be right."
            case _Reason.FIXED.value:
                return "Every prompt goes to it."
            case _Reason.AS_GOOD.value:
                return f"It is the cheapest of those that {self._compared(self._chosen)}."
            case _Reason.NOVEL.value:
                return "The prompt is farther from every known one than the limit, so it goes to the fallback."
        return "It is the fallback, and no cheaper model is shown to be as good on prompts like this."

    @property
    def explanation(self) -> str:
        """Return the choice in one or two sentences."""
        chosen, weights = self._column, self._weights(self._chosen)
        known = "" if weights.p is None else f", {100 * weights.p:.0f} % likely to be right"
        cost = "SCI missing" if weights.sci is None else f"{_amount(weights.sci)}, {chosen.quality}"
        return f"{chosen.model} ({cost}{known}). {self.why}"

    def why_not(self, column: int) -> str:
        """Return in one sentence why another deployment was not chosen."""
        info, weights, chosen = self._knowledge.columns[column], self._weights(column), self._weights(self._chosen)
        if isinstance(self._policy, Fixed):
            return "Every prompt goes to another model."
        if not info.is_ranked and info.quality != "missing":
            return f"Its energy is {info.quality}, that of most others is not: they are not ranked together."
        if weights.sci is None:
            return "It has no SCI on the known prompts."
        if weights.p is None:
            return "Nobody has judged it."
        if isinstance(self._policy, Guarded):
            return self._why_not_guarded(column, weights.sci, chosen.sci)
        if isinstance(self._policy, Floor) and weights.p < self._policy.accuracy:
            return f"Its probability of being right, {100 * weights.p:.0f} %, is below the floor."
        if isinstance(self._policy, Floor):
            return f"It costs more: {_amount(weights.sci)}."
        return (
            f"It is {100 * weights.p:.0f} % likely to be right at {_amount(weights.sci)}: less after the price of SCI."
        )

    def _why_not_guarded(self, column: int, sci: float, chosen_sci: float | None) -> str:
        if self._is_novel:
            return "The prompt is of an unknown kind, for which only the fallback is used."
        if column == self._fallback:
            return f"It is the fallback; it costs {_amount(sci)}."
        if chosen_sci is not None and sci >= chosen_sci:
            return f"It costs no less: {_amount(sci)}."
        return f"It {self._compared(column)}: not enough to leave the fallback."

    def _compared(self, column: int) -> str:
        count = 0 if self._pairs is None else int(self._pairs.count[0, column])
        if self._pairs is None or count == 0:
            return "has no judged prompt here in common with the fallback"
        difference, error = 100 * self._pairs.difference[0, column], 100 * self._pairs.error[0, column]
        return (
            f"did {difference:+.0f} points against {self._knowledge.columns[self._fallback].model} on {count} known "
            f"prompts near this one (standard error {error:.0f})"
        )

    @property
    def _is_novel(self) -> bool:
        limit = self._policy.novelty if isinstance(self._policy, Guarded) else None
        return limit is not None and float(self._estimates.squared_distance[0]) > limit

    @property
    def _category(self) -> str:
        return self._knowledge.categories[int(self._estimates.category[0])]

    @property
    def _column(self) -> Column:
        return self._knowledge.columns[self._chosen]

    def _weights(self, column: int) -> _Weights:
        found = self._estimates
        p, low, high, sci = (
            float(values[0, column]) for values in (found.p, found.p_low, found.p_high, found.sci_gco2e)
        )
        return _Weights(_known(p), _known(low), _known(high), _known(sci))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _amount(sci_gco2e: float) -> str:
    return f"{grams_to_milligrams(sci_gco2e):.3g} mgCO2e"
