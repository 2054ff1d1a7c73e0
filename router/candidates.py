"""What the active deployments did on known prompts: their verdicts and SCI, read from Postgres, the one way for all."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from benchmarks.models import Deployment, Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of
from router.policy import MISSING, QUALITIES_IN_ORDER, Evidence


@dataclass
class Tally:
    """How many answers of one model to one prompt there are, and how many of them were judged right and wrong."""

    answers: int = 0
    right: int = 0
    wrong: int = 0

    @property
    def judged(self) -> int:
        """Return how many answers have a verdict."""
        return self.right + self.wrong

    @property
    def is_correct(self) -> bool | None:
        """Return the verdict of most answers; a tie counts for neither."""
        return None if self.right == self.wrong else self.right > self.wrong


@dataclass
class Cost:
    """The SCI of one deployment's answers to one prompt, of one quality, in gCO2e."""

    total_gco2e: float = 0.0
    count: int = 0

    @property
    def mean_gco2e(self) -> float:
        """Return the mean SCI of an answer."""
        return self.total_gco2e / self.count


@dataclass(frozen=True)
class Outcomes:
    """What was asked for: active deployments by name, verdicts by (prompt, model), SCI by (prompt, deployment).

    Verdicts belong to the language model, so that any of its deployments' answers counts. SCI belongs to the
    deployment, and stands apart by the quality of its energy.
    """

    deployments: tuple[Deployment, ...]
    tallies: Mapping[tuple[int, int], Tally]
    costs: Mapping[tuple[int, int], Mapping[str, Cost]]


def outcomes_on(prompt_ids: Iterable[int], *, among: QuerySet[Deployment] | None = None) -> Outcomes:
    """Read what the active deployments, or those of `among`, did on known prompts, in three queries.

    What a router answered is left out.
    """
    asked = Deployment.objects.active() if among is None else among
    active = tuple(asked.select_related("language_model").order_by("language_model__name", "pk"))
    rows = list(
        Response.objects.finished()
        .filter(
            prompt_id__in=prompt_ids,
            deployment__language_model_id__in={deployment.language_model_id for deployment in active},
        )
        .exclude(study__kind=Study.Kind.ROUTER)  # what the router answered is no model's own
        .order_by("pk")
        .values_list(
            "pk",
            "prompt_id",
            "deployment__language_model_id",
            "deployment_id",
            "measurement__sci_gco2e",
            "measurement__quality",
        )
    )
    verdicts = verdicts_of(row[0] for row in rows)
    tallies: dict[tuple[int, int], Tally] = defaultdict(Tally)
    costs: dict[tuple[int, int], dict[str, Cost]] = defaultdict(lambda: defaultdict(Cost))
    for response_id, prompt_id, model_id, deployment_id, sci, quality in rows:
        is_correct = verdicts.get(response_id, UNDECIDED).is_correct
        tally = tallies[prompt_id, model_id]
        tally.answers += 1
        tally.right += is_correct is True
        tally.wrong += is_correct is False
        if sci is not None and quality in QUALITIES_IN_ORDER:
            cost = costs[prompt_id, deployment_id][quality]
            cost.total_gco2e += sci
            cost.count += 1
    return Outcomes(active, dict(tallies), {key: dict(given) for key, given in costs.items()})


def evidence_on(prompt_ids: Iterable[int]) -> dict[int, list[Evidence]]:
    """Return, for each known prompt, one piece of evidence per active deployment.

    The verdict is that of most of the model's answers there; the SCI is the mean over the deployment's responses of
    the best quality it has on that prompt.
    """
    wanted = list(prompt_ids)
    outcomes = outcomes_on(wanted)
    return {
        prompt_id: [_evidence(deployment, outcomes, prompt_id) for deployment in outcomes.deployments]
        for prompt_id in wanted
    }


def best_quality(qualities: Iterable[str]) -> str:
    """Return the best kind of energy among those of one deployment; missing where it has none."""
    has = set(qualities)
    return next((quality for quality in QUALITIES_IN_ORDER if quality in has), MISSING)


def _evidence(deployment: Deployment, outcomes: Outcomes, prompt_id: int) -> Evidence:
    tally = outcomes.tallies.get((prompt_id, deployment.language_model_id), Tally())
    costs = outcomes.costs.get((prompt_id, deployment.pk), {})
    quality = best_quality(costs)
    cost = costs.get(quality)
    return Evidence(
        deployment_id=deployment.pk,
        model=deployment.language_model.name,
        sci_gco2e=cost.mean_gco2e if cost else None,
        quality=quality,
        is_correct=tally.is_correct,
        response_count=tally.answers,
        sci_count=cost.count if cost else 0,
    )
