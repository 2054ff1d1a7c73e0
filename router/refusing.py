"""A person finds an answer of the chat not good enough: which answers can be refused, and what they have cost."""

from django.db.models import Max

from router.answering import Refused
from router.checking.base import Checked
from router.checking.person import PersonChecker
from router.models import Conversation, Message
from router.steps import Step, steps_from_json


class AnswerStands(ValueError):
    """This answer cannot be refused; the message tells why and what to do."""


def refusable_answer(*, conversation: Conversation, answer_id: int) -> Message:
    """Return the answer that a person refuses: the latest turn of its branch, whole, and not refused before.

    Raises:
        AnswerStands: it is none of these.
    """
    turns = conversation.messages.select_related(
        "parent", "request__decision__chosen__language_model", "request__decision__category"
    )
    tip_id = Conversation.objects.values_list("tip_id", flat=True).get(pk=conversation.pk)
    latest = turns.filter(pk=tip_id).first() if tip_id else turns.order_by("pk").last()
    if latest is None or latest.pk != answer_id or latest.role != Message.Role.ASSISTANT:
        raise AnswerStands("The conversation has gone on since this answer. Reload the page; its latest answer counts.")
    if latest.state != Message.State.COMPLETE or latest.refused_at is not None:
        raise AnswerStands("Only a whole answer can be replaced. Send the prompt again instead.")
    if latest.request is None or not hasattr(latest.request, "decision"):
        raise AnswerStands("It is not known any more which model gave this answer. Pick a model and ask again.")
    return latest


def refused_runs(refused: Message) -> Refused:
    """Return an answer's request with every run that led to it: those refused before it, and its own."""
    request = refused.request
    if request is None:
        raise AnswerStands("It is not known any more which model gave this answer. Pick a model and ask again.")
    decision, person = request.decision, PersonChecker()
    category = decision.category.name if decision.category else ""
    prompt = refused.parent.text if refused.parent else ""
    found = person.check(Checked(prompt, category, refused.text, is_refused=True))
    steps = steps_from_json(decision.steps)
    discarded = [step.attempt_number for step in steps if step.request_id == request.public_id]
    attempts = request.attempts.exclude(number__in=discarded)
    own = Step(
        request_id=request.public_id,
        attempt_number=attempts.aggregate(latest=Max("number"))["latest"] or 1,
        deployment_id=decision.chosen_id,
        model=decision.chosen.language_model.name,
        checker=person.name,
        reason=found.reason,
        sci_gco2e=decision.predicted_sci_gco2e,
        quality=decision.predicted_quality or "missing",
    )
    return Refused(request, (*steps, own))
