"""What the active deployments did on known prompts: their verdicts and SCI, read from Postgres."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.models import Deployment, Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of
from router.policy import QUALITIES_IN_ORDER, Evidence


@dataclass(frozen=True)
class _Outcome:
    language_model_id: int
    deployment_id: int
    sci_gco2e: float | None
    quality: str
    is_correct: bool | None


def evidence_on(prompt_ids: Iterable[int]) -> dict[int, list[Evidence]]:
    """Return, for each known prompt, one piece of evidence per active deployment.

    Verdicts belong to the language model, so that any of its deployments' answers counts (the majority; a tie
    counts for neither). SCI belongs to the deployment: the mean over its responses of the best quality it has.
    """
    wanted = list(prompt_ids)
    active = list(Deployment.objects.active().select_related("language_model").order_by("language_model__name", "pk"))
    outcomes = _outcomes(wanted, {deployment.language_model_id for deployment in active})
    return {
        prompt_id: [_evidence(deployment, outcomes.get(prompt_id, [])) for deployment in active] for prompt_id in wanted
    }


def _outcomes(prompt_ids: list[int], language_model_ids: set[int]) -> dict[int, list[_Outcome]]:
    rows = list(
        Response.objects.finished()
        .filter(prompt_id__in=prompt_ids, deployment__language_model_id__in=language_model_ids)
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
    outcomes: dict[int, list[_Outcome]] = defaultdict(list)
    for response_id, prompt_id, model_id, deployment_id, sci, quality in rows:
        is_correct = verdicts.get(response_id, UNDECIDED).is_correct
        outcomes[prompt_id].append(_Outcome(model_id, deployment_id, sci, quality or "missing", is_correct))
    return outcomes


def _evidence(deployment: Deployment, outcomes: list[_Outcome]) -> Evidence:
    of_model = [outcome for outcome in outcomes if outcome.language_model_id == deployment.language_model_id]
    right = sum(outcome.is_correct is True for outcome in of_model)
    wrong = sum(outcome.is_correct is False for outcome in of_model)
    of_deployment = [
        outcome for outcome in of_model if outcome.deployment_id == deployment.pk and outcome.sci_gco2e is not None
    ]
    quality = next(
        (quality for quality in QUALITIES_IN_ORDER if any(outcome.quality == quality for outcome in of_deployment)),
        "missing",
    )
    costs = [one.sci_gco2e for one in of_deployment if one.quality == quality and one.sci_gco2e is not None]
    return Evidence(
        deployment_id=deployment.pk,
        model=deployment.language_model.name,
        sci_gco2e=sum(costs) / len(costs) if costs else None,
        quality=quality,
        is_correct=None if right == wrong else right > wrong,
        response_count=len(of_model),
        sci_count=len(costs),
    )
