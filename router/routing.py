"""Decide which model answers a prompt, and record why."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.inference.base import EmptyPrompt
from benchmarks.models import Deployment, Prompt
from router.candidates import evidence_on
from router.embedding import Embedder
from router.index import VectorStore
from router.indexing import current_index
from router.knowledge import keeper_of
from router.models import PolicyVersion, PromptIndex, RoutingDecision
from router.policy import Candidate, Choice, Evidence, choose_nearest, stay_with
from router.vectors import Neighbour
from router.weighing import weigh

POLICY_NEAREST = "nearest"
_SHOWN_NEIGHBOURS = 5


@dataclass(frozen=True)
class Route:
    """A decision and everything that it rests on."""

    chosen: Deployment
    choice: Choice
    neighbours: tuple[Neighbour, ...]
    prompts: dict[int, Prompt]
    index: PromptIndex
    embedding_ms: float
    search_ms: float
    choice_ms: float
    version: PolicyVersion | None = None

    @property
    def policy(self) -> str:
        """Return the name of the policy that chose."""
        return POLICY_NEAREST if self.version is None else self.version.policy

    @property
    def nearest_prompt(self) -> Prompt:
        """Return the known prompt that decided."""
        return self.prompts[self.neighbours[0].prompt_id]


def route(
    *,
    prompt_text: str,
    embedder: Embedder,
    store: VectorStore,
    stay_on_id: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Route:
    """Choose a deployment for a prompt by the latest version of the policy, else by `nearest`; nothing is stored.

    `stay_on_id` is the deployment that a conversation began with, and on which it stays while that is active.

    Raises:
        EmptyPrompt: the prompt is empty.
        NoIndex, EmbedderMismatch, DimensionMismatch, IndexStoreError: the index cannot be used.
        NoCandidate: no active model can be chosen.
        InferenceError: the embedder cannot be asked.
    """
    if not prompt_text.strip():
        raise EmptyPrompt("the prompt is empty")
    index = current_index(embedder=embedder)
    began = clock()
    vector = embedder.embed([prompt_text])[0]
    embedded = clock()
    neighbours = store.nearest(index.collection_name, vector, _SHOWN_NEIGHBOURS, index.prompt_count)
    searched = clock()
    prompts = Prompt.objects.select_related("category").in_bulk([one.prompt_id for one in neighbours])
    version = PolicyVersion.objects.order_by("-pk").first()
    if version is None or version.policy == POLICY_NEAREST:
        choice = choose_nearest(evidence_on([neighbours[0].prompt_id])[neighbours[0].prompt_id])
    else:
        choice = weigh(version=version, knowledge=keeper_of(store).current(index), vector=vector)
    if stay_on_id is not None:
        choice = stay_with(choice, stay_on_id)
    chosen = Deployment.objects.select_related("language_model", "server").get(pk=choice.chosen.deployment_id)
    return Route(
        chosen=chosen,
        choice=choice,
        neighbours=tuple(neighbours),
        prompts=prompts,
        index=index,
        embedding_ms=(embedded - began) * 1000,
        search_ms=(searched - embedded) * 1000,
        choice_ms=(clock() - searched) * 1000,
        version=version,
    )


def record_route(
    *,
    route: Route,
    now: datetime,
    request_id: int | None = None,
    prompt_id: int | None = None,
    routed_as: str = "",
    baseline: Evidence | None = None,
) -> RoutingDecision:
    """Store a decision with its reason.

    It belongs to a gateway request, or to a known prompt of a comparison in one of its forms (`routed_as`).
    `baseline` is what is known here of the one strong model to which everything could have gone.
    """
    return RoutingDecision.objects.create(
        request_id=request_id,
        prompt_id=prompt_id,
        routed_as=routed_as,
        policy=route.policy,
        version=route.version,
        index=route.index,
        category=route.nearest_prompt.category,
        neighbours=neighbours_as_json(route),
        candidates=candidates_as_json(route.choice),
        chosen=route.chosen,
        reason=route.choice.reason,
        explanation=route.choice.explanation,
        predicted_sci_gco2e=route.choice.chosen.sci_gco2e,
        predicted_quality=route.choice.chosen.quality,
        baseline_id=baseline.deployment_id if baseline else None,
        baseline_sci_gco2e=baseline.sci_gco2e if baseline else None,
        embedding_ms=route.embedding_ms,
        search_ms=route.search_ms,
        choice_ms=route.choice_ms,
        decided_at=now,
    )


def record_pinned(*, deployment: Deployment, now: datetime, request_id: int) -> RoutingDecision:
    """Store that the caller named the model, so that nothing was decided."""
    name = deployment.language_model.name
    return RoutingDecision.objects.create(
        request_id=request_id,
        policy="fixed",
        chosen=deployment,
        reason=RoutingDecision.Reason.PINNED,
        explanation=f"The caller asked for {name} by name.",
        decided_at=now,
    )


def neighbours_as_json(route: Route) -> list[dict[str, Any]]:
    """Return the nearest known prompts for storing and showing; distances are squared L2."""
    return [
        {
            "prompt_id": one.prompt_id,
            "external_id": route.prompts[one.prompt_id].external_id,
            "category": route.prompts[one.prompt_id].category.name,
            "squared_distance": round(one.squared_distance, 6),
        }
        for one in route.neighbours
        if one.prompt_id in route.prompts
    ]


def candidates_as_json(choice: Choice) -> list[dict[str, Any]]:
    """Return every candidate with its SCI, verdict and reason, for storing and showing."""
    return [
        {
            "deployment_id": one.evidence.deployment_id,
            "model": one.evidence.model,
            "sci_gco2e": one.evidence.sci_gco2e,
            "quality": one.evidence.quality,
            "is_correct": one.evidence.is_correct,
            "response_count": one.evidence.response_count,
            "sci_count": one.evidence.sci_count,
            "p": one.evidence.p,
            "p_low": one.evidence.p_low,
            "p_high": one.evidence.p_high,
            "label_count": one.evidence.label_count,
            "is_chosen": one.is_chosen,
            "reason": one.reason,
        }
        for one in choice.candidates
    ]


def candidates_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    """Return stored candidates as they were when the decision was made."""
    return tuple(
        Candidate(
            Evidence(
                deployment_id=row["deployment_id"],
                model=row["model"],
                sci_gco2e=row["sci_gco2e"],
                quality=row["quality"],
                is_correct=row["is_correct"],
                response_count=row["response_count"],
                sci_count=row.get("sci_count", 0),  # decisions of the first days lack it, and what follows
                p=row.get("p"),
                p_low=row.get("p_low"),
                p_high=row.get("p_high"),
                label_count=row.get("label_count", 0),
            ),
            row["is_chosen"],
            row["reason"],
        )
        for row in rows
    )
