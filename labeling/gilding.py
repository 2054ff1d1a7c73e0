"""Gold answers: their verdict is known, and people are measured by them without knowing which they are."""

from datetime import datetime

from django.db import transaction

from benchmarks.models import Response
from labeling.models import GoldAnswer, Label, Verdict
from labeling.verdicts import UNDECIDED, Decision, verdicts_of

LONGEST_REASON = 1000


class GoldRefused(ValueError):
    """The answer cannot be gold; the message says why, and what would help."""


def set_gold(*, response_id: int, verdict: Verdict, reason: str, person_id: int) -> GoldAnswer:
    """Make an answer gold. Where its verdict is not that yet, the person settles it by that, as an adjudicator.

    Raises:
        GoldRefused: it is not finished, is gold already, was settled otherwise, or the person read it themselves.
    """
    if verdict is Verdict.UNSURE:
        raise GoldRefused("A gold answer is correct or incorrect; an unsure one measures nobody.")
    if not reason.strip():
        raise GoldRefused("Say why the answer is right or wrong: whoever disagrees with it will ask.")
    with transaction.atomic():
        response = Response.objects.select_for_update(no_key=True).finished().filter(pk=response_id).first()
        if response is None:
            raise GoldRefused(f"There is no finished answer {response_id}. Its number stands in its page's address.")
        if GoldAnswer.objects.filter(response=response, retired_at__isnull=True).exists():
            raise GoldRefused("This answer is gold already. Retire it first to say otherwise.")
        decision = verdicts_of([response_id]).get(response_id, UNDECIDED)
        if not _says(decision, verdict):
            _settle(response, decision, verdict, reason.strip()[:LONGEST_REASON], person_id)
        return GoldAnswer.objects.create(
            response=response, verdict=verdict, reason=reason.strip()[:LONGEST_REASON], set_by_id=person_id
        )


def retire_gold(*, gold_id: int, now: datetime) -> None:
    """Show an answer as gold no more; what was said of it stays.

    Raises:
        GoldRefused: it is retired already.
    """
    if not GoldAnswer.objects.filter(pk=gold_id, retired_at__isnull=True).update(retired_at=now):
        raise GoldRefused("This gold answer is retired already.")


def _says(decision: Decision, verdict: Verdict) -> bool:
    is_of_people = decision.source == Label.Source.PERSON and not decision.is_provisional
    return is_of_people and decision.is_correct is (verdict is Verdict.CORRECT)


def _settle(response: Response, decision: Decision, verdict: Verdict, reason: str, person_id: int) -> None:
    if decision.is_adjudicated:
        raise GoldRefused("An adjudicator settled this answer otherwise, so that it is no clear case.")
    if Label.objects.by(person_id).judgements().filter(response=response).exists():
        raise GoldRefused(
            "You have read this answer yourself, and its verdict is not that yet. Somebody else must make it gold."
        )
    Label.objects.create(
        response=response,
        verdict=verdict,
        source=Label.Source.PERSON,
        kind=Label.Kind.ADJUDICATION,
        labeler_id=person_id,
        comment=reason,
    )
