"""Have the policy in force choose a deployment for a prompt that was looked up, by what is known of its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router.adjusting import Adjusting
from router.candidates import evidence_on
from router.estimate import Estimator
from router.fitting import fits_of
from router.index import VectorStore
from router.knowledge import Knowledge
from router.large_keeping import known_of
from router.large_knowledge import LargeKnowledge, StillReading
from router.models import PolicyVersion, PromptIndex
from router.overriding import Settled
from router.policy import Candidate, Choice, Evidence, NobodyJudged, NoCandidate, choose_nearest
from router.vectors import Neighbour, cosines_of
from router.weighing import Readable, neighbour_count_of, weigh

_LACKING: dict[type[Exception], str] = {
    NobodyJudged: "Nobody has judged an answer of an active model to a known prompt yet",
    StillReading: "What is known of this large index is still being read",
}
_NO_REGRESSION = (
    "The index is too large for a regression (GREENLLM_EXACT_SEARCH_LIMIT), so that the neighbours alone estimate."
)
SHOWN_NEIGHBOURS = 5


@dataclass(frozen=True)
class AskedPrompt:
    """One prompt, its unit embedding, the known prompts nearest to it, and what is particular to the request."""

    text: str
    vector: npt.NDArray[np.float32]
    neighbours: tuple[Neighbour, ...]
    adjusting: Adjusting

    @property
    def nearest_id(self) -> int:
        """Return the nearest known prompt."""
        return self.neighbours[0].prompt_id


def choose(
    asked: AskedPrompt,
    settled: Settled,
    *,
    index: PromptIndex,
    store: VectorStore,
    is_patient: bool,
    readable: Readable,
) -> tuple[str, Choice]:
    """Return the policy that chose and its choice.

    Where nobody made a version and the policy lacks something that `nearest` does not need, that one chooses and says
    so; a version that an admin made is not replaced, but fails with its remedy. Only in the first minutes of a large
    index does `nearest` stand in for that too.
    """
    wanted, nearest = settled.effective, PolicyVersion.Policy.NEAREST.value
    if wanted.policy == nearest:
        return nearest, _nearest(asked, None if is_patient else _kept_evidence(asked, index=index, store=store))
    try:
        knowledge = known_of(index, store, is_patient=is_patient)
        if isinstance(knowledge, LargeKnowledge):
            knowledge = knowledge.around(asked.neighbours)
        estimator, note = _estimator(wanted, knowledge, index=index, store=store, is_patient=is_patient)
        if store.is_held(index.prompt_count):  # what was searched for the explanation is not searched again
            estimator = estimator.around(knowledge.rows_of(asked.neighbours), cosines_of(asked.neighbours))
        choice = weigh(
            version=wanted, knowledge=knowledge, estimator=estimator, vector=asked.vector, text=asked.text,
            adjusting=asked.adjusting, readable=readable,
        )  # fmt: skip
    except NobodyJudged as error:
        if settled.version is not None and not isinstance(error, StillReading):
            raise
        lacking = f"{_LACKING[type(error)]}, so that {nearest} stands in for {wanted.policy}."
        found = _nearest(asked)
        return nearest, replace(found, explanation=f"{lacking} {found.explanation}")
    return wanted.policy, replace(choice, explanation=f"{choice.explanation} {note}") if note else choice


def _nearest(asked: AskedPrompt, evidence: Sequence[Evidence] | None = None) -> Choice:
    """Return the choice of the paper's rule among the models that can hold the request, by what is known or read."""
    too_long = asked.adjusting.too_long
    if evidence is None:
        evidence = evidence_on([asked.nearest_id])[asked.nearest_id]
    outgrown = [one for one in evidence if one.deployment_id in too_long]
    if outgrown and len(outgrown) == len(evidence):
        raise asked.adjusting.refusal()
    choice = choose_nearest([one for one in evidence if one.deployment_id not in too_long])
    left_out = (
        Candidate(replace(one, sci_gco2e=None, is_correct=None), is_chosen=False, reason=too_long[one.deployment_id])
        for one in outgrown  # as if nothing were known of them, so that no later step chooses them
    )
    return replace(choice, candidates=(*choice.candidates, *left_out))


def _kept_evidence(asked: AskedPrompt, *, index: PromptIndex, store: VectorStore) -> list[Evidence] | None:
    """Return what a large index's table tells of the nearest prompt: its answers lie all over a large database."""
    if store.is_held(index.prompt_count):
        return None
    try:
        knowledge = known_of(index, store)
    except (NobodyJudged, NoCandidate):  # still being read, or older than every active model
        return None
    return knowledge.evidence(asked.nearest_id) if isinstance(knowledge, LargeKnowledge) else None


def _estimator(
    wanted: PolicyVersion, knowledge: Knowledge, *, index: PromptIndex, store: VectorStore, is_patient: bool
) -> tuple[Estimator, str]:
    """Return what estimates, and a sentence where that is not what the version wants."""
    if wanted.estimator != PolicyVersion.Estimator.REGRESSION:
        return knowledge.estimator(), ""
    if not store.is_held(index.prompt_count):
        return knowledge.estimator(), _NO_REGRESSION
    return fits_of(store).current(knowledge, index, is_patient=is_patient)


def searched_count(settled: Settled) -> int:
    """Return how many neighbours are looked up: all that speak, and those that are shown."""
    if settled.effective.policy == PolicyVersion.Policy.NEAREST:
        return SHOWN_NEIGHBOURS
    return max(SHOWN_NEIGHBOURS, neighbour_count_of(settled.effective))
