"""Decide which model answers a prompt, and record why."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.inference.base import EmptyPrompt
from benchmarks.models import Deployment, Prompt
from router.adjusting import Adjusting, Conditions
from router.choosing import SHOWN_NEIGHBOURS, AskedPrompt, choose, searched_count
from router.deployment_facts import IntensityUsed
from router.embedding import Embedder
from router.expected_answers import plan_as_json
from router.index import VectorStore
from router.indexing import current_index
from router.lately import lately, lately_each
from router.length import Asked
from router.models import PolicyVersion, PromptIndex, RoutingDecision
from router.moving_up import move_up
from router.overriding import Settled, settle
from router.policy import Candidate, Choice, Evidence, stay_with
from router.spending import within_budget
from router.steps import Step, charged_sci_gco2e, priced, steps_as_json
from router.usual import Usual, usual_of
from router.vectors import Neighbour
from router.weighing import Readable
from router.wishes import Wish

_NAMES_KEPT_S = 60.0  # of known prompts: nothing that a choice depends on


@dataclass(frozen=True)
class Route:
    """A decision and everything that it rests on; `policy` is the one that chose, `version` what an admin wanted.

    A prompt that a chat client sends on its own has no neighbours: none were looked up.
    `planned` are the deployments of a cascade by their id, `planned_intensities` those of each that may answer.
    """

    chosen: Deployment
    choice: Choice
    policy: str
    neighbours: tuple[Neighbour, ...]
    prompts: dict[int, Prompt]
    index: PromptIndex
    embedding_ms: float | None  # None: nothing was embedded
    search_ms: float | None
    choice_ms: float
    version: PolicyVersion | None = None
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    intensity: IntensityUsed | None = None
    too_long_ids: frozenset[int] = frozenset()  # the deployments whose context cannot hold the request
    planned: Mapping[int, Deployment] = field(default_factory=dict)
    planned_intensities: Mapping[int, IntensityUsed | None] = field(default_factory=dict)

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
    refused_ids: Sequence[int] = (),
    wishes: Sequence[Wish] = (),
    conditions: Conditions | None = None,
    is_patient: bool = False,
    readable: Readable = Readable.ALONE,
    clock: Callable[[], float] = time.perf_counter,
) -> Route:
    """Choose a deployment for a prompt by the latest version of the policy, else by `guarded`; nothing is stored.

    Args:
        prompt_text: the prompt, without its conversation.
        embedder: that of the index.
        store: the index.
        stay_on_id: the deployment that a conversation began with, and on which it stays while that is active and
            can hold it.
        refused_ids: deployments whose answer to this prompt was refused: the next larger one is chosen.
        wishes: what the caller wants otherwise, the stronger word last.
        conditions: those of the request; None: the prompt stands alone.
        is_patient: wait for a regression that is not fitted yet; for a command, which has no later.
        readable: what checkers can make of the answer; where nothing, a cascade goes to its last model.
        clock: seconds.

    Raises:
        NoLargerModel: a refused answer leaves none.
        EmptyPrompt: the prompt is empty.
        WishRefused: the caller wants something outside the limits.
        PromptTooLong: no model that may be chosen can hold the request.
        NoIndex, EmbedderMismatch, DimensionMismatch, IndexStoreError: the index cannot be used.
        NoCandidate: no active model can be chosen.
        InferenceError: the embedder cannot be asked.
    """
    if not prompt_text.strip():
        raise EmptyPrompt("the prompt is empty")
    version = lately("policy version", lambda: PolicyVersion.objects.order_by("-pk").first())
    settled = settle(version=version, wishes=wishes)
    index = lately(("index", embedder.language_model.pk), lambda: current_index(embedder=embedder))
    found = _look_up(prompt_text, settled, index=index, embedder=embedder, store=store, clock=clock)
    adjusting = Adjusting.to(conditions or Conditions(Asked.of_prompt(prompt_text)))
    asked = AskedPrompt(prompt_text, found.vector, found.neighbours, adjusting)
    policy, choice = choose(asked, settled, index=index, store=store, is_patient=is_patient, readable=readable)
    choice = _bounded(choice, adjusting, stay_on_id=stay_on_id, refused_ids=refused_ids)
    return _route_of(policy, choice, found, settled, adjusting, clock=clock)


def _route_of(
    policy: str,
    choice: Choice,
    found: "_LookedUp",
    settled: Settled,
    adjusting: Adjusting,
    *,
    clock: Callable[[], float],
) -> Route:
    """Return a choice with everything that it rests on."""
    intensities = _intensities(policy, choice, settled, adjusting)
    return Route(
        chosen=adjusting.deployment(choice.chosen.deployment_id),
        choice=choice,
        policy=policy,
        neighbours=found.shown,
        prompts=found.prompts,
        index=found.index,
        embedding_ms=found.embedding_ms,
        search_ms=found.search_ms,
        choice_ms=(clock() - found.ended) * 1000,
        version=settled.version,
        overrides=settled.overrides,
        too_long_ids=frozenset(adjusting.too_long),
        intensity=intensities.get(choice.chosen.deployment_id),
        planned={key: adjusting.deployment(key) for key in _asked_by(choice)},
        planned_intensities=intensities if choice.plan else {},
    )


@dataclass(frozen=True)
class _LookedUp:
    """A prompt's unit embedding and the known prompts nearest to it, the `shown` ones with what is told of them.

    `ended` is the moment of the caller's clock at which they were found.
    """

    index: PromptIndex
    vector: npt.NDArray[np.float32]
    neighbours: tuple[Neighbour, ...]
    shown: tuple[Neighbour, ...]
    prompts: dict[int, Prompt]
    embedding_ms: float
    search_ms: float
    ended: float


def _look_up(
    prompt_text: str,
    settled: Settled,
    *,
    index: PromptIndex,
    embedder: Embedder,
    store: VectorStore,
    clock: Callable[[], float],
) -> _LookedUp:
    """Embed a prompt and search the index for as many neighbours as the policy listens to."""
    began = clock()
    vector = embedder.embed([prompt_text])[0]
    embedded = clock()
    found = tuple(store.nearest(index.collection_name, vector, searched_count(settled), index.prompt_count))
    searched = clock()
    shown = found[:SHOWN_NEIGHBOURS]
    return _LookedUp(
        index, vector, found, shown, _prompts(tuple(one.prompt_id for one in shown)),
        embedding_ms=(embedded - began) * 1000, search_ms=(searched - embedded) * 1000, ended=searched,
    )  # fmt: skip


def _bounded(choice: Choice, adjusting: Adjusting, *, stay_on_id: int | None, refused_ids: Sequence[int]) -> Choice:
    """Return the choice after what went before it: refused answers, a conversation's model, and the key's budget."""
    if refused_ids:  # a person who asks for a larger model gets it, whatever the budget
        return move_up(choice, refused_ids)
    if stay_on_id is not None and stay_on_id not in adjusting.too_long:
        choice = stay_with(choice, stay_on_id)
    hour = adjusting.conditions.hour
    return choice if hour is None else within_budget(choice, hour)


def _intensities(
    policy: str, choice: Choice, settled: Settled, adjusting: Adjusting
) -> dict[int, IntensityUsed | None]:
    """Return the carbon intensities of the deployments that may answer; the paper's rule goes by the SCI as scored."""
    if policy == PolicyVersion.Policy.NEAREST:
        return {}
    return {
        key: adjusting.intensity_of(key, is_intensity_live=settled.effective.is_intensity_live)
        for key in {choice.chosen.deployment_id, *(run.deployment_id for run in choice.plan)}
    }


def _asked_by(choice: Choice) -> set[int]:
    """Return the deployments that a cascade may ask."""
    seconds = {run.second_id for run in choice.plan if run.second_id is not None}
    return {run.deployment_id for run in choice.plan} | seconds


def _prompts(prompt_ids: tuple[int, ...]) -> dict[int, Prompt]:
    """Return known prompts with what is told of them: their names and categories, which hardly ever change."""
    return lately_each("prompt", prompt_ids, _read_prompts, lifetime_s=_NAMES_KEPT_S)


def _read_prompts(prompt_ids: list[int]) -> dict[int, Prompt]:
    return Prompt.objects.select_related("category").only("external_id", "category").in_bulk(prompt_ids)


def record_route(
    *,
    route: Route,
    now: datetime,
    request_id: int | None = None,
    prompt_id: int | None = None,
    routed_as: str = "",
    baseline: Evidence | None = None,
    steps: Iterable[Step] = (),
) -> RoutingDecision:
    """Store a decision with its reason; `steps` are the refused runs before it, whose cost is charged to it.

    It belongs to a gateway request, or to a known prompt of a comparison in one of its forms (`routed_as`).
    `baseline` is what is known here of the one strong model to which everything could have gone.
    """
    decision = decision_of(route=route, now=now, baseline=baseline, steps=steps)
    decision.request_id, decision.prompt_id, decision.routed_as = request_id, prompt_id, routed_as
    decision.save()
    return decision


def decision_of(
    *, route: Route, now: datetime, baseline: Evidence | None = None, steps: Iterable[Step] = ()
) -> RoutingDecision:
    """Return the row of a decision with its reason, not stored yet; see `record_route`."""
    refused = priced(steps, [one.evidence for one in route.choice.candidates])
    return RoutingDecision(
        steps=steps_as_json(refused),
        discarded_sci_gco2e=charged_sci_gco2e(refused),
        policy=route.policy,
        version=route.version,
        overrides=route.overrides,
        index=route.index,
        category=route.nearest_prompt.category if route.neighbours else None,
        neighbours=neighbours_as_json(route),
        candidates=candidates_as_json(route.choice),
        plan=plan_as_json(route.choice.plan),
        chosen=route.chosen,
        reason=route.choice.reason,
        explanation=route.choice.explanation,
        predicted_sci_gco2e=route.choice.chosen.sci_gco2e,
        predicted_quality=route.choice.chosen.quality,
        baseline_id=baseline.deployment_id if baseline else None,
        baseline_sci_gco2e=baseline.sci_gco2e if baseline else None,
        intensity={} if route.intensity is None else route.intensity.as_json(),
        embedding_ms=route.embedding_ms,
        search_ms=route.search_ms,
        choice_ms=route.choice_ms,
        decided_at=now,
    )


def record_pinned(*, deployment: Deployment, now: datetime, request_id: int) -> RoutingDecision:
    """Store that the caller named the model, so that nothing was decided."""
    decision = pinned_decision(deployment=deployment, now=now, usual=usual_of(deployment_id=deployment.pk))
    decision.request_id = request_id
    decision.save()
    return decision


def pinned_decision(*, deployment: Deployment, now: datetime, usual: Usual | None = None) -> RoutingDecision:
    """Return the row that says that the caller named the model, not stored yet; it is expected to cost the usual."""
    name = deployment.language_model.name
    return RoutingDecision(
        policy="fixed",
        chosen=deployment,
        reason=RoutingDecision.Reason.PINNED,
        explanation=f"The caller asked for {name} by name.",
        predicted_sci_gco2e=usual.sci_gco2e if usual else None,
        predicted_quality=usual.quality if usual else "",
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
