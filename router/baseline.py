"""The one strong model to which everything could go: which one it is, and what a choice saves against it."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.estimate import UnusableOutcomes
from router.index import IndexStoreError, VectorStore
from router.large_keeping import known_of
from router.models import PolicyVersion, RoutingDecision
from router.policy import Candidate, Evidence, NoCandidate
from router.routing import Route

_WITH_FALLBACK = {PolicyVersion.Policy.GUARDED, PolicyVersion.Policy.CASCADE, PolicyVersion.Policy.FIXED}
_UNKNOWN_BASELINE = (
    "No fixed strong model is known with this decision: no answer of an active model to a known prompt had been "
    "judged, a large index was still being summed up, or the decision is older than this figure."
)


@dataclass(frozen=True)
class Baseline:
    """What one strong model would have cost here, in gCO2e, and what the choice saves against it.

    `evidence` is None where no such model is known, `saved_gco2e` where the two figures cannot be compared; `note`
    then says why. A choice that costs more saves less than nothing.
    """

    evidence: Evidence | None
    is_fallback: bool
    saved_gco2e: float | None
    note: str

    @property
    def saved_share(self) -> float | None:
        """Return the saving as a share of the strong model's cost."""
        cost = self.evidence.sci_gco2e if self.evidence else None
        return None if self.saved_gco2e is None or not cost else self.saved_gco2e / cost

    @property
    def rule(self) -> str:
        """Return how the strong model was found."""
        return "the fallback of the policy" if self.is_fallback else "the most accurate active model"

    @property
    def extra_gco2e(self) -> float | None:
        """Return what the choice costs more, where it does."""
        return -self.saved_gco2e if self.saved_gco2e is not None and self.saved_gco2e < 0 else None


def strong_candidate(*, route: Route, store: VectorStore) -> Evidence | None:
    """Return what is known here of the one model to which everything could go.

    It is the policy's fallback where that names one, else the active model that is most often right on the known
    prompts (ties: the name that sorts first). None where nobody has judged, or a large index is still being summed up.
    """
    strong_id = _strong_id(route, store)
    found = (one.evidence for one in route.choice.candidates if one.evidence.deployment_id == strong_id)
    return next(found, None)


def baseline_of(decision: RoutingDecision, candidates: Sequence[Candidate]) -> Baseline:
    """Return what a decision noted of the strong model, and what its choice is expected to save against that."""
    by_id = {one.evidence.deployment_id: one.evidence for one in candidates}
    strong = by_id.get(decision.baseline_id) if decision.baseline_id is not None else None
    if strong is None:
        return Baseline(None, is_fallback=False, saved_gco2e=None, note=_UNKNOWN_BASELINE)
    version = decision.version
    is_fallback = (
        version is not None and decision.policy in _WITH_FALLBACK and version.fallback_id == strong.deployment_id
    )
    saved, note = _saving(by_id.get(decision.chosen_id), strong)
    if saved is not None and decision.steps:
        saved, note = _less_discarded(saved, note, decision)
    return Baseline(strong, is_fallback=is_fallback, saved_gco2e=saved, note=note)


def _strong_id(route: Route, store: VectorStore) -> int | None:
    version = route.version
    if version is not None and route.policy in _WITH_FALLBACK and version.fallback_id is not None:
        return version.fallback_id
    try:
        return known_of(route.index, store).strongest_id()
    except (IndexStoreError, NoCandidate, UnusableOutcomes):
        return None  # a decision stands without this figure


def _less_discarded(saved_gco2e: float, note: str, decision: RoutingDecision) -> tuple[float | None, str]:
    """Return a saving less what was discarded on the way to the answer, which is charged to it."""
    discarded, qualities = decision.discarded_sci_gco2e, {step["quality"] for step in decision.steps}
    if discarded is None:
        return None, "What was discarded on the way has no known SCI, so that no saving can be told."
    if qualities != {decision.predicted_quality}:
        return None, "What was discarded on the way has energy of another quality, so that no saving can be told."
    return saved_gco2e - discarded, "" if discarded else note


def _saving(chosen: Evidence | None, strong: Evidence) -> tuple[float | None, str]:
    """Return what the choice saves against the strong model, in gCO2e, or why that cannot be told."""
    cost = None if chosen is None else chosen.sci_gco2e
    if chosen is not None and chosen.deployment_id == strong.deployment_id:
        return (None if cost is None else 0.0), "It is the model that was chosen."
    if chosen is None or chosen.quality == "missing" or strong.quality == "missing":
        return None, "One of the two has no SCI on the known prompts, so that no saving can be told."
    if chosen.quality != strong.quality:
        return None, (
            f"Its energy is {strong.quality}, that of the chosen model {chosen.quality}: they are not compared, so "
            f"that no saving can be told."
        )
    if cost is None or strong.sci_gco2e is None:
        return None, "One of the two has no SCI here, so that no saving can be told."
    return strong.sci_gco2e - cost, ""
