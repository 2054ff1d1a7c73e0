"""Flags: a person says that an answer cannot be judged as it stands, and an admin decides what becomes of it."""

from datetime import datetime

from django.db import transaction

from labeling.models import Flag, Lease

LONGEST_REASON = 1000


class FlagNotOpen(ValueError):
    """The flag is gone, or somebody has resolved it already."""


def flag_answer(*, person_id: int, response_id: int, reason: str, now: datetime) -> Flag:
    """Flag an answer: it rests for this person until an admin looks into it, and is free for others at once.

    Flagging it again replaces the reason of the open flag.
    """
    with transaction.atomic():
        flag, _ = Flag.objects.update_or_create(
            response_id=response_id,
            person_id=person_id,
            resolution="",
            defaults={"reason": reason[:LONGEST_REASON]},
            create_defaults={"reason": reason[:LONGEST_REASON], "created_at": now},
        )
        Lease.objects.filter(response_id=response_id, annotator_id=person_id).delete()
    return flag


def resolve_flag(*, flag_id: int, person_id: int, resolution: Flag.Resolution, now: datetime) -> Flag:
    """Resolve a flag: a kept answer comes back to its flagger too, a withdrawn one is taken from everybody.

    Raises:
        FlagNotOpen: there is no open flag of that number.
    """
    with transaction.atomic():
        flag = Flag.objects.select_for_update().filter(pk=flag_id, resolution="").first()
        if flag is None:
            raise FlagNotOpen("This flag was resolved already, or is gone.")
        flag.resolution, flag.resolved_at, flag.resolved_by_id = resolution.value, now, person_id
        flag.save(update_fields=["resolution", "resolved_at", "resolved_by"])
        if resolution is Flag.Resolution.WITHDRAWN:
            Lease.objects.filter(response_id=flag.response_id).delete()
    return flag
