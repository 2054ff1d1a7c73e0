"""Who judges what next: answers are held for one person by leases that expire, so that no two judge the same one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import F, QuerySet

from labeling.models import Annotator, Lease, Skip
from labeling.waiting import REQUIRED_JUDGEMENTS, SESSION, QueueFilter, is_waiting

LEASE_DURATION = timedelta(minutes=10)
HELD_COUNT = 3  # the answer on the screen and the next two, which are there before they are needed
_Values = Mapping[str, int | datetime | None]
_ATTEMPTS = 20  # each lost to somebody who claimed the same answer in the same instant

# The innermost part finds what this person may see and takes the first few in their own order; the middle one locks
# the first of these that nobody else is just claiming; the insert takes its slot, or takes over an expired lease.
# A lock alone would not do: a statement sees the leases as they were when it began, and a row that was only locked in
# between is not looked at again. The unique slot decides. NO KEY, so that labels may be stored meanwhile.
_CLAIM = """
WITH candidate AS (
    SELECT response.id, skip.id IS NOT NULL AS was_skipped, hashint8extended(response.id, %(seed)s) AS place
    FROM benchmarks_response AS response
    JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
    LEFT JOIN labeling_skip AS skip ON skip.response_id = response.id AND skip.annotator_id = %(annotator)s
    LEFT JOIN (
        SELECT response_id, count(*) AS count, bool_or(labeler_id = %(annotator)s) AS is_mine
        FROM labeling_label WHERE source = 'person' AND is_current AND voided_at IS NULL GROUP BY response_id
    ) AS judged ON judged.response_id = response.id
    LEFT JOIN (
        SELECT response_id, count(*) FILTER (WHERE expires_at > %(now)s) AS count,
               bool_or(annotator_id = %(annotator)s) AS is_mine
        FROM labeling_lease GROUP BY response_id
    ) AS held ON held.response_id = response.id
    WHERE response.state = 'finished'
      AND (%(study)s::bigint IS NULL OR response.study_id = %(study)s)
      AND (%(category)s::bigint IS NULL OR prompt.category_id = %(category)s)
      AND (skip.id IS NULL OR skip.skipped_at <= %(rested)s)
      AND NOT EXISTS (
          SELECT FROM labeling_flag AS flag WHERE flag.response_id = response.id
          AND (flag.resolution = 'withdrawn' OR flag.resolution = '' AND flag.person_id = %(annotator)s)
      )
      AND judged.is_mine IS NOT TRUE
      AND held.is_mine IS NOT TRUE
      AND coalesce(judged.count, 0) + coalesce(held.count, 0) < %(required)s
    ORDER BY was_skipped, place, response.id
    LIMIT 50
), free AS (
    SELECT response.id
    FROM benchmarks_response AS response
    JOIN candidate ON candidate.id = response.id
    ORDER BY candidate.was_skipped, candidate.place, response.id
    LIMIT 1
    FOR NO KEY UPDATE OF response SKIP LOCKED
), claimed AS (
    INSERT INTO labeling_lease AS lease (response_id, kind, slot, annotator_id, claimed_at, expires_at)
    SELECT free.id, 'judgement',
           (SELECT min(slot) FROM generate_series(1, %(required)s) AS slot WHERE NOT EXISTS (
                SELECT FROM labeling_lease AS other
                WHERE other.response_id = free.id AND other.slot = slot.slot AND other.expires_at > %(now)s
            )),
           %(annotator)s, %(now)s, %(expires)s
    FROM free
    ON CONFLICT (response_id, kind, slot) DO UPDATE
        SET annotator_id = EXCLUDED.annotator_id, claimed_at = EXCLUDED.claimed_at, expires_at = EXCLUDED.expires_at,
            returned_at = NULL
        WHERE lease.expires_at <= EXCLUDED.claimed_at
    RETURNING response_id
)
SELECT (SELECT response_id FROM claimed), EXISTS (SELECT FROM candidate)
"""


@dataclass(frozen=True)
class Reader:
    """One person at the queue: who, in which order, and among which answers."""

    person_id: int
    order_seed: int
    chosen: QueueFilter


def annotator_of(*, person_id: int, fresh_seed: int) -> Annotator:
    """Return what is kept of a person at the queue; at their first visit `fresh_seed` becomes that of their order."""
    annotator, _ = Annotator.objects.get_or_create(person_id=person_id, defaults={"order_seed": fresh_seed})
    return annotator


def hold_answers(
    *, reader: Reader, now: datetime, count: int = HELD_COUNT, required: int = REQUIRED_JUDGEMENTS
) -> list[Lease]:
    """Return the leases of a person, the one to look at first; renew what they hold and claim what is missing."""
    _release_unwanted(reader)
    renew_leases(person_id=reader.person_id, now=now)
    missing = count - Lease.objects.filter(annotator_id=reader.person_id).count()
    while missing > 0 and claim_answer(reader=reader, now=now, required=required) is not None:
        missing -= 1
    return list(
        leases_of(reader.person_id).select_related("response__prompt__category").order_by(
            F("returned_at").desc(nulls_last=True), "claimed_at", "pk"
        )[: max(count, 1)]
    )  # fmt: skip


def claim_answer(*, reader: Reader, now: datetime, required: int = REQUIRED_JUDGEMENTS) -> int | None:
    """Hold the next answer for a person; return its id, None where nothing waits that nobody else holds."""
    values: _Values = {
        "annotator": reader.person_id,
        "seed": reader.order_seed,
        "study": reader.chosen.study.pk if reader.chosen.study else None,
        "category": reader.chosen.category.pk if reader.chosen.category else None,
        "now": now,
        "expires": now + LEASE_DURATION,
        "rested": now - SESSION,
        "required": required,
    }
    for _ in range(_ATTEMPTS):
        try:
            response_id, is_anything_left = _claimed(values)
        except IntegrityError:  # this person's other window took another slot of the same answer
            continue
        if not is_anything_left:
            return None
        if response_id is None:  # somebody else was just claiming it
            continue
        # Somebody may have claimed and judged it since the statement began; a new one sees that.
        if is_waiting(response_id=response_id, required=required):
            return response_id
        release(person_id=reader.person_id, response_id=response_id)
    return None


def renew_leases(*, person_id: int, now: datetime) -> int:
    """Give a person's leases their whole time again, expired ones too if nobody took them; return how many."""
    return leases_of(person_id).update(expires_at=now + LEASE_DURATION)


def release(*, person_id: int, response_id: int) -> bool:
    """Give up a lease; tell whether the person had it."""
    deleted, _ = leases_of(person_id).filter(response_id=response_id).delete()
    return deleted > 0


def skip_answer(*, person_id: int, response_id: int, now: datetime) -> None:
    """Leave an answer for later: free for others at once, for this person after the sitting, and then last."""
    with transaction.atomic():
        release(person_id=person_id, response_id=response_id)
        Skip.objects.update_or_create(
            response_id=response_id, annotator_id=person_id, defaults={"skipped_at": now}
        )  # fmt: skip


def recall_skipped(*, person_id: int, now: datetime) -> int:
    """End the rest of what a person skipped; it comes back to them last. Return how many answers that are."""
    resting = Skip.objects.filter(annotator_id=person_id, skipped_at__gt=now - SESSION)
    return resting.update(skipped_at=now - SESSION)


def return_answer(*, person_id: int, response_id: int, now: datetime, required: int = REQUIRED_JUDGEMENTS) -> bool:
    """Hold one certain answer for a person again, before all others; False where somebody else holds it by now."""
    with transaction.atomic():
        held = Lease.objects.select_for_update().filter(response_id=response_id).order_by("slot")
        others = {lease.slot: lease for lease in held if lease.annotator_id != person_id}
        Lease.objects.filter(response_id=response_id, annotator_id=person_id).delete()
        free = [slot for slot in range(1, required + 1) if slot not in others or others[slot].expires_at <= now]
        if not free:
            return False
        Lease.objects.filter(response_id=response_id, slot=free[0]).delete()
        Lease.objects.create(
            response_id=response_id, slot=free[0], annotator_id=person_id,
            claimed_at=now, expires_at=now + LEASE_DURATION, returned_at=now,
        )  # fmt: skip
    return True


def leases_of(person_id: int) -> QuerySet[Lease]:
    """Return what a person holds, whether it has expired or not."""
    return Lease.objects.filter(annotator_id=person_id)


def _release_unwanted(reader: Reader) -> None:
    """Give up what the filter no longer lets through, so that others need not wait until it expires."""
    held = leases_of(reader.person_id)
    if reader.chosen.is_narrow:
        held.exclude(response__in=reader.chosen.answers()).delete()


def _claimed(values: _Values) -> tuple[int | None, bool]:
    """Run the claim; return the answer it got, and whether there was any to get."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        response_id, is_anything_left = cursor.fetchone()
    return response_id, is_anything_left
