"""Where a prompt goes while it cannot be compared with the known ones: to the fallback model, and the decision says so.

That is while the embedder or the index does not answer. The fallback is the policy's, else the active model that is
most often right on the known prompts, as the rollups count it; a model that nobody has judged comes last.
"""

import logging
import time
from collections.abc import Collection, Sequence

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from benchmarks.inference.base import EmptyPrompt, InferenceError, PromptTooLong, UnsupportedParameter
from benchmarks.models import Prompt
from labeling.models import AnswerTally, Verdict
from router.adjusting import Adjusting, Conditions
from router.embedding import Embedder
from router.index import IndexStoreError, VectorStore
from router.indexing import current_index
from router.lately import lately
from router.length import Asked
from router.models import PolicyVersion, RoutingDecision
from router.overriding import Settled, settle
from router.policy import Candidate, Choice, Evidence, NoCandidate, NoLargerModel
from router.routing import Route, route
from router.spending import within_budget
from router.vectors import UnusableEmbedding
from router.weighing import Readable
from router.wishes import Wish

logger = logging.getLogger(__name__)

FALLING_BACK_POLICY = "fallback"
OUTAGES = (InferenceError, UnusableEmbedding, IndexStoreError)
_OF_THE_PROMPT = (EmptyPrompt, PromptTooLong, UnsupportedParameter)  # another model would not help


def route_or_fall_back(
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
) -> Route:
    """Choose a deployment as `router.routing.route` does, or the fallback where embedder or index are away.

    Raises what that one raises, but for these.
    """
    try:
        return route(
            prompt_text=prompt_text, embedder=embedder, store=store, stay_on_id=stay_on_id, refused_ids=refused_ids,
            wishes=wishes, conditions=conditions, is_patient=is_patient, readable=readable,
        )  # fmt: skip
    except OUTAGES as error:
        if isinstance(error, _OF_THE_PROMPT):
            raise
        logger.warning("a prompt goes to the fallback model: %s", error)
        part = "index" if isinstance(error, IndexStoreError) else "embedder"
    version = lately("policy version", lambda: PolicyVersion.objects.order_by("-pk").first())
    return _fall_back(
        part,
        settle(version=version, wishes=wishes),
        embedder=embedder,
        adjusting=Adjusting.to(conditions or Conditions(Asked.of_prompt(prompt_text))),
        stay_on_id=stay_on_id,
        refused_ids=refused_ids,
    )


def _fall_back(
    part: str,
    settled: Settled,
    *,
    embedder: Embedder,
    adjusting: Adjusting,
    stay_on_id: int | None,
    refused_ids: Collection[int],
) -> Route:
    began = time.perf_counter()
    choice = _choose(part, settled, adjusting, stay_on_id=stay_on_id, refused_ids=refused_ids)
    hour = adjusting.conditions.hour
    choice = choice if hour is None else within_budget(choice, hour)
    return Route(
        chosen=adjusting.deployment(choice.chosen.deployment_id),
        choice=choice,
        policy=FALLING_BACK_POLICY,
        neighbours=(),
        prompts={},
        index=lately(("index", embedder.language_model.pk), lambda: current_index(embedder=embedder)),
        embedding_ms=None,
        search_ms=None,
        choice_ms=(time.perf_counter() - began) * 1000,
        version=settled.version,
        too_long_ids=frozenset(adjusting.too_long),
        intensity=adjusting.intensity_of(choice.chosen.deployment_id, is_intensity_live=False),
    )


def _choose(
    part: str, settled: Settled, adjusting: Adjusting, *, stay_on_id: int | None, refused_ids: Collection[int]
) -> Choice:
    """Choose the fallback among the models that can answer.

    Raises:
        NoCandidate: no model is active.
        NoLargerModel: every one of them has been refused.
        PromptTooLong, NobodyAble: none of them can hold, or do, what is asked.
    """
    if not adjusting.facts:
        raise NoCandidate("No active model can be chosen; activate one with manage.py activate_model.")
    known = _known_of(adjusting)
    able = [one for one in known if one.deployment_id not in adjusting.too_long]
    if not able:
        raise adjusting.refusal()
    left = [one for one in able if one.deployment_id not in refused_ids]
    if not left:
        raise NoLargerModel("Every model that could answer this has been refused.")
    wanted = [stay_on_id, settled.effective.fallback_id]
    chosen = next((one for key in wanted for one in left if one.deployment_id == key), left[0])
    explanation = (
        f"The {part} does not answer, so the prompt could not be compared with the known ones: it went to "
        f"{chosen.model}, {_why(chosen, stay_on_id, settled.effective.fallback_id)}."
    )
    nothing = f"Nothing could be compared: the {part} is away."
    candidates = tuple(
        Candidate(one, one is chosen, adjusting.too_long.get(one.deployment_id, nothing)) for one in known
    )
    return Choice(chosen, RoutingDecision.Reason.DEGRADED.value, explanation, candidates)


def _why(chosen: Evidence, stay_on_id: int | None, fallback_id: int | None) -> str:
    if chosen.deployment_id == stay_on_id:
        return "on which the conversation stays"
    if chosen.deployment_id == fallback_id:
        return "the fallback of the policy"
    if chosen.p is None:
        return "the first of the active models, of which nobody has judged any"
    return f"the model that is most often right on the known prompts ({100 * chosen.p:.0f} % of {chosen.label_count})"


def _known_of(adjusting: Adjusting) -> list[Evidence]:
    """Return every active model, the most accurate first. One query."""
    judged = AnswerTally.objects.filter(deployment_id__in=list(adjusting.facts), role=Prompt.Role.TRAIN)
    counts = judged.order_by().values("deployment_id").annotate(
        right=Coalesce(Sum("answer_count", filter=Q(verdict=Verdict.CORRECT)), 0),
        wrong=Coalesce(Sum("answer_count", filter=Q(verdict=Verdict.INCORRECT)), 0),
    )  # fmt: skip
    known = {one["deployment_id"]: (int(one["right"]), int(one["right"] + one["wrong"])) for one in counts}

    def evidence(key: int, model: str) -> Evidence:
        right, count = known.get(key, (0, 0))
        return Evidence(
            deployment_id=key, model=model, sci_gco2e=None, quality="missing", is_correct=None, response_count=0,
            p=right / count if count else None, label_count=count,
        )  # fmt: skip

    found = [evidence(key, one.deployment.language_model.name) for key, one in adjusting.facts.items()]
    return sorted(found, key=lambda one: (one.p is None, -(one.p or 0.0), one.model, one.deployment_id))
