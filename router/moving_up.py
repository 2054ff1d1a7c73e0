"""Go to the next larger model after an answer was refused: a pure choice among the candidates of a decision."""

from collections.abc import Sequence

from benchmarks.units import grams_to_milligrams
from router.policy import Candidate, Choice, Evidence, NoLargerModel


def move_up(choice: Choice, refused_ids: Sequence[int]) -> Choice:
    """Choose the next larger model: the cheapest one that costs more than all refused ones and is no less likely right.

    The probability of being right is the estimated one, or the verdict on the nearest known prompt (1 or 0) where the
    policy estimates none. Where no model with a known probability is left, the cheapest costlier one that nobody has
    judged here is taken. Energy of unlike quality is not compared, so that such models are not next.

    Args:
        choice: what the policy would choose, with every active model.
        refused_ids: deployments whose answers to this prompt were refused, in this order.

    Raises:
        NoLargerModel: none is left.
    """
    found = {one.evidence.deployment_id: one.evidence for one in choice.candidates}
    refused = [found[key] for key in refused_ids if key in found]
    ladder = _Ladder(refused)
    untried = [one for key, one in found.items() if key not in set(refused_ids)]
    higher = [one for one in untried if ladder.is_costlier(one) and ladder.is_comparable(one)]
    known = [one for one in higher if ladder.is_no_less_probable(one)]
    pool = known or [one for one in higher if probability(one) is None]
    if not pool:
        name = refused[-1].model if refused else "the refused one"
        raise NoLargerModel(
            f"No active model is known to be larger than {name} for this prompt: costlier, and no less likely to be "
            f"right. Pick another model by name and ask again."
        )
    chosen = min(pool, key=lambda one: (one.sci_gco2e or 0.0, one.model, one.deployment_id))
    candidates = tuple(
        Candidate(one.evidence, one.evidence is chosen, ladder.reason(one.evidence, chosen))
        for one in choice.candidates
    )
    return Choice(chosen, "refused", _explanation(refused, chosen), candidates)


def probability(one: Evidence) -> float | None:
    """Return how probable it is that a model is right, 0 to 1: estimated, else by its verdict; None: nobody said."""
    if one.p is not None:
        return one.p
    return None if one.is_correct is None else float(one.is_correct)


class _Ladder:
    """What the refused models cost and how probable they were: the rungs that the next one must stand above."""

    def __init__(self, refused: Sequence[Evidence]) -> None:
        self._ids = {one.deployment_id for one in refused}
        self._qualities = {one.quality for one in refused if one.sci_gco2e is not None}
        self._cost = max((one.sci_gco2e for one in refused if one.sci_gco2e is not None), default=0.0)
        self._p = max((p for one in refused if (p := probability(one)) is not None), default=0.0)

    def is_costlier(self, one: Evidence) -> bool:
        return one.sci_gco2e is not None and one.sci_gco2e > self._cost

    def is_comparable(self, one: Evidence) -> bool:
        return not self._qualities or one.quality in self._qualities

    def is_no_less_probable(self, one: Evidence) -> bool:
        p = probability(one)
        return p is not None and p >= self._p

    def reason(self, one: Evidence, chosen: Evidence) -> str:
        """Return in one sentence why a model was chosen or not."""
        if one is chosen:
            return "It is the next larger model."
        if one.deployment_id in self._ids:
            return "Its answer was found not good enough."
        if one.sci_gco2e is None:
            return "It has no SCI here, so it cannot be told whether it is larger."
        if not self.is_comparable(one):
            return f"Its energy is {one.quality}, that of the refused one is not: they are not compared."
        if not self.is_costlier(one):
            return "It costs no more than the refused one."
        if probability(one) is not None and not self.is_no_less_probable(one):
            return "It is less likely to be right than the refused one."
        return f"It costs more than {chosen.model}, or nobody has judged it here; it would come later."


def _explanation(refused: Sequence[Evidence], chosen: Evidence) -> str:
    p = probability(chosen)
    known = "nobody has judged it here" if p is None else f"{100 * p:.0f} % likely to be right"
    cost = f"{grams_to_milligrams(chosen.sci_gco2e or 0.0):.3g} mgCO2e, {chosen.quality}"
    names = " and ".join(one.model for one in refused) or "another model"
    return (
        f"The answer of {names} was found not good enough, so the conversation moved to the next larger model: "
        f"{chosen.model} ({cost}; {known}). What was refused is charged to this answer."
    )
