"""Compare the router with each model alone and with the oracle, on prompts that its index has never seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.intervals import Interval, mean_interval, share_interval
from benchmarks.models import Prompt, Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of
from router.embedding import Embedder
from router.index import VectorStore
from router.indexing import current_index, text_of
from router.models import RoutingDecision
from router.routing import record_route, route


@dataclass(frozen=True)
class AnswerOutcome:
    """What one deployment's measured answer to one prompt cost, and whether it was right."""

    prompt_id: int
    deployment_id: int
    model: str
    energy_j: float | None
    sci_gco2e: float | None
    quality: str
    is_correct: bool | None


@dataclass(frozen=True)
class ComparisonRow:
    """One approach over the same prompts: accuracy, and energy and SCI per prompt, each with its interval.

    A figure is None where nothing was judged or measured; `n` in each interval tells how many values it is made of.
    """

    name: str
    kind: str
    prompt_count: int
    accuracy: Interval | None
    energy_j: Interval | None
    sci_gco2e: Interval | None
    qualities: tuple[str, ...]

    @property
    def sum_sci_gco2e(self) -> float | None:
        """Return the sum of SCI over the answers that have one, right or wrong; None where none has."""
        return None if self.sci_gco2e is None else self.sci_gco2e.value * self.sci_gco2e.n


@dataclass(frozen=True)
class Comparison:
    """The table, and where it comes from."""

    study: Study
    prompt_count: int
    rows: tuple[ComparisonRow, ...]
    routed_count: int | None = None  # of a stored comparison; None: every prompt was routed just now
    index_ids: frozenset[int | None] = frozenset()
    routed_at: datetime | None = None  # the oldest decision of a stored comparison


class NothingToCompare(LookupError):
    """The study has no measured answers to validation prompts."""


def compare(*, study: Study, embedder: Embedder, store: VectorStore, clock: Callable[[], datetime]) -> Comparison:
    """Route every validation prompt of a study and compare what the chosen models' measured answers were worth.

    Each decision is stored with its prompt, so that `stored_comparison` can tell the same later without routing.
    The router's own energy (embedding and search) is not part of its row.

    Raises:
        NothingToCompare: the study measured no validation prompts.
        Whatever `router.routing.route` raises.
    """
    outcomes = outcomes_on_validation(study)
    prompt_ids = _prompt_ids(study, outcomes)
    embedded_text = current_index(embedder=embedder).embedded_text
    chosen: dict[int, int] = {}
    for prompt in Prompt.objects.filter(pk__in=prompt_ids).order_by("pk"):
        found = route(prompt_text=text_of(prompt, embedded_text), embedder=embedder, store=store)
        record_route(route=found, now=clock(), prompt_id=prompt.pk)
        chosen[prompt.pk] = found.chosen.pk
    return Comparison(study, len(prompt_ids), _rows(outcomes, chosen))


def stored_comparison(*, study: Study) -> Comparison:
    """Return the comparison by the decisions that `compare` stored last; three queries, nothing is routed.

    Where not every prompt has been routed yet, `routed_count` tells how many were, and the router's row is made of
    those alone.

    Raises:
        NothingToCompare: the study measured no validation prompts.
    """
    outcomes = outcomes_on_validation(study)
    prompt_ids = _prompt_ids(study, outcomes)
    decisions = list(
        RoutingDecision.objects.filter(prompt_id__in=prompt_ids)
        .order_by("prompt_id", "-decided_at", "-pk")
        .distinct("prompt_id")
        .values_list("prompt_id", "chosen_id", "index_id", "decided_at")
    )
    chosen = {prompt_id: chosen_id for prompt_id, chosen_id, _, _ in decisions}
    return Comparison(
        study,
        len(prompt_ids),
        _rows(outcomes, chosen),
        routed_count=len(chosen),
        index_ids=frozenset(index_id for _, _, index_id, _ in decisions),
        routed_at=min((decided_at for _, _, _, decided_at in decisions), default=None),
    )


def _prompt_ids(study: Study, outcomes: Sequence[AnswerOutcome]) -> list[int]:
    prompt_ids = sorted({outcome.prompt_id for outcome in outcomes})
    if not prompt_ids:
        raise NothingToCompare(f"The study {study} has no finished answers to validation prompts.")
    return prompt_ids


def _rows(outcomes: Sequence[AnswerOutcome], chosen: Mapping[int, int]) -> tuple[ComparisonRow, ...]:
    """Return the rows of every model, of the router by its chosen deployment per prompt, and of the oracle."""
    by_pair = {(outcome.prompt_id, outcome.deployment_id): outcome for outcome in outcomes}
    routed = [by_pair[pair] for pair in sorted(chosen.items()) if pair in by_pair]
    models = sorted({(outcome.model, outcome.deployment_id) for outcome in outcomes})
    rows = [
        _row(model, "model", [outcome for outcome in outcomes if outcome.deployment_id == deployment_id])
        for model, deployment_id in models
    ]
    rows.append(_row("router (nearest)", "router", routed))
    rows.append(_row("oracle", "oracle", oracle(outcomes)))
    return tuple(rows)


def outcomes_on_validation(study: Study) -> list[AnswerOutcome]:
    """Return the measured answers of a study to its validation prompts, with their verdicts."""
    rows = list(
        Response.objects.finished()
        .filter(study=study, prompt__role=Prompt.Role.VALIDATION, repeat=1)
        .order_by("prompt_id", "deployment_id", "pk")
        .values_list(
            "pk",
            "prompt_id",
            "deployment_id",
            "deployment__language_model__name",
            "measurement__energy_j",
            "measurement__sci_gco2e",
            "measurement__quality",
        )
    )
    verdicts = verdicts_of(row[0] for row in rows)
    return [AnswerOutcome(*row[1:6], row[6] or "missing", verdicts.get(row[0], UNDECIDED).is_correct) for row in rows]


def oracle(outcomes: Sequence[AnswerOutcome]) -> list[AnswerOutcome]:
    """Return the best that any router could do: per prompt the cheapest right answer, else the cheapest answer."""
    best = []
    for prompt_id in sorted({outcome.prompt_id for outcome in outcomes}):
        of_prompt = [one for one in outcomes if one.prompt_id == prompt_id and one.sci_gco2e is not None]
        right = [one for one in of_prompt if one.is_correct]
        if of_prompt:
            best.append(min(right or of_prompt, key=lambda one: (one.sci_gco2e or 0.0, one.model)))
    return best


def _row(name: str, kind: str, outcomes: Sequence[AnswerOutcome]) -> ComparisonRow:
    judged = [outcome.is_correct for outcome in outcomes if outcome.is_correct is not None]
    return ComparisonRow(
        name=name,
        kind=kind,
        prompt_count=len(outcomes),
        accuracy=share_interval(sum(judged), len(judged)),
        energy_j=mean_interval([one.energy_j for one in outcomes if one.energy_j is not None]),
        sci_gco2e=mean_interval([one.sci_gco2e for one in outcomes if one.sci_gco2e is not None]),
        qualities=tuple(sorted({outcome.quality for outcome in outcomes})),
    )
