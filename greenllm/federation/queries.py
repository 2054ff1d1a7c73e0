"""What the federation's pages read: every model with its figures, its share of the traffic, and the index."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, F, IntegerField, Q, When

from benchmarks.intervals import Interval, mean_interval, share_interval
from benchmarks.models import Deployment, InferenceServer, Response, Study
from labeling.verdicts import UNDECIDED, Decision, verdicts_of
from router.models import PromptIndex, RoutingDecision
from router.policy import QUALITIES_IN_ORDER

ROUTED_DAYS = 7

_STATES_IN_ORDER = ("active", "labeling", "evaluating", "candidate", "retired")


@dataclass(frozen=True)
class Figures:
    """What is known of a deployment: the accuracy of its model, and the SCI of its own answers.

    Verdicts belong to the model, so answers of any of its deployments count; SCI is of the best quality it has.
    """

    answer_count: int
    accuracy: Interval | None
    sources: tuple[str, ...]
    sci_gco2e: Interval | None
    quality: str


@dataclass(frozen=True)
class ModelRow:
    """One deployment on the overview."""

    deployment: Deployment
    figures: Figures
    routed_count: int
    routed_total: int

    @property
    def share(self) -> float | None:
        """Return its share of what was routed; None where nothing was."""
        return self.routed_count / self.routed_total if self.routed_total else None


@dataclass(frozen=True)
class _Answer:
    language_model_id: int
    deployment_id: int
    category: str
    sci_gco2e: float | None
    quality: str
    verdict: Decision


def model_rows(deployments: Sequence[Deployment], *, now: datetime) -> list[ModelRow]:
    """Return the figures of deployments and their share of the last week's routed requests. Three queries."""
    answers = _answers({deployment.language_model_id for deployment in deployments})
    by_model: dict[int, list[_Answer]] = defaultdict(list)
    for answer in answers:
        by_model[answer.language_model_id].append(answer)
    routed = _routed_since(now - timedelta(days=ROUTED_DAYS))
    total = sum(routed.values())
    return [
        ModelRow(one, _figures(by_model[one.language_model_id], one.pk), routed[one.pk], total) for one in deployments
    ]


def figures_by_category(deployment: Deployment) -> list[tuple[str, Figures]]:
    """Return a deployment's figures in each category, and over all of them last (named empty). Two queries."""
    answers = _answers({deployment.language_model_id})
    categories = sorted({answer.category for answer in answers})
    of_each = [(name, _figures([one for one in answers if one.category == name], deployment.pk)) for name in categories]
    return [*of_each, ("", _figures(answers, deployment.pk))] if answers else []


def deployments_in_order() -> list[Deployment]:
    """Return every deployment of a model, routers aside: active ones first, retired ones last, by name."""
    rank = Case(
        *(When(state=state, then=place) for place, state in enumerate(_STATES_IN_ORDER)),
        output_field=IntegerField(),
    )
    found = Deployment.objects.of_models().select_related("language_model", "server__machine")
    return list(found.annotate(rank=rank).order_by("rank", "language_model__name", "pk"))


def servers_with_counts() -> list[InferenceServer]:
    """Return every server with `model_count`, the number of its deployments that are not retired."""
    serving = Count("deployments", filter=~Q(deployments__state=Deployment.State.RETIRED))
    real = InferenceServer.objects.exclude(deployments__study_targets__study__kind=Study.Kind.IMPORTED)
    return list(real.select_related("machine").annotate(model_count=serving).order_by("name"))


def studies_of(deployment: Deployment) -> list[Study]:
    """Return the studies that ask a deployment, the latest first, each with how many answers are finished."""
    finished = Count("responses", filter=Q(responses__state="finished", responses__deployment=deployment))
    found = Study.objects.filter(targets__deployment=deployment).annotate(finished_count=finished)
    return list(found.order_by(F("started_at").desc(nulls_last=True), "-pk")[:50])


def index_in_use() -> PromptIndex | None:
    """Return the index that the router uses, None where none has been built."""
    return PromptIndex.objects.select_related("embedder", "measurement").filter(state=PromptIndex.State.CURRENT).first()


def _routed_since(moment: datetime) -> Counter[int]:
    """Count what the router chose for requests; what the caller named, or only asked about, is not counted."""
    decided = RoutingDecision.objects.filter(decided_at__gte=moment, request__isnull=False)
    unpinned = decided.exclude(reason=RoutingDecision.Reason.PINNED)
    return Counter(dict(unpinned.values_list("chosen_id").annotate(n=Count("pk")).order_by()))


def _answers(language_model_ids: Iterable[int]) -> list[_Answer]:
    rows = list(
        Response.objects.finished()
        .filter(deployment__language_model_id__in=list(language_model_ids))
        .order_by("pk")
        .values_list(
            "pk",
            "deployment__language_model_id",
            "deployment_id",
            "prompt__category__name",
            "measurement__sci_gco2e",
            "measurement__quality",
        )
    )
    verdicts = verdicts_of(row[0] for row in rows)
    return [_Answer(*row[1:5], row[5] or "missing", verdicts.get(row[0], UNDECIDED)) for row in rows]


def _figures(answers: Sequence[_Answer], deployment_id: int) -> Figures:
    judged = [answer.verdict for answer in answers if answer.verdict.is_correct is not None]
    own = [answer for answer in answers if answer.deployment_id == deployment_id]
    scored = [answer for answer in own if answer.sci_gco2e is not None]
    quality = next((one for one in QUALITIES_IN_ORDER if any(answer.quality == one for answer in scored)), "missing")
    costs = [one.sci_gco2e for one in scored if one.quality == quality and one.sci_gco2e is not None]
    return Figures(
        answer_count=len(own),
        accuracy=share_interval(sum(bool(verdict.is_correct) for verdict in judged), len(judged)),
        sources=tuple(sorted({verdict.source for verdict in judged})),
        sci_gco2e=mean_interval(costs),
        quality=quality,
    )
