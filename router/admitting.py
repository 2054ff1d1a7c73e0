"""Whether a model is known well enough to be chosen, and the step that lets the router choose it."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from benchmarks.federating import change_state
from benchmarks.models import Deployment, LanguageModel, Response, Study
from labeling.verdicts import UNDECIDED, Decision, verdicts_of
from router.joining import CannotEvaluate, close_evaluation
from router.models import PromptIndex


class NotJudged(RuntimeError):
    """Answers wait for a verdict that nobody said could be gone without."""


@dataclass(frozen=True)
class Standing:
    """How much of the known prompts a deployment has answered, and how much of that is judged."""

    known_count: int
    answered_count: int
    judged_count: int

    @property
    def unjudged_count(self) -> int:
        """Return how many of its answers wait for a verdict."""
        return self.answered_count - self.judged_count


def standing_of(deployment: Deployment) -> Standing:
    """Count what a deployment has answered of the known prompts, and how much of it is judged. Three queries."""
    index = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).first()
    if index is None:
        return Standing(0, 0, 0)
    answers = list(
        Response.objects.finished()
        .filter(deployment=deployment, prompt__index_entries__index=index)
        .exclude(study__kind=Study.Kind.ROUTER)
        .values_list("pk", "prompt_id")
    )
    verdicts = verdicts_of(pk for pk, _ in answers)
    judged = {pk for pk, _ in answers if _is_judged(verdicts.get(pk, UNDECIDED))}
    return Standing(index.prompt_count, len(answers), len(judged))


def _is_judged(verdict: Decision) -> bool:
    return verdict.is_adjudicated or verdict.is_correct is not None


def activate_judged(*, deployment: Deployment, accepted_count: int, now: datetime) -> None:
    """Let the router choose a model whose answers are judged, or all but as many as an admin accepts unjudged.

    Raises:
        NotJudged: more answers wait for a verdict than were accepted.
        CannotEvaluate: it embeds prompts.
        RouterIsNoModel: it is a router, or of imported outcomes.
    """
    if deployment.language_model.purpose != LanguageModel.Purpose.CHAT:
        raise CannotEvaluate(f"{deployment} embeds prompts; the router has nothing to choose it for.")
    unjudged_count = standing_of(deployment).unjudged_count
    if unjudged_count > accepted_count:
        raise NotJudged(
            f"{unjudged_count} answers of {deployment} to known prompts are not judged. Have them judged, or say that "
            f"it shall be active with {unjudged_count} of them missing."
        )
    with transaction.atomic():
        change_state(deployment=deployment, state=Deployment.State.ACTIVE, now=now)
        close_evaluation(deployment=deployment, now=now)
