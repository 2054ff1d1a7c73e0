"""Who judges what next: answers are held for one person by leases that expire, so that no two judge the same one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Least

from benchmarks.models import Response
from labeling.listing import claim_values, free_sql, is_due, judged_sql, may_look_sql, renew_list
from labeling.models import Annotator, Label, Lease, Skip
from labeling.reading import READ_COLUMNS, READ_JOINS, loaded, read_answer
from labeling.standing import standing_of, standing_sql
from labeling.waiting import SESSION, QueueFilter, among

LEASE_DURATION = timedelta(minutes=10)
HELD_COUNT = 3  # the answer on the screen and the next two, which are there before they are needed
_WINDOW = 30  # so many answers of the list one claim looks at
_RENEWAL_PAUSE = timedelta(seconds=30)  # leases are not written anew with each vote
_ATTEMPTS = 20  # each lost to somebody who claimed the same answer in the same instant

# Said in SQL, as what follows, since each vote asks it and the ORM takes longer to write it than Postgres to answer.
_ANNOTATOR = "SELECT * FROM labeling_annotator WHERE person_id = %s"
_ANNOTATOR_LOCKED = f"{_ANNOTATOR} FOR NO KEY UPDATE"
# The first answer of the list that this person may have and that nobody else is just claiming or judging. NO KEY, so
# that labels may be stored meanwhile. A negative id is a gold answer or one that they judged long ago: it needs no
# place, and they must not have judged it (again) since.
_PICK = """
SELECT response.id, listed.id < 0, {judged}, listed.place, EXISTS (
    SELECT FROM labeling_lease AS late WHERE late.response_id = response.id AND late.expires_at <= %(now)s
)
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS listed(id, place)
JOIN benchmarks_response AS response ON response.id = abs(listed.id)
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
{standing}
WHERE response.state = 'finished' AND {may_look} AND CASE WHEN listed.id > 0 THEN {free} ELSE NOT EXISTS (
    SELECT FROM labeling_label AS mine WHERE mine.response_id = response.id AND mine.labeler_id = %(person)s
    AND (mine.kind = 'self_check' OR mine.created_at > %(made)s) AND mine.is_current AND mine.voided_at IS NULL
) END
ORDER BY listed.place LIMIT 1
FOR NO KEY UPDATE OF response SKIP LOCKED
"""
# A statement sees the leases and labels as they were when it began, so that what was picked is looked at again by a
# second one under the lock. Votes and claims on one answer take turns by that lock; the unique slot is the last word.
_TAKE = """
INSERT INTO labeling_lease (response_id, kind, slot, annotator_id, claimed_at, expires_at)
SELECT response.id, %(kind)s, CASE WHEN %(is_extra)s THEN NULL ELSE (
           SELECT min(number) FROM generate_series(1, greatest(standing.wanted, 1)) AS number WHERE NOT EXISTS (
               SELECT FROM labeling_lease AS other
               WHERE other.response_id = response.id AND other.kind = %(kind)s AND other.slot = number
           )) END,
       %(person)s, %(now)s, %(expires)s
FROM benchmarks_response AS response
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
{standing}
WHERE response.id = %(response)s AND {may_look} AND (%(is_extra)s OR {free})
ON CONFLICT DO NOTHING
"""
# No lease lasts longer from now than its whole time, but for one that was claimed before the wall clock was set back:
# it would hold its answer until the clock has come that far again. What somebody is just writing is left to them.
_SHORTEN = """
UPDATE labeling_lease SET claimed_at = least(claimed_at, %(now)s), expires_at = %(ends)s
WHERE id IN (SELECT id FROM labeling_lease WHERE expires_at > %(latest)s FOR UPDATE SKIP LOCKED)
"""
_HELD = f"""
SELECT lease.id, lease.kind, lease.claimed_at, {READ_COLUMNS} FROM labeling_lease AS lease
{READ_JOINS}
WHERE lease.annotator_id = %s ORDER BY lease.returned_at DESC NULLS LAST, lease.claimed_at, lease.id LIMIT %s
"""  # noqa: S608 - put together of constants


@dataclass(frozen=True)
class Reader:
    """One person at the queue: who, in which order, and among which answers."""

    person_id: int
    order_seed: int
    chosen: QueueFilter


@dataclass(frozen=True)
class _Picked:
    """An answer of the list that may be had: whether it was mixed in, was judged before, and has expired leases."""

    response_id: int
    is_extra: bool
    was_judged: bool
    place: int
    has_expired: bool


def annotator_of(*, person_id: int, fresh_seed: int, is_locked: bool = False) -> Annotator:
    """Return what is kept of a person at the queue; at their first visit `fresh_seed` becomes that of their order.

    With `is_locked` it is theirs until the transaction ends.
    """
    found = next(iter(Annotator.objects.raw(_ANNOTATOR_LOCKED if is_locked else _ANNOTATOR, [person_id])), None)
    if found is not None:
        return found
    rows = Annotator.objects.select_for_update(no_key=True) if is_locked else Annotator.objects.all()
    annotator, _ = rows.get_or_create(person_id=person_id, defaults={"order_seed": fresh_seed})
    return annotator


def hold_answers(
    *, reader: Reader, now: datetime, count: int = HELD_COUNT, annotator: Annotator | None = None
) -> list[Lease]:
    """Return the leases of a person, the one to look at first; renew what they hold and claim what is missing.

    Who has read the person's row already gives it as `annotator`; its list and counts are then those of now.
    """
    annotator = annotator or annotator_of(person_id=reader.person_id, fresh_seed=reader.order_seed)
    if annotator.list_key != reader.chosen.key:
        _release_unwanted(reader)
    missing = count - _renew_in_time(reader.person_id, now)
    if missing > 0:
        _claim(annotator, reader, now, missing)
    return _held(reader.person_id, max(count, 1))


def _held(person_id: int, count: int) -> list[Lease]:
    """Return the first leases of a person, with what they read of the answers."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [person_id, count])
        rows = cursor.fetchall()
    leases = []
    for lease_id, kind, claimed_at, *answer in rows:
        lease = loaded(
            Lease, id=lease_id, kind=kind, claimed_at=claimed_at, annotator_id=person_id, response_id=answer[0]
        )
        lease.response = read_answer(answer)
        leases.append(lease)
    return leases


def claim_answer(*, reader: Reader, now: datetime) -> int | None:
    """Hold the next answer for a person; return its id, None where nothing waits that nobody else holds."""
    annotator = annotator_of(person_id=reader.person_id, fresh_seed=reader.order_seed)
    claimed = _claim(annotator, reader, now, 1)
    return claimed[0] if claimed else None


def renew_leases(*, person_id: int, now: datetime) -> int:
    """Give a person's leases their whole time again, expired ones too if nobody took them; return how many.

    One that was claimed later than now, because the wall clock was set back since, counts as claimed now.
    """
    return leases_of(person_id).update(claimed_at=Least("claimed_at", Value(now)), expires_at=now + LEASE_DURATION)


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


def return_answer(*, person_id: int, response_id: int, now: datetime, kind: str = Label.Kind.JUDGEMENT.value) -> bool:
    """Hold one certain answer for a person again, before all others; False where it is not theirs to have by now."""
    with transaction.atomic():
        lock_answer(response_id)
        leases_of(person_id).filter(response_id=response_id).delete()
        _drop_expired(response_id, kind, now)
        slot = _free_slot(response_id, kind)
        if slot == 0:
            return False
        Lease.objects.create(
            response_id=response_id, kind=kind, slot=slot, annotator_id=person_id,
            claimed_at=now, expires_at=now + LEASE_DURATION, returned_at=now,
        )  # fmt: skip
    return True


def lock_answer(response_id: int) -> None:
    """Let claims of an answer and votes on it take turns until the transaction ends; its long texts stay unread.

    Raises:
        Response.DoesNotExist: it was deleted meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM benchmarks_response WHERE id = %s FOR NO KEY UPDATE", [response_id])
        if cursor.rowcount != 1:
            raise Response.DoesNotExist


def leases_of(person_id: int) -> QuerySet[Lease]:
    """Return what a person holds, whether it has expired or not."""
    return Lease.objects.filter(annotator_id=person_id)


def _renew_in_time(person_id: int, now: datetime) -> int:
    """Renew a person's leases where some of their time has passed or the clock was set back; return how many."""
    ends = list(leases_of(person_id).values_list("expires_at", flat=True))
    latest = now + LEASE_DURATION
    if any(not latest - _RENEWAL_PAUSE <= end <= latest for end in ends):
        return renew_leases(person_id=person_id, now=now)
    return len(ends)


def _release_unwanted(reader: Reader) -> None:
    """Give up what another filter has left, so that others need not wait until it expires."""
    held, kinds = leases_of(reader.person_id), Q(kind=Label.Kind.ADJUDICATION)
    held.filter(~kinds if reader.chosen.is_adjudication else kinds).delete()
    left = list(held.values_list("response_id", flat=True))
    if left and reader.chosen.is_narrow:
        held.exclude(response_id__in=among(left, chosen=reader.chosen)).delete()


def _claim(annotator: Annotator, reader: Reader, now: datetime, count: int) -> list[int]:
    """Hold up to `count` further answers for a person, from their list; make the list anew where it is used up."""
    annotator.order_seed = reader.order_seed
    is_stale, is_fresh = is_due(annotator, reader.chosen, now), False
    length, claimed = len(annotator.list_ids), list[int]()
    for _ in range(_ATTEMPTS + count):
        if is_stale or (not annotator.list_ids and not is_fresh):
            _shorten_leases(now)
            renew_list(annotator=annotator, chosen=reader.chosen, now=now)
            is_stale, is_fresh, length = False, True, len(annotator.list_ids)
        if not annotator.list_ids or len(claimed) == count:
            break
        response_id = _next_of(annotator, reader.chosen, now)
        if response_id is not None:
            claimed.append(response_id)
        else:
            is_fresh = False  # what stayed may only have been locked for a moment: look at all once more
    _cut_list(annotator, length - len(annotator.list_ids))
    return claimed


def _shorten_leases(now: datetime) -> None:
    """Let leases that were claimed later than now, before the wall clock was set back, end as if claimed now.

    Clocks of several web processes differ a little, so that half a minute too long is left alone.
    """
    ends = now + LEASE_DURATION
    with connection.cursor() as cursor:
        cursor.execute(_SHORTEN, {"now": now, "ends": ends, "latest": ends + _RENEWAL_PAUSE})


def _cut_list(annotator: Annotator, count: int) -> None:
    """Cut the first ids off a stored list; its hundreds of others need not be sent for that."""
    if count > 0:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE labeling_annotator SET list_ids = list_ids[%s:] WHERE id = %s", [count + 1, annotator.pk]
            )


def _next_of(annotator: Annotator, chosen: QueueFilter, now: datetime) -> int | None:
    """Claim the first answer that may be had among the next of a list, and cut the list behind it."""
    window = annotator.list_ids[:_WINDOW]
    values = {**claim_values(annotator.person_id, now), "ids": window, "made": annotator.list_made_at}
    with transaction.atomic(savepoint=False):
        picked = _pick(chosen, values)
        is_taken = picked is not None and _take(picked, chosen, values)
    annotator.list_ids = annotator.list_ids[picked.place if picked is not None else len(window) :]
    return picked.response_id if picked is not None and is_taken else None


def _pick(chosen: QueueFilter, values: dict[str, Any]) -> _Picked | None:
    query = _PICK.format(
        standing=standing_sql(of_all=False), may_look=may_look_sql(), free=free_sql(chosen), judged=judged_sql()
    )
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        row = cursor.fetchone()
    return _Picked(*row) if row else None


def _take(picked: _Picked, chosen: QueueFilter, values: dict[str, Any]) -> bool:
    """Store the lease of what was picked and is locked; tell whether it was still to be had."""
    kind = Label.Kind.SELF_CHECK.value if picked.is_extra and picked.was_judged else chosen.kind
    if picked.has_expired:
        _drop_expired(picked.response_id, kind, values["now"])
    query = _TAKE.format(standing=standing_sql(of_all=False), may_look=may_look_sql(), free=free_sql(chosen))
    facts: dict[str, Any] = {"response": picked.response_id, "is_extra": picked.is_extra, "kind": kind}
    with connection.cursor() as cursor:
        cursor.execute(query, {**values, **facts, "expires": values["now"] + LEASE_DURATION})
        return bool(cursor.rowcount == 1)


def _drop_expired(response_id: int, kind: str, now: datetime) -> None:
    """End the expired leases of an answer that somebody takes: whoever had them is late from now on."""
    Lease.objects.filter(response_id=response_id, kind=kind, slot__isnull=False, expires_at__lte=now).delete()


def _free_slot(response_id: int, kind: str) -> int | None:
    """Return a free place for a reader or an adjudicator; None where none is needed, 0 where there is none."""
    standing = standing_of(response_id)
    taken = set(Lease.objects.filter(response_id=response_id, kind=kind).values_list("slot", flat=True)) - {None}
    if kind == Label.Kind.ADJUDICATION:
        return 1 if standing.wants_adjudicator and not taken else 0
    if kind == Label.Kind.SELF_CHECK or (standing.is_gold and not standing.wants_reader):
        return None
    if standing.reader_count + len(taken) >= standing.wanted_count:
        return 0
    return min(set(range(1, standing.wanted_count + 1)) - taken)
