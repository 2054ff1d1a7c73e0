"""Put a tuned policy into force, and take an earlier version back: each as a version of its own; none is lost."""

from django.db import transaction

from router.models import Evaluation, PolicyVersion
from router.overriding import UNTUNED

_OWN_FIELDS = {"id", "note", "made_by", "created_at"}  # of a version; all others are what it says
# what a tuning says nothing of: it stays as the version before it had it
_UNTOUCHED = ("is_open", "most_sci_price", "least_accuracy_floor", "is_intensity_live", "prompts_per_load")
_NOTE_LENGTH = PolicyVersion._meta.get_field("note").max_length or 200


class NothingToRestore(LookupError):
    """There is no earlier version, or none of that number."""


class NotAProposal(ValueError):
    """An evaluation that is no finished tuning cannot be put into force."""


def put_into_force(*, evaluation_id: int, made_by_id: int | None) -> PolicyVersion:
    """Make the version that a finished tuning proposes; a second time returns the one that was made.

    What callers may set and how costs are predicted stay as they were in force.

    Raises:
        NotAProposal: it is no tuning, or has not finished.
    """
    with transaction.atomic():
        found = Evaluation.objects.select_for_update(of=("self",)).get(pk=evaluation_id)
        if found.version is not None:
            return found.version
        if found.kind != Evaluation.Kind.TUNING or found.state != Evaluation.State.FINISHED or found.report is None:
            raise NotAProposal(f"{found} is no finished tuning, so that there is nothing to put into force.")
        tuning = found.report["tuning"]
        former = PolicyVersion.objects.order_by("-pk").first()
        found.version = PolicyVersion.objects.create(
            policy=tuning["policy"],
            estimator=tuning.get("estimator", PolicyVersion.Estimator.NEIGHBOURS),  # what it was tuned with
            **{tuning["parameter"]: tuning["value"]},
            **({name: getattr(former, name) for name in _UNTOUCHED} if former else {}),
            note=_note(found),
            made_by_id=made_by_id,
        )
        found.save(update_fields=["version"])
    return found.version


def roll_back(*, version_id: int | None, made_by_id: int | None) -> PolicyVersion:
    """Make a former version the latest again, as a version of its own: the one before the latest, or that of a number.

    Raises:
        NothingToRestore: there is none.
    """
    with transaction.atomic():
        latest = list(PolicyVersion.objects.select_for_update(of=("self",)).order_by("-pk")[:2])
        if version_id is None:
            if len(latest) < 2:
                raise NothingToRestore(
                    "There is no earlier policy version to go back to. There is "
                    + (f"only {latest[0]}." if latest else f"none yet: the router goes by {UNTUNED.value}.")
                )
            former = latest[1]
        else:
            named = PolicyVersion.objects.filter(pk=version_id).first()
            if named is None:
                raise NothingToRestore(f"There is no policy version {version_id}; /routing/ lists them.")
            former = named
        facts = {
            field.attname: getattr(former, field.attname)
            for field in PolicyVersion._meta.concrete_fields
            if field.name not in _OWN_FIELDS
        }
        return PolicyVersion.objects.create(
            **facts, note=f"Back to version {former.pk}: {former.note}"[:_NOTE_LENGTH].rstrip(": "),
            made_by_id=made_by_id,
        )  # fmt: skip


def _note(tuning: Evaluation) -> str:
    """Return on what it was chosen; the name of the study is cut where it is long."""
    report = tuning.report or {}
    told = report["tuning"]
    end = (
        f" for a loss of at most {told['loss']:g} points, on {told['prompt_count']} prompts to learn from "
        f"(train and calibration, each left out once; seed {report['seed']}); tuning {tuning.pk}"
    )
    begin = f"Tuned on {tuning.outcomes}"
    return begin[: _NOTE_LENGTH - len(end)] + end
