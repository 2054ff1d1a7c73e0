"""What RQ runs to evaluate or tune policies; a page starts it and watches the row."""

import logging
from functools import partial

from django.conf import settings
from django.utils import timezone
from rq import Queue

from benchmarks.federating import NoEmbedder
from benchmarks.inference.base import InferenceError
from benchmarks.models import Study
from benchmarks.queueing import impatient_connection
from router.assessing import NothingJudged, outcomes_of_study
from router.cascading import rates_by_name
from router.embedding import Embedder
from router.estimate import UnusableOutcomes
from router.evaluation.own_cost import OwnCost
from router.models import Evaluation
from router.own_energy import own_cost_per_prompt
from router.remembered import RememberedEmbedder
from router.reporting import NothingToTune, Plan, TuningPlan, draw_up, propose
from router.vectors import UnusableEmbedding
from router.wiring import embedder

logger = logging.getLogger(__name__)

_TIMEOUT_S = 6 * 3600
_TOLD = (NoEmbedder, InferenceError, UnusableEmbedding, NothingJudged, UnusableOutcomes, NothingToTune)


def make_evaluation(evaluation_id: int) -> None:
    """Make an evaluation or a tuning that waits; what fails stands on its row. One that is done is left alone."""
    found = Evaluation.objects.select_related("study").get(pk=evaluation_id)
    if not found.is_under_way:
        return
    found.begin(timezone.now())
    try:
        found.finish(_report(found), timezone.now())
    except _TOLD as error:
        found.fail(str(error), timezone.now())
    except Exception as error:
        logger.exception("evaluation %s broke off", evaluation_id)
        found.fail(f"It broke off: {type(error).__name__}. The log of the worker has the whole of it.", timezone.now())


def start_evaluation(*, kind: str, study: Study, plan: dict[str, object], made_by_id: int | None) -> Evaluation:
    """Make the row of an evaluation and have the worker make it. Only interfaces call this.

    Raises:
        RedisError: the queue cannot be reached; the row says so.
    """
    made = Evaluation.objects.create(
        kind=kind, study=study, outcomes=study.name, plan=plan, made_by_id=made_by_id, created_at=timezone.now()
    )
    try:
        with impatient_connection() as connection:
            Queue("default", connection=connection).enqueue(
                make_evaluation, made.pk, job_id=f"evaluation-{made.pk}", job_timeout=_TIMEOUT_S, result_ttl=0,
                failure_ttl=86_400,
            )  # fmt: skip
    except Exception:
        made.fail("The queue of jobs could not be reached, so that nothing was begun.", timezone.now())
        raise
    return made


def _report(found: Evaluation) -> dict[str, object]:
    if found.study is None:
        raise NothingJudged("The study has been deleted meanwhile; start an evaluation of another one.")
    outcomes = outcomes_of_study(found.study, embedded_text=settings.EMBEDDED_TEXT)
    asked = embedder()
    remembered = RememberedEmbedder(asked, folder=settings.VAR_DIR / "index")
    own_cost = partial(_own_cost, asked)

    def tell(stage: str, done: int, total: int) -> None:
        found.tell(stage, done, total, timezone.now())

    if found.kind == Evaluation.Kind.TUNING:
        asked_for = TuningPlan(**found.plan)
        return propose(
            outcomes, plan=asked_for, embedder=remembered, own_cost=own_cost, tell=tell, rates_of=rates_by_name
        ).as_json()  # fmt: skip
    plan = Plan.from_json(found.plan)
    return draw_up(
        outcomes, plan=plan, embedder=remembered, own_cost=own_cost, tell=tell, rates_of=rates_by_name
    ).as_json()  # fmt: skip


def _own_cost(asked: Embedder, unit: str) -> OwnCost:
    return own_cost_per_prompt(embedder=asked.language_model, unit=unit)
