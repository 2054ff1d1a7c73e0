"""What routing would change if a model became active, or were retired; nothing is stored and nobody is asked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.intervals import Interval, mean_interval, mean_share_interval, share_interval
from benchmarks.models import Deployment
from router.cascade import Cascade
from router.embedding import Embedder
from router.estimate import Estimator, Floats, Integers, Known
from router.expecting import Choices, choices_of, worth_of
from router.index import VectorStore
from router.indexing import current_index
from router.knowledge import Knowledge, knowledge_with
from router.left_out import LeftOutEstimator
from router.models import PolicyVersion, PromptIndex, RoutingDecision
from router.overriding import settle
from router.policies import RIGHT, Fixed, Nearest, Policy
from router.policy import NoCandidate
from router.vectors import Matrix
from router.weighing import policy_of

MOST_KNOWN = 2000  # known prompts that are routed again; of more, as many are drawn by lot
MOST_LIVE = 100  # decisions, each of which is embedded anew
_SEED = 0
# how a cascade is reckoned, in which nobody is asked and no checker reads an answer
BY_RUNS = (
    "The cascade is reckoned by the runs that it would make, each charged: a checker is taken to accept the shares of "
    "right and of wrong answers that were measured of it. A prompt goes to the model that is asked first."
)


@dataclass(frozen=True)
class Side:
    """What the choices of one federation are worth: accuracy, and SCI in gCO2e a prompt, of one quality of energy."""

    accuracy: Interval | None
    sci_gco2e: Interval | None
    quality: str


@dataclass(frozen=True)
class Move:
    """How many prompts would go to another model, and from which."""

    source: str
    target: str
    count: int


@dataclass(frozen=True)
class Change:
    """Both sides over the same prompts; a side is None where nothing could be chosen, and `problems` say why."""

    prompt_count: int
    moved_count: int
    moves: tuple[Move, ...]
    before: Side | None
    after: Side | None
    problems: tuple[str, ...] = ()

    @property
    def moved_share(self) -> Interval | None:
        """Return the share of prompts that would move; None where one side is unknown."""
        return share_interval(self.moved_count, self.prompt_count) if self.before and self.after else None


@dataclass(frozen=True)
class Preview:
    """One dry run of the policy in force, with a deployment and without it."""

    deployment: Deployment
    is_leaving: bool
    policy: str
    version_id: int | None
    known_total: int
    known: Change
    note: str

    @property
    def reckoned(self) -> str:
        """Return in words how the policy was reckoned, where that is not plain."""
        return BY_RUNS if self.policy == Cascade.name else ""


class _World:
    """A federation as it is or would be: what is known of it, and the policy in force over it."""

    def __init__(
        self, index: PromptIndex, store: VectorStore, ids: Sequence[int], version: PolicyVersion | None
    ) -> None:
        self.knowledge = knowledge_with(index, store, ids)
        self._version = version
        self.names = [column.model for column in self.knowledge.columns]
        self.quality = next((one.quality for one in self.knowledge.columns if one.is_ranked), "missing")

    def policy(self) -> Policy:
        return policy_in_force(self._version, self.knowledge)

    @property
    def known(self) -> Known:
        """Return what is known; a model is active."""
        return self.knowledge.estimator().known


def policy_in_force(version: PolicyVersion | None, knowledge: Knowledge) -> Policy:
    """Return the rule that decides: the latest version's, else that of the policy which counts without any.

    Raises:
        NoCandidate: the version's fallback is not among the deployments.
    """
    counting = settle(version=version).effective
    return Nearest() if counting.policy == PolicyVersion.Policy.NEAREST else policy_of(counting, knowledge)


def preview(*, deployment: Deployment, store: VectorStore) -> Preview:
    """Route the known prompts with a deployment and without it, each prompt as if it were not known itself.

    The figures are what the chosen models did on those very prompts: verdicts and mean SCI.

    Raises:
        NoIndex, IndexStoreError: there is no index, or its vectors cannot be read.
    """
    index = current_index()
    is_leaving, before, after, version = _worlds(index, store, deployment)
    rows = _drawn(index.prompt_count)
    outcomes = [_chosen_of_known(world, rows) for world in (before, after)]
    return Preview(
        deployment=deployment,
        is_leaving=is_leaving,
        policy=settle(version=version).effective.policy,
        version_id=None if version is None else version.pk,
        known_total=index.prompt_count,
        known=_change(before, after, outcomes, _done_by, rows),
        note=_note(before if is_leaving else after, deployment),
    )


def preview_live(*, deployment: Deployment, store: VectorStore, embedder: Embedder) -> Change:
    """Route the prompts of the latest live decisions whose text is kept, with a deployment and without it.

    Nobody judged these answers, so the figures are estimates from each prompt's neighbours.

    Raises:
        NoIndex, EmbedderMismatch, IndexStoreError, InferenceError: it cannot be told now.
    """
    index = current_index(embedder=embedder)
    texts = latest_texts()
    if not texts:
        return Change(0, 0, (), None, None)
    _, before, after, _ = _worlds(index, store, deployment)
    vectors = embedder.embed(texts)
    outcomes = [_chosen_of_new(world, vectors) for world in (before, after)]
    return _change(before, after, outcomes, _expected_of(vectors), np.arange(len(texts)))


def latest_texts() -> list[str]:
    """Return the prompts of the latest live decisions of the router whose text is kept, the latest first."""
    pinned = [RoutingDecision.Reason.PINNED, RoutingDecision.Reason.CONVERSATION]
    asked = RoutingDecision.objects.filter(request__isnull=False, request__background_task="")
    kept = asked.exclude(request__prompt_text="").exclude(reason__in=pinned)
    return list(kept.order_by("-decided_at", "-pk").values_list("request__prompt_text", flat=True)[:MOST_LIVE])


def _worlds(
    index: PromptIndex, store: VectorStore, deployment: Deployment
) -> tuple[bool, _World, _World, PolicyVersion | None]:
    version = PolicyVersion.objects.order_by("-pk").first()
    active = set(Deployment.objects.active().values_list("pk", flat=True))
    is_leaving = deployment.pk in active
    other = active - {deployment.pk} if is_leaving else active | {deployment.pk}
    return (
        is_leaving,
        _World(index, store, sorted(active), version),
        _World(index, store, sorted(other), version),
        version,
    )


def _drawn(prompt_count: int) -> Integers:
    if prompt_count <= MOST_KNOWN:
        return np.arange(prompt_count)
    return np.sort(np.random.default_rng(_SEED).choice(prompt_count, MOST_KNOWN, replace=False))


_Chosen = Choices | str  # what each prompt goes to, or why nothing can be chosen
_Worth = Callable[[_World, Choices, Integers], tuple[Floats, Floats]]


def _chosen_of_known(world: _World, rows: Integers) -> _Chosen:
    try:
        known, policy = world.known, world.policy()
    except NoCandidate as error:
        return str(error)
    estimator = LeftOutEstimator(known, policy.shrinkage)
    if estimator.neighbour_count < 1:
        return "There are too few different known prompts to leave one out; import more and build the index again."
    return _chosen(policy, estimator, known.vectors[rows])


def _chosen_of_new(world: _World, vectors: Matrix) -> _Chosen:
    try:
        known, policy = world.known, world.policy()
    except NoCandidate as error:
        return str(error)
    return _chosen(policy, Estimator(known, policy.shrinkage), vectors)


def _chosen(policy: Policy, estimator: Estimator, vectors: Matrix) -> _Chosen:
    if np.isnan(estimator.model_scores).all() and not isinstance(policy, Fixed | Nearest):
        return "Nobody has judged an answer of these models to a known prompt."
    return choices_of(policy, estimator, estimator.estimate(vectors))


def _change(before: _World, after: _World, outcomes: Sequence[_Chosen], worth: _Worth, rows: Integers) -> Change:
    problems = tuple(
        f"{when}: {found}" for when, found in zip(("Now", "Then"), outcomes, strict=True) if isinstance(found, str)
    )
    sides = [
        None if isinstance(found, str) else _side(world, worth(world, found, rows))
        for world, found in zip((before, after), outcomes, strict=True)
    ]
    moves = _moves(before, after, *outcomes)
    return Change(len(rows), sum(one.count for one in moves), moves, sides[0], sides[1], problems)


def _done_by(world: _World, chosen: Choices, rows: Integers) -> tuple[Floats, Floats]:
    """Return what the chosen models did on known prompts: right (1) or wrong (0), and SCI; NaN where unknown.

    Of a cascade, what the runs that it would make are expected to be.
    """
    known = world.known
    scores = known.scores[rows]
    worth = worth_of(chosen, np.where(np.isnan(scores), np.nan, scores >= RIGHT), known.sci_gco2e[rows])
    return worth.right, worth.costs


def _expected_of(vectors: Matrix) -> _Worth:
    """Return a function that gives what the chosen models are expected to do on new prompts."""

    def expected(world: _World, chosen: Choices, rows: Integers) -> tuple[Floats, Floats]:
        estimates = Estimator(world.known).estimate(vectors)
        worth = worth_of(chosen, estimates.p[rows], estimates.sci_gco2e[rows], is_truth=False)
        return worth.right, worth.costs

    return expected


def _side(world: _World, values: tuple[Floats, Floats]) -> Side:
    accuracy, sci = (one[~np.isnan(one)] for one in values)
    is_counted = bool(np.isin(accuracy, (0.0, 1.0)).all())
    return Side(
        share_interval(int(accuracy.sum()), len(accuracy)) if is_counted else mean_share_interval(accuracy.tolist()),
        mean_interval(sci.tolist()),
        world.quality if len(sci) else "missing",
    )


def _moves(before: _World, after: _World, chosen_before: _Chosen, chosen_after: _Chosen) -> tuple[Move, ...]:
    if isinstance(chosen_before, str) or isinstance(chosen_after, str):
        return ()
    ids = [[column.deployment_id for column in world.knowledge.columns] for world in (before, after)]
    counts = Counter(
        (int(old), int(new))
        for old, new in zip(chosen_before.first, chosen_after.first, strict=True)
        if ids[0][old] != ids[1][new]
    )
    return tuple(
        Move(before.names[old], after.names[new], count)
        for (old, new), count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _note(world: _World, deployment: Deployment) -> str:
    """Say why a deployment is not ranked against the others, where it is not."""
    column = next((one for one in world.knowledge.columns if one.deployment_id == deployment.pk), None)
    if column is None or column.is_ranked:
        return ""
    if column.quality == "missing":
        return f"{column.model} has no SCI on a known prompt, so nothing says what it would cost: measure it first."
    return (
        f"The energy of {column.model} is {column.quality}, that of most others {world.quality}: figures of unlike "
        f"kind are not ranked against each other, so its SCI does not count."
    )
