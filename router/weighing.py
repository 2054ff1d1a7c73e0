"""Choose a deployment for one prompt by a version of a policy, from all that is known, and say why each other lost."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from benchmarks.units import grams_to_milligrams
from router.adjusting import Adjusted, Adjusting
from router.cascade import Cascade, Plan, Rates
from router.cascading import is_asked, measured_rates, planned_runs, told_none, told_plan
from router.checking import OF_CONVERSATIONS
from router.estimate import Estimates, Estimator, Pairs, Shrinkage, adjusted
from router.knowledge import Column, Knowledge
from router.models import PolicyVersion, RoutingDecision
from router.policies import ByCategory, Fixed, Floor, Guarded, Knn, Policy
from router.policy import Candidate, Choice, Evidence, NobodyJudged, NoCandidate, difference_in_words

_Reason = RoutingDecision.Reason
_FEW, _MANY = 20, 50  # neighbours
_NOBODY_JUDGED = (
    "Nobody has judged an answer of an active model to a prompt of the index; label some, or choose the policy nearest "
    "or fixed."
)


class Readable(Enum):
    """What checkers can make of the answer to a request."""

    ALONE = "alone"  # it begins the conversation
    IN_CONVERSATION = "in conversation"  # answers went before, which few of them can read
    NOT = "not"  # it is no text alone


def weigh(
    *,
    version: PolicyVersion,
    knowledge: Knowledge,
    estimator: Estimator,
    vector: npt.NDArray[np.float32],
    text: str,
    adjusting: Adjusting,
    readable: Readable = Readable.ALONE,
) -> Choice:
    """Choose by any policy but `nearest`.

    Args:
        version: the policy and its parameters.
        knowledge: what is known.
        estimator: made of it: by neighbours, or by regression.
        vector: the unit embedding of the prompt.
        text: the prompt, as it was embedded.
        adjusting: what the request makes of each candidate's cost, and which cannot hold it.
        readable: what checkers can make of an answer; where nothing, a cascade goes to its last model.

    Raises:
        PromptTooLong: no model that may be chosen can hold the request.
        NobodyJudged: no answer of an active model to a prompt of the index has a verdict.
        NoCandidate: the fallback is not active.
    """
    outgrown = tuple(number for number, one in enumerate(knowledge.columns) if one.deployment_id in adjusting.too_long)
    if len(outgrown) == len(knowledge.columns):
        raise adjusting.refusal()
    policy = policy_of(version, knowledge, adjusting, readable)
    estimator = estimator.without(outgrown)
    if np.isnan(estimator.model_scores).all() and not isinstance(policy, Fixed):
        raise NobodyJudged(_NOBODY_JUDGED)
    estimator = estimator.with_neighbours(policy.shrinkage.neighbour_count)
    costs = _costs(version, knowledge, adjusting, estimator, vector)
    weighing = _Weighing(knowledge, policy, costs, tuple(adjusting.too_long.items()), readable)
    hashed = hashlib.sha256(text.encode(errors="surrogatepass")).digest()  # nobody's words are kept
    asked = (*weighing.terms, estimator.identity, vector.tobytes(), hashed)
    choice = knowledge.choices.get(asked)
    if choice is None:
        choice = weighing.choose(estimator, outgrown, vector, text)
        knowledge.choices.keep(asked, choice)
    return choice


@dataclass(frozen=True)
class _Weighing:
    """All that a choice depends on beside the prompt and what estimates it; `too_long` are pairs as in `Adjusting`."""

    knowledge: Knowledge
    policy: Policy
    costs: tuple[Adjusted, ...]
    too_long: tuple[tuple[int, str], ...]
    readable: Readable

    @property
    def terms(self) -> tuple[object, ...]:
        """Return what makes one choice by the same knowledge differ from another one for the same prompt."""
        return (self.policy, self.costs, self.too_long, self.readable)

    def choose(
        self, estimator: Estimator, outgrown: Sequence[int], vector: npt.NDArray[np.float32], text: str
    ) -> Choice:
        """Return the choice for a prompt; the columns that are outgrown cannot be chosen."""
        policy, knowledge, readable = self.policy, self.knowledge, self.readable
        estimates = adjusted(
            estimator.estimate(vector[None], [text]),
            factors=np.array([one.factor for one in self.costs]),
            added_gco2e=np.array([one.added_gco2e for one in self.costs]),
            without=outgrown,
        )
        chosen = int(policy.choose(estimator, estimates)[0])
        is_read = readable is not Readable.NOT
        plan = policy.plan(estimator, estimates) if isinstance(policy, Cascade) and is_read else None
        if plan is not None and plan.checked:
            chosen = plan.checked[0].column
        scale = _Scale(policy, estimator, estimates, knowledge, chosen, plan=plan, readable=readable)
        candidates = _candidates(scale, knowledge, dict(self.too_long), chosen, self.costs)
        runs = planned_runs(plan, knowledge) if plan is not None else ()
        return Choice(scale.evidence(chosen), scale.reason, scale.explanation, candidates, runs)


def _costs(
    version: PolicyVersion,
    knowledge: Knowledge,
    adjusting: Adjusting,
    estimator: Estimator,
    vector: npt.NDArray[np.float32],
) -> tuple[Adjusted, ...]:
    """Return what becomes of the SCI of each column in the request at hand."""
    neighbours: Sequence[int] = ()
    if adjusting.is_long:
        rows, _ = estimator.nearest(vector[None], estimator.neighbour_count)
        neighbours = [int(one) for one in knowledge.prompt_ids[rows[0]]]
    is_live, per_load = version.is_intensity_live, version.prompts_per_load
    costs = adjusting.costs(neighbour_ids=neighbours, is_intensity_live=is_live, prompts_per_load=per_load)
    return tuple(costs.get(one.deployment_id, Adjusted()) for one in knowledge.columns)


def _candidates(
    scale: "_Scale", knowledge: Knowledge, too_long: Mapping[int, str], chosen: int, costs: Sequence[Adjusted]
) -> tuple[Candidate, ...]:
    """Return every deployment with why it was chosen or not, the cheapest first."""
    found = []
    for column, info in enumerate(knowledge.columns):
        reason = too_long.get(info.deployment_id)
        if reason is None:
            reason = (scale.why if column == chosen else scale.why_not(column)) + costs[column].words
        found.append(Candidate(scale.evidence(column), column == chosen, reason))
    return tuple(sorted(found, key=lambda one: (one.evidence.sci_gco2e is None, one.evidence.sci_gco2e or 0)))


def neighbour_count_of(version: PolicyVersion) -> int:
    """Return how many neighbours speak by a version of a policy."""
    usual = _MANY if version.policy == PolicyVersion.Policy.GUARDED else _FEW
    return version.neighbour_count or usual


def policy_of(
    version: PolicyVersion,
    knowledge: Knowledge,
    adjusting: Adjusting | None = None,
    readable: Readable = Readable.ALONE,
) -> Policy:
    """Return the rule of a version over what is known, for one request or (`adjusting` is None) for prompts alone.

    `nearest`, which goes without what is known, is no such rule.

    Raises:
        NoCandidate: its fallback is not among the deployments.
        PromptTooLong: the only model that it allows cannot hold the request.
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
        if adjusting is not None and version.fallback_id in adjusting.too_long:
            if version.policy == PolicyVersion.Policy.FIXED:
                raise adjusting.refusal(version.fallback_id)
            fallback = None  # the best of those that can hold the request
    price = 0.0 if adjusting is None else adjusting.conditions.sci_price
    shrinkage = Shrinkage(neighbour_count=neighbour_count_of(version))
    novelty = knowledge.novelty if version.novelty is None else version.novelty
    match version.policy:
        case PolicyVersion.Policy.CATEGORY:
            return ByCategory(sci_price=version.sci_price + price, shrinkage=shrinkage)
        case PolicyVersion.Policy.KNN:
            return Knn(sci_price=version.sci_price + price, shrinkage=shrinkage)
        case PolicyVersion.Policy.FLOOR:
            return Floor(accuracy=version.accuracy_floor, shrinkage=shrinkage)
        case PolicyVersion.Policy.FIXED:
            return Fixed(model=fallback or 0)
        case PolicyVersion.Policy.CASCADE:
            return Cascade(
                rates=_readable_rates(knowledge, readable), fallback=fallback, caution=version.caution,
                tolerance=version.tolerance, sci_price=price, novelty=novelty, shrinkage=shrinkage,
            )  # fmt: skip
        case _:
            return Guarded(
                fallback=fallback, caution=version.caution, tolerance=version.tolerance, sci_price=price,
                novelty=novelty, shrinkage=shrinkage,
            )  # fmt: skip


def _readable_rates(knowledge: Knowledge, readable: Readable) -> tuple[Rates, ...]:
    rates = measured_rates(knowledge)
    is_later = readable is Readable.IN_CONVERSATION
    return tuple(one for one in rates if one.checker in OF_CONVERSATIONS) if is_later else rates


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
        self,
        policy: Policy,
        estimator: Estimator,
        estimates: Estimates,
        knowledge: Knowledge,
        chosen: int,
        *,
        plan: Plan | None,
        readable: Readable,
    ) -> None:
        self._plan, self._readable = plan, readable
        self._policy, self._estimates, self._knowledge, self._chosen = policy, estimates, knowledge, chosen
        self._fallback = estimator.best_model
        self._pairs: Pairs | None = None
        if isinstance(policy, Cascade):
            self._fallback = policy.last(estimator)
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
        if self._plan is not None and self._plan.checked:
            return _Reason.CASCADE.value
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
                return f"{self._unknown}, so it goes to the fallback."
            case _Reason.CASCADE.value if self._plan is not None:
                return told_plan(self._plan, self._knowledge)
        if isinstance(self._policy, Cascade):
            return f"It is the last model of the cascade. {self._why_direct(self._policy)}"
        return "It is the fallback, and no cheaper model is shown to be as good on prompts like this."

    def _why_direct(self, policy: Cascade) -> str:
        if self._plan is None:
            return "Answers are not checked here."
        told = told_none(self._knowledge, policy.rates, int(self._estimates.category[0]))
        is_later = self._readable is Readable.IN_CONVERSATION
        return f"Of later turns, {', '.join(sorted(OF_CONVERSATIONS))} alone can tell. {told}" if is_later else told

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
        if self._plan is not None and self._plan.checked and is_asked(self._plan, column):
            return "It has its part in the cascade, after the first model or beside one."
        if not info.is_ranked and info.quality != "missing":
            return f"Its energy is {info.quality}, that of most others is not: they are not ranked together."
        if weights.sci is None:
            return "It has no SCI on the known prompts."
        if weights.p is None:
            return "Nobody has judged it."
        if isinstance(self._policy, Guarded):
            return self._why_not_guarded(column, weights.sci, chosen.sci)
        if isinstance(self._policy, Cascade):
            return "The cascade does not ask it: no measured checker makes that worth it, or it costs no less."
        if isinstance(self._policy, Floor) and weights.p < self._policy.accuracy:
            return f"Its probability of being right, {100 * weights.p:.0f} %, is below the floor."
        if isinstance(self._policy, Floor):
            return f"It costs more: {_amount(weights.sci)}."
        return (
            f"It is {100 * weights.p:.0f} % likely to be right at {_amount(weights.sci)}: less after the price of SCI."
        )

    def _why_not_guarded(self, column: int, sci: float, chosen_sci: float | None) -> str:
        if self._is_novel:
            return f"{self._unknown}, for which only the fallback is used."
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
        fallback = self._knowledge.columns[self._fallback].model
        return (
            f"did {difference_in_words(difference)} {fallback} on {count} known prompts near this one (standard error "
            f"{error:.1f} points)"
        )

    @property
    def _is_novel(self) -> bool:
        limit = self._policy.novelty if isinstance(self._policy, Guarded | Cascade) else None
        return limit is not None and float(self._estimates.squared_distance[0]) > limit

    @property
    def _unknown(self) -> str:
        limit = self._policy.novelty if isinstance(self._policy, Guarded | Cascade) else None
        return (
            f"The router does not know this kind of prompt (squared distance {self._estimates.squared_distance[0]:.2f} "
            f"to the nearest known one, limit {limit:.2f})"
        )

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
