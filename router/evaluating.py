"""Compare the router with each model alone and with the oracle, on prompts that its index has never seen."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from benchmarks.intervals import Interval, mean_interval, mean_share_interval, share_interval
from benchmarks.models import Prompt, Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of
from router.embedding import Embedder
from router.expected_answers import AnswerOutcome, expected_answer, plan_from_json
from router.index import VectorStore
from router.indexing import current_index, text_of
from router.models import PolicyVersion, PromptIndex, RoutingDecision
from router.overriding import policy_in_force
from router.policy import PlannedRun
from router.routing import record_route, route

# the two forms in which a prompt may reach the router, and how a table names them
ROUTED_AS: dict[str, str] = {
    PromptIndex.EmbeddedText.ITEM.value: "bare items",
    PromptIndex.EmbeddedText.PROMPT.value: "whole prompts",
}

MEASURED_ROUTER = "router, measured"


_Routed = tuple[str, AnswerOutcome | None]  # which policy chose, and the chosen model's answer where it has one

# how a cascade is reckoned, in which no answer is made that could be checked
BY_RUNS = (
    "A cascade is reckoned by the runs that it would make, each charged: a checker is taken to accept the shares of "
    "right and of wrong answers that were measured of it. These are expected values, and the checkers' own energy is "
    "not in them."
)


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
class MeasuredRouter:
    """A finished study of the router over the same validation prompts on the same machine.

    `answered_by` counts the models that the router chose; `differences` names what was set otherwise than in the
    study that it stands beside.
    """

    study: Study
    outcomes: tuple[AnswerOutcome, ...]
    answered_by: tuple[tuple[str, int], ...]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The table, where it comes from, and what the index embeds."""

    study: Study
    prompt_count: int
    rows: tuple[ComparisonRow, ...]
    embedded_text: str = ""
    routed_count: int | None = None  # of a stored comparison; None: every prompt was routed just now
    index_ids: frozenset[int | None] = frozenset()
    routed_at: datetime | None = None  # the oldest decision of a stored comparison
    measured: MeasuredRouter | None = None
    reckoned: str = ""  # how the router's rows were, where that is not plain


class NothingToCompare(LookupError):
    """The study has no measured answers to validation prompts."""


def compare(*, study: Study, embedder: Embedder, store: VectorStore, clock: Callable[[], datetime]) -> Comparison:
    """Route every validation prompt of a study and compare what the chosen models' measured answers were worth.

    Each prompt is routed twice, as its bare item and as the whole text of its template, whichever of them the index
    embeds: a live prompt has no template, and an answer for one form says little of the other. Each decision is
    stored with its prompt and form, so that `stored_comparison` can tell the same later without routing. The router's
    own energy (embedding and search) is not part of its row. No answer is made that could be checked, so that a cascade
    is reckoned by the runs that it is expected to make; measure a study of the router to know what it is worth.

    Raises:
        NothingToCompare: the study measured no validation prompts.
        Whatever `router.routing.route` raises.
    """
    outcomes = outcomes_on_validation(study)
    prompt_ids = _prompt_ids(study, outcomes)
    embedded_text = current_index(embedder=embedder).embedded_text
    routed = {
        form: _routed(outcomes=outcomes, routed_as=form, embedder=embedder, store=store, clock=clock)
        for form in ROUTED_AS
    }
    measured = measured_router(study=study, prompt_ids=prompt_ids)
    return Comparison(
        study,
        len(prompt_ids),
        _rows(outcomes, routed, measured),
        embedded_text,
        measured=measured,
        reckoned=_reckoned(policy for given in routed.values() for policy, _ in given),
    )


def stored_comparison(*, study: Study) -> Comparison:
    """Return the comparison by the decisions that `compare` stored last; nothing is routed.

    Four queries, one more where nothing has been routed, and six more where a study of the router stands beside.

    Where not every prompt has been routed in both forms yet, `routed_count` tells how many were, and the router's
    rows are made of those alone.

    Raises:
        NothingToCompare: the study measured no validation prompts.
    """
    outcomes = outcomes_on_validation(study)
    prompt_ids = _prompt_ids(study, outcomes)
    decisions = list(
        RoutingDecision.objects.filter(prompt_id__in=prompt_ids)
        .order_by("prompt_id", "routed_as", "-decided_at", "-pk")
        .distinct("prompt_id", "routed_as")
        .values_list(
            "prompt_id", "routed_as", "policy", "chosen_id", "index_id", "index__embedded_text", "decided_at", "plan"
        )
    )
    by_prompt = _by_prompt(outcomes)
    routed = {
        form: [
            (policy, _answer(by_prompt[prompt_id], chosen_id, plan_from_json(plan)))
            for prompt_id, routed_as, policy, chosen_id, *_, plan in decisions
            if routed_as == form
        ]
        for form in ROUTED_AS
    }
    counts = Counter(routed_as for _, routed_as, *_ in decisions)
    measured = measured_router(study=study, prompt_ids=prompt_ids)
    return Comparison(
        study,
        len(prompt_ids),
        _rows(outcomes, routed, measured),
        next((embedded_text or "" for *_, embedded_text, _, _ in decisions), ""),
        routed_count=min(counts[form] for form in ROUTED_AS),
        index_ids=frozenset(index_id for *_, index_id, _, _, _ in decisions),
        routed_at=min((decided_at for *_, decided_at, _ in decisions), default=None),
        measured=measured,
        reckoned=_reckoned(policy for _, _, policy, *_ in decisions),
    )


def measured_router(*, study: Study, prompt_ids: Sequence[int]) -> MeasuredRouter | None:
    """Return the latest finished study of the router that asked just these validation prompts on the same machine.

    None where there is none, or where the study is one of the router itself.
    """
    if study.kind == Study.Kind.ROUTER or study.machine_id is None:
        return None
    of_routers = Study.objects.filter(
        kind=Study.Kind.ROUTER, state=Study.State.FINISHED, machine=study.machine_id
    ).values_list("pk", flat=True)
    study_ids = list(of_routers)  # apart, for the answers of all studies would be looked through together with them
    if not study_ids:
        return None
    answers = Response.objects.finished().filter(study__in=study_ids, prompt__role=Prompt.Role.VALIDATION, repeat=1)
    found = (
        answers.values("study_id", "study__finished_at")
        .annotate(
            asked=Count("prompt", distinct=True),
            shared=Count("prompt", distinct=True, filter=Q(prompt__in=prompt_ids)),
        )
        .filter(asked=len(prompt_ids), shared=len(prompt_ids))
        .order_by("-study__finished_at", "-study_id")
        .first()
    )
    if found is None:
        return None
    of_router = Study.objects.get(pk=found["study_id"])
    chosen = answers.filter(study=of_router).values_list("answered_by").annotate(n=Count("pk"))
    return MeasuredRouter(
        of_router,
        tuple(outcomes_on_validation(of_router)),
        tuple((name or "not told", count) for name, count in chosen.order_by("-n", "answered_by")),
        _differences(study, of_router),
    )


def _differences(study: Study, other: Study) -> tuple[str, ...]:
    """Name what keeps the answers of two studies from being compared as they stand."""
    names = ("seed", "temperature", "num_predict", "top_p", "top_k")
    one, two = (set(which.parameter_sets.values_list(*names)) for which in (study, other))
    differences = [] if one == two else ["generation parameters"]
    if study.carbon_intensity_gco2e_per_kwh != other.carbon_intensity_gco2e_per_kwh:
        differences.append("carbon intensity")
    return tuple(differences)


def _prompt_ids(study: Study, outcomes: Sequence[AnswerOutcome]) -> list[int]:
    prompt_ids = sorted({outcome.prompt_id for outcome in outcomes})
    if not prompt_ids:
        raise NothingToCompare(f"The study {study} has no finished answers to validation prompts.")
    return prompt_ids


def _rows(
    outcomes: Sequence[AnswerOutcome],
    routed: Mapping[str, Sequence[_Routed]],
    measured: MeasuredRouter | None,
) -> tuple[ComparisonRow, ...]:
    """Return the rows of every model, of the router by the answers of its choices in each form, and of the oracle.

    A row of the router names the policy that chose, or each of them where one stood in for another. Where the router
    itself was measured, its own answers have a row as well.
    """
    models = sorted({(outcome.model, outcome.deployment_id) for outcome in outcomes})
    rows = [
        _row(model, "model", [outcome for outcome in outcomes if outcome.deployment_id == deployment_id])
        for model, deployment_id in models
    ]
    in_force = "" if all(routed.values()) else policy_in_force()  # names the row of a form that nobody has routed
    for form, given in routed.items():
        policies = ", ".join(sorted({policy for policy, _ in given})) or in_force
        answers = [answer for _, answer in given if answer is not None]
        rows.append(_row(f"router ({policies}), {ROUTED_AS[form]}", "router", answers))
    if measured is not None:
        rows.append(_row(MEASURED_ROUTER, "measured-router", measured.outcomes))
    rows.append(_row("oracle", "oracle", oracle(outcomes)))
    return tuple(rows)


def routed_outcomes(
    *,
    outcomes: Sequence[AnswerOutcome],
    routed_as: str,
    embedder: Embedder,
    store: VectorStore,
    clock: Callable[[], datetime],
    is_recorded: bool = True,
) -> list[AnswerOutcome]:
    """Route the prompts of measured answers in one form; return the chosen models' answers.

    Each decision is stored unless `is_recorded` is false. A prompt whose chosen model has no measured answer among
    these is left out.

    Raises:
        Whatever `router.routing.route` raises.
    """
    routed = _routed(
        outcomes=outcomes, routed_as=routed_as, embedder=embedder, store=store, clock=clock, is_recorded=is_recorded
    )
    return [chosen for _, chosen in routed if chosen is not None]


def _routed(
    *,
    outcomes: Sequence[AnswerOutcome],
    routed_as: str,
    embedder: Embedder,
    store: VectorStore,
    clock: Callable[[], datetime],
    is_recorded: bool = True,
) -> list[_Routed]:
    by_prompt = _by_prompt(outcomes)
    routed: list[_Routed] = []
    for prompt in Prompt.objects.filter(pk__in=by_prompt).order_by("pk"):
        found = route(prompt_text=text_of(prompt, routed_as), embedder=embedder, store=store, is_patient=True)
        if is_recorded:
            record_route(route=found, now=clock(), prompt_id=prompt.pk, routed_as=routed_as)
        routed.append((found.policy, _answer(by_prompt[prompt.pk], found.chosen.pk, found.choice.plan)))
    return routed


def _by_prompt(outcomes: Sequence[AnswerOutcome]) -> dict[int, dict[int, AnswerOutcome]]:
    """Return the answers to each prompt by their deployment."""
    found: dict[int, dict[int, AnswerOutcome]] = {}
    for one in outcomes:
        found.setdefault(one.prompt_id, {})[one.deployment_id] = one
    return found


def _answer(answers: Mapping[int, AnswerOutcome], chosen_id: int, plan: Sequence[PlannedRun]) -> AnswerOutcome | None:
    """Return the answer of a chosen model, or what is expected of a cascade."""
    return expected_answer(plan, answers) if plan else answers.get(chosen_id)


def _reckoned(policies: Iterable[str]) -> str:
    return BY_RUNS if PolicyVersion.Policy.CASCADE.value in policies else ""


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
        accuracy=_accuracy([float(one) for one in judged]),
        energy_j=mean_interval([one.energy_j for one in outcomes if one.energy_j is not None]),
        sci_gco2e=mean_interval([one.sci_gco2e for one in outcomes if one.sci_gco2e is not None]),
        qualities=tuple(sorted({outcome.quality for outcome in outcomes})),
    )


def _accuracy(judged: Sequence[float]) -> Interval | None:
    """Return the share that is right; of answers that are but expected, the mean of their probabilities."""
    if all(one in (0.0, 1.0) for one in judged):
        return share_interval(int(sum(judged)), len(judged))
    return mean_share_interval(judged)
