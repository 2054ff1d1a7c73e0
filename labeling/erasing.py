"""Words of people beside their judgements: erased when they, or the answer that they are about, are forgotten."""

from collections.abc import Collection

from django.db.models import QuerySet

from labeling.models import Flag, Grade, Label

ERASED = "(deleted)"


def count_words_of(*, person_id: int) -> int:
    """Return how many comments and reasons a person wrote."""
    return _comments_of(person_id).count() + _reasons_of(person_id).count()


def erase_words_of(*, person_id: int) -> int:
    """Erase the comments and the reasons of flags that a person wrote; what they judged stays. Return how many."""
    return _comments_of(person_id).update(comment="") + _reasons_of(person_id).update(reason=ERASED)


def erase_words_about(*, response_ids: Collection[int]) -> int:
    """Erase what people and graders wrote about answers, which may quote them; verdicts stay. Return how many."""
    comments = Label.objects.filter(response__in=response_ids).exclude(comment="").update(comment="")
    reasons = Flag.objects.filter(response__in=response_ids).exclude(reason=ERASED).update(reason=ERASED)
    grades = Grade.objects.filter(response__in=response_ids).update(reason=ERASED, extracted={})
    return comments + reasons + grades


def _comments_of(person_id: int) -> QuerySet[Label]:
    return Label.objects.filter(labeler_id=person_id).exclude(comment="")


def _reasons_of(person_id: int) -> QuerySet[Flag]:
    return Flag.objects.filter(person_id=person_id).exclude(reason=ERASED)
