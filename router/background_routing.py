"""Where the prompts go that chat clients send on their own: to the cheapest capable model, without an embedding.

Capable is an active model whose context holds the request and that is at least half as often right on the known
prompts as the best of those, the rule that a spent carbon budget goes by too; one that nobody has judged may answer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.units import grams_to_milligrams
from router.adjusting import Adjusted, Adjusting, Conditions
from router.background import BackgroundTask
from router.budget import is_plausible
from router.embedding import Embedder
from router.index import VectorStore
from router.indexing import current_index
from router.knowledge import Column, Knowledge
from router.large_keeping import known_of
from router.large_knowledge import LargeKnowledge
from router.lately import lately
from router.length import Asked
from router.models import PolicyVersion, RoutingDecision
from router.overriding import settle
from router.policy import Candidate, Choice, Evidence, NobodyJudged, NoCandidate
from router.routing import Route

BACKGROUND_POLICY = "background"
_WHY = "It has the lowest mean SCI on the known prompts of the models that can do this."


@dataclass(frozen=True)
class Weighed:
    """One deployment, what is known of it over all known prompts, and why it cannot answer, if so."""

    evidence: Evidence
    obstacle: str = ""


def route_background(
    *,
    task: BackgroundTask,
    embedder: Embedder,
    store: VectorStore,
    conditions: Conditions,
    clock: Callable[[], float] = time.perf_counter,
) -> Route | None:
    """Choose the cheapest capable model for a prompt of a client; None where the policy in force decides.

    That is where too little is known to tell which model is the cheapest, and where an admin fixed one.

    Raises:
        PromptTooLong: no active model can hold the request.
        NoIndex, EmbedderMismatch, IndexStoreError: the index cannot be used.
    """
    began = clock()
    version = lately("policy version", lambda: PolicyVersion.objects.order_by("-pk").first())
    wanted = settle(version=version).effective
    if wanted.policy == PolicyVersion.Policy.FIXED:
        return None  # an admin wants everything at one model
    index = lately(("index", embedder.language_model.pk), lambda: current_index(embedder=embedder))
    try:
        knowledge = known_of(index, store)
    except (NobodyJudged, NoCandidate):
        return None
    adjusting = Adjusting.to(conditions)
    if knowledge.columns and all(one.deployment_id in adjusting.too_long for one in knowledge.columns):
        raise adjusting.refusal()
    # the means are of the known prompts, whose lengths say nothing of a client's own
    costs = replace(adjusting, conditions=replace(conditions, asked=Asked(0))).costs(
        neighbour_ids=(), is_intensity_live=wanted.is_intensity_live, prompts_per_load=wanted.prompts_per_load
    )
    choice = choose_background(_weighed(knowledge, adjusting, costs), task)
    if choice is None:
        return None
    chosen = adjusting.deployment(choice.chosen.deployment_id)
    return Route(
        chosen=chosen,
        choice=choice,
        policy=BACKGROUND_POLICY,
        neighbours=(),
        prompts={},
        index=index,
        embedding_ms=None,
        search_ms=None,
        choice_ms=(clock() - began) * 1000,
        version=version,
        intensity=adjusting.intensity_of(chosen.pk, is_intensity_live=wanted.is_intensity_live),
        too_long_ids=frozenset(adjusting.too_long),
    )


def choose_background(weighed: list[Weighed], task: BackgroundTask) -> Choice | None:
    """Choose the cheapest capable model; None where no such one has an SCI. Ties go to the name that sorts first."""
    able = [one.evidence for one in weighed if not one.obstacle]
    best = max((one.p for one in able if one.p is not None), default=None)
    capable = [one for one in able if is_plausible(one.p, best)]
    ranked = [(one.sci_gco2e, one.model, one.deployment_id, one) for one in capable if one.sci_gco2e is not None]
    if not ranked:
        return None
    _, _, _, chosen = min(ranked, key=lambda row: row[:3])
    explanation = (
        f"A chat client sent this prompt on its own ({task.label}), so it went to the cheapest capable model: "
        f"{chosen.model} (mean SCI {_amount(chosen.sci_gco2e)} on the known prompts, {chosen.quality})."
    )
    candidates = tuple(
        Candidate(
            one.evidence,
            one.evidence is chosen,
            _WHY if one.evidence is chosen else one.obstacle or _why_not(one.evidence, best),
        )
        for one in sorted(weighed, key=lambda one: (one.evidence.sci_gco2e is None, one.evidence.sci_gco2e or 0.0))
    )
    return Choice(chosen, RoutingDecision.Reason.BACKGROUND.value, explanation, candidates)


def _weighed(knowledge: Knowledge, adjusting: Adjusting, costs: dict[int, Adjusted]) -> list[Weighed]:
    if isinstance(knowledge, LargeKnowledge):
        totals = knowledge.totals
    elif knowledge.by_neighbours is not None:
        totals = knowledge.by_neighbours.totals
    else:
        return []
    scores, label_counts = totals.model_scores, totals.score_count.sum(axis=0)
    means, sci_counts = totals.model_sci, totals.sci_count.sum(axis=0)

    def evidence(number: int, column: Column) -> Evidence:
        sci = float(means[number])
        return Evidence(
            deployment_id=column.deployment_id,
            model=column.model,
            sci_gco2e=None if np.isnan(sci) else costs.get(column.deployment_id, Adjusted()).sci(sci),
            quality=column.quality,
            is_correct=None,
            response_count=int(sci_counts[number]),
            sci_count=int(sci_counts[number]),
            p=None if np.isnan(scores[number]) else float(scores[number]),
            label_count=int(label_counts[number]),
        )

    return [
        Weighed(evidence(number, column), adjusting.too_long.get(column.deployment_id, ""))
        for number, column in enumerate(knowledge.columns)
    ]


def _why_not(evidence: Evidence, best: float | None) -> str:
    if evidence.sci_gco2e is None:
        return "It has no SCI on the known prompts that could be ranked."
    if not is_plausible(evidence.p, best):
        return f"It is right on {100 * (evidence.p or 0.0):.0f} % of the known prompts: less than half of the best."
    return f"It costs more: {_amount(evidence.sci_gco2e)}."


def _amount(sci_gco2e: float | None) -> str:
    return f"{grams_to_milligrams(sci_gco2e or 0.0):.3g} mgCO2e"
