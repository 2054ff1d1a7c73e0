"""Routing policies: pure choices among candidates.

`nearest` is the rule of the paper: the lowest SCI among the models that answered the nearest known prompt right.
Where no model did, the paper says nothing; here the cheapest one is chosen, and the choice says so.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.units import grams_to_milligrams

# better kinds of energy first; figures of unlike kind are not ranked against each other
QUALITIES_IN_ORDER = ("measured", "component", "estimated", "simulated")
MISSING = "missing"


class NoCandidate(LookupError):
    """No model can be chosen; the message tells why and what to do."""


class NobodyJudged(NoCandidate):
    """No answer of an active model to a known prompt has a verdict."""


class NoLargerModel(NoCandidate):
    """An answer was refused, and no model is left that costs more and is no less likely to be right."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one active deployment on the nearest known prompt.

    `sci_gco2e` is the mean over its measured responses there (None: not measured), `quality` how its energy came
    about, `is_correct` the verdict on the model (None: nobody said).
    """

    deployment_id: int
    model: str
    sci_gco2e: float | None
    quality: str
    is_correct: bool | None
    response_count: int
    sci_count: int = 0  # how many measured responses the mean SCI is made of
    p: float | None = None  # estimated probability that it answers right, between `p_low` and `p_high` (95 %)
    p_low: float | None = None
    p_high: float | None = None
    label_count: int = 0  # labels of neighbours behind it


@dataclass(frozen=True)
class Candidate:
    """One deployment as the policy saw it, and why it won or lost."""

    evidence: Evidence
    is_chosen: bool
    reason: str


@dataclass(frozen=True)
class Trust:
    """What was measured of a checker with one model's answers, as shares: those that it accepts, of these the right
    ones, and of all answers the right ones (None: not known).
    """

    acceptance: float
    precision: float
    right_share: float | None


@dataclass(frozen=True)
class PlannedRun:
    """One model that a cascade asks; its answer stands where the checker accepts it, the last one's without any."""

    deployment_id: int
    checker: str = ""
    second_id: int | None = None  # whose answer the checker compares with, or who judges
    trust: Trust | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Choice:
    """Which deployment a policy chose, and every candidate with its reason.

    `plan` is who is asked in turn by a cascade, the chosen deployment first; empty where one model is asked.
    """

    chosen: Evidence
    reason: str
    explanation: str
    candidates: tuple[Candidate, ...]
    plan: tuple[PlannedRun, ...] = ()


def choose_nearest(evidence: Sequence[Evidence]) -> Choice:
    """Choose by the paper's rule from what the active deployments did on the nearest prompt.

    Ties in SCI go to the name that sorts first. Deployments without an SCI on that prompt are left out, and of the
    rest those whose energy is of another quality than the most common one (ties: the better one); they say so.

    Raises:
        NoCandidate: there is no active deployment, or none has an SCI on the nearest prompt.
    """
    if not evidence:
        raise NoCandidate("The federation has no active model; add one with manage.py add_model and measure it.")
    right = [one for one in evidence if one.sci_gco2e is not None and one.is_correct]
    pool = right or [one for one in evidence if one.sci_gco2e is not None]
    ranked_quality = usual_quality([one.quality for one in pool])
    rankable = [(one.sci_gco2e, one.model, one.deployment_id, one) for one in pool if one.quality == ranked_quality]
    if not rankable:
        raise NoCandidate(
            "No active model has an SCI on the nearest known prompt; measure the active models on the index's "
            "prompts with manage.py run_study."
        )
    _, _, _, chosen = min(rankable, key=lambda row: row[:3])
    if right:
        reason = "cheapest_correct"
        why = "It has the lowest SCI of those that answered the nearest known prompt right."
        right_count = sum(one.is_correct is True for one in evidence)
        explanation = (
            f"{right_count} of {len(evidence)} models answered the nearest known prompt right; of these {chosen.model} "
            f"has the lowest {chosen.quality} SCI ({_amount(chosen)})."
        )
    else:
        reason = "cheapest_none_correct"
        why = "It has the lowest SCI; no model with an SCI there is known to have answered the nearest prompt right."
        explanation = (
            f"No model with an SCI on the nearest known prompt is known to have answered it right, so the cheapest "
            f"one was chosen: {chosen.model} ({_amount(chosen)}, {chosen.quality})."
        )
    candidates = tuple(
        Candidate(one, one is chosen, why if one is chosen else _why_not(one, chosen, ranked_quality))
        for one in sorted(evidence, key=lambda one: (one.sci_gco2e is None, one.sci_gco2e or 0.0, one.model))
    )
    return Choice(chosen, reason, explanation, candidates)


def usual_quality(qualities: Sequence[str]) -> str:
    """Return the kind of energy that most have; of equals the better one, missing where there is none."""
    counts = Counter(qualities)
    in_order = [quality for quality in QUALITIES_IN_ORDER if quality in counts]
    return max(in_order, key=lambda quality: counts[quality], default=MISSING)  # max keeps the first of equals


def stay_with(choice: Choice, deployment_id: int) -> Choice:
    """Keep a conversation on the deployment that it began with, whatever its latest prompt alone would choose.

    Where that one is the choice anyhow, or is not active any more, the choice stays as it is.
    """
    kept = next((one.evidence for one in choice.candidates if one.evidence.deployment_id == deployment_id), None)
    if kept is None or (kept is choice.chosen and not choice.plan):
        return choice
    explanation = (
        f"The conversation stays on {kept.model}, to which it was sent before. Alone, this prompt would go to "
        f"{choice.chosen.model}: {choice.explanation}"
    )
    reasons = {
        choice.chosen.deployment_id: "It would be chosen if this prompt began a conversation.",
        kept.deployment_id: "The conversation stays on it.",
    }
    candidates = tuple(
        Candidate(one.evidence, one.evidence is kept, reasons.get(one.evidence.deployment_id, one.reason))
        for one in choice.candidates
    )
    return Choice(kept, "conversation", explanation, candidates)


def difference_in_words(points: float) -> str:
    """Return how much better or worse something did, given in percentage points of accuracy."""
    size = round(abs(points))
    if not size:
        return "as well as"
    return f"{size} point{'' if size == 1 else 's'} {'worse' if points < 0 else 'better'} than"


def _amount(one: Evidence) -> str:
    return f"{grams_to_milligrams(one.sci_gco2e or 0.0):.3g} mgCO2e"


def _why_not(one: Evidence, chosen: Evidence, ranked_quality: str) -> str:
    if one.sci_gco2e is None:
        return "It has no SCI on the nearest known prompt."
    if chosen.is_correct and one.is_correct is None:
        return "Nobody has judged its answer to the nearest known prompt."
    if chosen.is_correct and not one.is_correct:
        return "It answered the nearest known prompt wrong."
    if one.quality != ranked_quality:
        return f"Its energy is {one.quality}, that of most others {ranked_quality}: they are not ranked together."
    if one.sci_gco2e == chosen.sci_gco2e:
        return "It costs the same; ties go to the name that sorts first."
    return f"It costs more: {_amount(one)} against {_amount(chosen)}."
