"""What the federation's pages read: every model with its figures, its share of the traffic, and the index."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, Subquery, Sum, When
from django.db.models.functions import Coalesce

from benchmarks.intervals import Interval, share_interval
from benchmarks.models import Deployment, InferenceServer, Study
from benchmarks.sorting import Key, Sorting, sorted_rows
from greenllm.dashboards.counted import CountedAnswers, Masses, answers_counted, tallied
from labeling.models import AnswerTally, Verdict
from labeling.unchanged import unchanged
from router.models import DecisionHour, GatewayRequest, PromptIndex, RoutingDecision
from router.policy import QUALITIES_IN_ORDER

ROUTED_DAYS = 7

_NOT_OF_PEOPLE = (RoutingDecision.Reason.PINNED, RoutingDecision.Reason.BACKGROUND)
_LONGEST_DECISION = timedelta(hours=1)  # a decision comes at most so long after its request
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


COLUMNS: Mapping[str, Key[ModelRow]] = {
    "model": lambda row: str(row.deployment.language_model).lower(),
    "state": lambda row: _STATES_IN_ORDER.index(row.deployment.state),
    "where": lambda row: str(row.deployment.server).lower(),
    "accuracy": lambda row: row.figures.accuracy and row.figures.accuracy.value,
    "sci": lambda row: row.figures.sci_gco2e and row.figures.sci_gco2e.value,
    "routed": lambda row: row.share,
}


def model_rows(deployments: Sequence[Deployment], *, now: datetime) -> list[ModelRow]:
    """Return the figures of deployments and their share of the last week's routed requests. Six queries.

    Their figures are kept until an answer changes.
    """
    key = ("federation.figures", *(one.pk for one in deployments))
    figures = unchanged(key, lambda: _figures_of_each(deployments), kind=dict[int, Figures])
    began_at = (now - timedelta(days=ROUTED_DAYS)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    routed = _routed_since(began_at)
    total = sum(routed.values())
    return [ModelRow(one, figures[one.pk], routed[one.pk], total) for one in deployments]


def _figures_of_each(deployments: Sequence[Deployment]) -> dict[int, Figures]:
    answers = _answers({deployment.language_model_id for deployment in deployments})
    by_model: dict[int, list[CountedAnswers]] = defaultdict(list)
    for answer in answers:
        by_model[answer.language_model_id].append(answer)
    return {one.pk: _figures(by_model[one.language_model_id], one.pk) for one in deployments}


def figures_by_category(deployment: Deployment) -> list[tuple[str, Figures]]:
    """Return a deployment's figures in each category, and over all of them last (named empty). Four queries.

    They are kept until an answer changes.
    """
    return unchanged(
        ("federation.figures_by_category", deployment.pk),
        lambda: _by_category(deployment),
        kind=list[tuple[str, Figures]],
    )


def _by_category(deployment: Deployment) -> list[tuple[str, Figures]]:
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


def in_listed_order(deployments: Sequence[Deployment], sorting: Sorting, *, now: datetime) -> Sequence[Deployment]:
    """Return deployments sorted by one of `COLUMNS`, those without the figure last; six queries where one is named."""
    if not sorting.name:
        return deployments
    return [row.deployment for row in sorted_rows(model_rows(deployments, now=now), sorting, COLUMNS)]


def servers_with_counts() -> list[InferenceServer]:
    """Return every server with `model_count`, the number of its deployments that are not retired."""
    serving = Count("deployments", filter=~Q(deployments__state=Deployment.State.RETIRED))
    real = InferenceServer.objects.exclude(deployments__study_targets__study__kind=Study.Kind.IMPORTED)
    return list(real.select_related("machine").annotate(model_count=serving).order_by("name"))


def studies_of(deployment: Deployment) -> list[Study]:
    """Return the studies that ask a deployment, the latest first, each with how many answers are finished."""
    of_study = AnswerTally.objects.filter(study_id=OuterRef("pk"), deployment_id=deployment.pk, state="finished")
    summed = of_study.order_by().values("study_id").annotate(n=Sum("answer_count")).values("n")
    found = Study.objects.filter(targets__deployment=deployment)
    found = found.annotate(finished_count=Coalesce(Subquery(summed, output_field=IntegerField()), 0))
    return list(found.order_by(F("started_at").desc(nulls_last=True), "-pk")[:50])


def index_in_use() -> PromptIndex | None:
    """Return the index that the router uses, None where none has been built."""
    return PromptIndex.objects.select_related("embedder", "measurement").filter(state=PromptIndex.State.CURRENT).first()


def _routed_since(moment: datetime) -> Counter[int]:
    """Count what the router chose for prompts of people since a full hour; named or only asked about does not count.

    All decisions are counted already; the few for prompts of chat clients themselves are looked up and taken off.
    """
    hours = DecisionHour.objects.filter(began_at__gte=moment, is_live=True).exclude(reason__in=_NOT_OF_PEOPLE)
    sent = GatewayRequest.objects.filter(started_at__gte=moment - _LONGEST_DECISION).exclude(background_task="")
    of_clients = RoutingDecision.objects.filter(decided_at__gte=moment, request__in=sent.values("pk"))
    of_clients = of_clients.exclude(reason__in=_NOT_OF_PEOPLE)
    routed = Counter(dict(hours.values_list("chosen_id").annotate(n=Sum("decision_count")).order_by()))
    routed.subtract(dict(of_clients.values_list("chosen_id").annotate(n=Count("pk")).order_by()))
    return +routed


def _answers(language_model_ids: Iterable[int]) -> list[CountedAnswers]:
    """Return the finished answers of models as they are counted, in three queries."""
    own = Deployment.objects.filter(language_model_id__in=list(language_model_ids)).values_list("pk", flat=True)
    return answers_counted(tallied(AnswerTally.objects.filter(deployment_id__in=own)))


def _figures(answers: Sequence[CountedAnswers], deployment_id: int) -> Figures:
    right = sum(one.answer_count for one in answers if one.verdict == Verdict.CORRECT)
    judged = [one for one in answers if one.verdict in {Verdict.CORRECT, Verdict.INCORRECT}]
    own = [answer for answer in answers if answer.deployment_id == deployment_id]
    scored = [answer for answer in own if answer.sci.n]
    quality = next((one for one in QUALITIES_IN_ORDER if any(answer.quality == one for answer in scored)), "missing")
    return Figures(
        answer_count=sum(one.answer_count for one in own),
        accuracy=share_interval(right, sum(one.answer_count for one in judged)),
        sources=tuple(sorted({one.verdict_source for one in judged})),
        sci_gco2e=Masses.together([one.sci for one in scored if one.quality == quality]).mean,
        quality=quality,
    )
