"""Explain a decision: what it rests on, why each other model lost, and what one strong model would have cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.models import Prompt
from router.baseline import Baseline, baseline_of
from router.candidates import evidence_on
from router.circumstances import Sent, route_apart, route_sent
from router.embedding import Embedder
from router.index import VectorStore
from router.models import RoutingDecision
from router.policy import Candidate, Evidence
from router.routing import candidates_from_json, record_route
from router.usual import usual_of

TEXT_LIMIT = 1000  # characters of a known prompt that are told


@dataclass(frozen=True)
class NearPrompt:
    """One known prompt near the one that was asked, and what each active model made of it, as judged by now."""

    prompt_id: int
    external_id: str
    category: str
    squared_distance: float
    text: str
    is_cut: bool
    answers: tuple[Evidence, ...]

    @property
    def right_count(self) -> int:
        """Return how many models answered it right."""
        return sum(one.is_correct is True for one in self.answers)


@dataclass(frozen=True)
class Explanation:
    """One decision with everything that it rests on; without results for those who may not see any."""

    decision: RoutingDecision
    candidates: tuple[Candidate, ...]
    neighbours: tuple[NearPrompt, ...]
    baseline: Baseline | None
    sci_count: int
    is_withheld: bool = False

    @property
    def model(self) -> str:
        """Return the name of the chosen model."""
        return self.decision.chosen.language_model.name

    @property
    def category(self) -> str:
        """Return the category of the nearest known prompt; empty where nothing was searched."""
        return self.decision.category.name if self.decision.category else ""

    @property
    def quality(self) -> str:
        """Return how the energy behind the expected SCI came about."""
        return self.decision.predicted_quality or "missing"

    @property
    def is_picked(self) -> bool:
        """Tell whether the caller named the model."""
        return self.decision.reason == RoutingDecision.Reason.PINNED

    @property
    def has_estimates(self) -> bool:
        """Tell whether the candidates have probabilities, and not only the verdict on the nearest prompt."""
        return any(one.evidence.p is not None for one in self.candidates)

    @property
    def request_id(self) -> str:
        """Return the id of the request that it belongs to, if any."""
        return self.decision.request.public_id if self.decision.request else ""


def explain_sent(
    *,
    sent: Sent,
    embedder: Embedder,
    store: VectorStore,
    now: datetime,
    sees_results: bool = True,
    is_patient: bool = False,
) -> Explanation:
    """Route a prompt as a request that brought it, store the decision, and explain it; nothing is generated or booked.

    `is_patient` is that of `router.routing.route`.

    Raises:
        Whatever `router.routing.route` raises, and BudgetClosed.
    """
    routed = route_apart(sent=sent, embedder=embedder, store=store)
    if routed is None:
        routed = route_sent(sent=sent, embedder=embedder, store=store, is_patient=is_patient)
    decision = record_route(route=routed.route, now=now, baseline=routed.baseline)
    [explained] = explanations_of([decision], sees_results=sees_results)
    return explained


def explanations_of(decisions: Sequence[RoutingDecision], *, sees_results: bool) -> list[Explanation]:
    """Explain stored decisions, in four queries beside what their relations need; in none without results.

    Who judges answers blind must not learn what models did and cost: without `sees_results` the candidates, the known
    prompts and the strong model are left out.
    """
    if not sees_results:
        return [_explanation(decision, {}, {}, sees_results=False) for decision in decisions]
    ids = {row["prompt_id"] for decision in decisions for row in decision.neighbours}
    texts = dict(Prompt.objects.filter(pk__in=ids).values_list("pk", "item_text")) if ids else {}
    answers = evidence_on(ids) if ids else {}
    return [_explanation(decision, texts, answers, sees_results=True) for decision in decisions]


def explanation_as_json(explained: Explanation) -> dict[str, Any]:
    """Return an explanation as the endpoint and the command tell it: masses in gCO2e, times in ms."""
    decision = explained.decision
    return {
        "decision_id": decision.pk,
        "category": explained.category or None,
        "policy": decision.policy,
        "policy_version": decision.version_id,
        "choice": explained.model,
        "reason": decision.reason,
        "explanation": decision.explanation,
        "predicted_sci_gco2e": decision.predicted_sci_gco2e,
        "discarded": [] if explained.is_withheld else decision.steps,
        "discarded_sci_gco2e": decision.discarded_sci_gco2e,
        "sci_count": explained.sci_count,
        "quality": explained.quality,
        "neighbours": [_near_as_json(one) for one in explained.neighbours],
        "candidates": [] if explained.is_withheld else decision.candidates,
        "baseline": None if explained.baseline is None else _baseline_as_json(explained.baseline),
        "is_withheld": explained.is_withheld,
        "index": _index_as_json(decision),
        "latency_ms": {
            name: None if value is None else round(value, 2)
            for name, value in (
                ("embedding", decision.embedding_ms),
                ("search", decision.search_ms),
                ("choice", decision.choice_ms),
            )
        },
    }


def _usual_count(decision: RoutingDecision) -> int:
    """Return how many answers are behind what a model usually costs that was asked for by name; 0 for other figures."""
    if decision.reason != RoutingDecision.Reason.PINNED or decision.predicted_sci_gco2e is None:
        return 0
    usual = usual_of(deployment_id=decision.chosen_id)
    return 0 if usual is None else usual.answer_count


def _explanation(
    decision: RoutingDecision,
    texts: Mapping[int, str],
    answers: Mapping[int, Sequence[Evidence]],
    *,
    sees_results: bool,
) -> Explanation:
    candidates = candidates_from_json(decision.candidates)
    sci_count = sum(one.evidence.sci_count for one in candidates if one.is_chosen) or _usual_count(decision)
    if not sees_results:
        return Explanation(decision, (), (), None, sci_count, is_withheld=bool(candidates))
    return Explanation(
        decision=decision,
        candidates=candidates,
        neighbours=tuple(_near(decision.neighbours, texts, answers)),
        baseline=baseline_of(decision, candidates) if candidates else None,
        sci_count=sci_count,
    )


def _near(
    rows: Iterable[Mapping[str, Any]], texts: Mapping[int, str], answers: Mapping[int, Sequence[Evidence]]
) -> Iterable[NearPrompt]:
    for row in rows:
        prompt_id = row["prompt_id"]
        if prompt_id in texts:
            text = texts[prompt_id]
            yield NearPrompt(
                prompt_id=prompt_id,
                external_id=row.get("external_id", ""),
                category=row["category"],
                squared_distance=row["squared_distance"],
                text=text[:TEXT_LIMIT],
                is_cut=len(text) > TEXT_LIMIT,
                answers=tuple(one for one in answers.get(prompt_id, ()) if one.response_count),
            )


def _near_as_json(near: NearPrompt) -> dict[str, Any]:
    return {
        "prompt_id": near.prompt_id,
        "external_id": near.external_id,
        "category": near.category,
        "squared_distance": near.squared_distance,
        "text": near.text,
        "is_text_cut": near.is_cut,
        "answers": [
            {
                "deployment_id": one.deployment_id,
                "model": one.model,
                "is_correct": one.is_correct,
                "response_count": one.response_count,
                "sci_gco2e": one.sci_gco2e,
                "sci_count": one.sci_count,
                "quality": one.quality,
            }
            for one in near.answers
        ],
    }


def _baseline_as_json(baseline: Baseline) -> dict[str, Any]:
    strong, share = baseline.evidence, baseline.saved_share
    return {
        "model": strong.model if strong else None,
        "deployment_id": strong.deployment_id if strong else None,
        "rule": baseline.rule if strong else None,
        "sci_gco2e": strong.sci_gco2e if strong else None,
        "sci_count": strong.sci_count if strong else 0,
        "quality": strong.quality if strong else "missing",
        "saved_gco2e": baseline.saved_gco2e,
        "saved_percent": None if share is None else round(100 * share, 2),
        "note": baseline.note,
    }


def _index_as_json(decision: RoutingDecision) -> dict[str, Any] | None:
    index = decision.index
    if index is None:
        return None
    return {
        "id": index.pk,
        "embedder": index.embedder.name,
        "embedded_text": index.embedded_text,
        "prompt_count": index.prompt_count,
    }
