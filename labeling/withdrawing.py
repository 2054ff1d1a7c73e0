"""Take an import of outcomes back, without what people have said on top of it since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, Model, OuterRef, ProtectedError, Q, QuerySet

from benchmarks.models import Response, Study
from benchmarks.outcomes import Discarded, discard_answers, discard_study
from benchmarks.studying import StudyError
from labeling.models import Correction, EvidenceLook, Flag, GoldAnswer, Grade, Label, Lease, Skip

_WHY = "The import of these outcomes was taken back."
# what may stand on an answer beside labels; one row of it, and the answer stays
_ON_TOP: tuple[type[Model], ...] = (GoldAnswer, Flag, Grade, Skip, EvidenceLook, Lease)


@dataclass(frozen=True)
class Withdrawal:
    """What taking an import back takes away, and what stays because something came on top of it.

    Of answers that stay the label that the import brought is voided, with its reason; what they cost stays with them.
    """

    study: Study
    answer_count: int
    label_count: int
    kept_answer_count: int
    kept_label_count: int
    voided_label_count: int
    correction_count: int
    discarded: Discarded | None = None  # None: the study stays, or nothing was done yet

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing came on top, so that the study goes too."""
        return self.kept_answer_count == 0 and self.correction_count == 0


def foresee_withdrawal(*, study: Study) -> Withdrawal:
    """Return what taking an import back would take away, without doing it.

    Raises:
        StudyError: the study was not made of outcomes.
    """
    _require_outcomes(study)
    brought, kept = _brought(study), _kept(study)
    on_kept = brought.filter(response__in=kept)
    kept_count, voided_count = kept.count(), on_kept.count()
    return Withdrawal(
        study=study,
        answer_count=study.responses.count() - kept_count,
        label_count=brought.count() - voided_count,
        kept_answer_count=kept_count,
        kept_label_count=Label.objects.filter(response__in=kept).count() - voided_count,
        voided_label_count=voided_count,
        correction_count=Correction.objects.filter(study=study).count(),
    )


def withdraw_outcomes(*, study: Study, now: datetime) -> Withdrawal:
    """Take an import back, in one transaction; where something came on top of it, that and its answers stay.

    Raises:
        StudyError: the study was not made of outcomes, or somebody judged one of its answers meanwhile.
    """
    try:
        with transaction.atomic():
            locked = Study.objects.select_for_update().get(pk=study.pk)
            found = foresee_withdrawal(study=locked)
            kept_ids = list(_kept(locked).values_list("pk", flat=True))
            _void(locked, kept_ids, now)
            _brought(locked).exclude(response__in=kept_ids).delete()
            discard_answers(study=locked, kept_ids=kept_ids, now=now)
            discarded = discard_study(study=locked) if found.is_whole else None
    except ProtectedError as error:
        raise StudyError(
            f"Somebody said something of an answer of {study} just now, so that nothing was taken back; try again."
        ) from error
    return Withdrawal(**{**vars(found), "discarded": discarded})


def _require_outcomes(study: Study) -> None:
    if study.kind != Study.Kind.IMPORTED or "outcomes" not in study.imported_from:
        raise StudyError(f"{study} was not made by import_outcomes; only such a study can be taken back.")


def _brought(study: Study) -> QuerySet[Label]:
    """Return the labels that the import brought and nobody has touched: of each answer the first, as it was stored."""
    earlier = Label.objects.filter(response=OuterRef("response"), pk__lt=OuterRef("pk"))
    return Label.objects.filter(
        ~Exists(earlier),
        response__study=study,
        source=Label.Source.IMPORTED,
        labeler=None,
        comment="",
        external_id="",
        score__isnull=False,
        is_current=True,
        voided_at=None,
        correction=None,
        superseded_by=None,
    )


def _kept(study: Study) -> QuerySet[Response]:
    """Return the answers on which something stands that the import did not bring."""
    labels = Label.objects.filter(response=OuterRef("pk")).exclude(pk__in=_brought(study).values("pk"))
    something = Q(Exists(labels))
    for model in _ON_TOP:
        something |= Q(Exists(model._default_manager.filter(response=OuterRef("pk"))))
    return Response.objects.filter(something, study=study)


def _void(study: Study, kept_ids: Sequence[int], now: datetime) -> None:
    _brought(study).filter(response__in=kept_ids).update(voided_at=now, void_reason=_WHY)
