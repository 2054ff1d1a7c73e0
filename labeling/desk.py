"""What the labeling page shows: the answer on the desk, those behind it, the latest verdict, and how far all is."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from benchmarks.models import Response
from labeling.assigning import Reader, annotator_of, hold_answers
from labeling.choosing import Choice
from labeling.evidence import Evidence, EvidenceModes, evidence_modes, evidence_of
from labeling.guiding import guidelines_in_force
from labeling.judging import Outcome, Vote, judge
from labeling.keys import ACTIONS, keys_of
from labeling.models import Annotator, EvidenceLook, Guideline, JudgementRule, Label, Lease
from labeling.presenting import ShownText, language_of, shown_answer, shown_code
from labeling.reviewing import Opinion, latest_label, opinions_on
from labeling.tickets import Ticket
from labeling.waiting import Progress, Remainder, progress_in, remainder_in


@dataclass(frozen=True)
class ShownAnswer:
    """One answer as its judge sees it: nothing in it says which model gave it, at what cost, or what graders think.

    Only where the project lets judges ask for it, and this one has asked, is there `evidence`. An adjudicator sees what
    readers said, as `opinions`, and not who they are.
    """

    response_id: int
    ticket: str
    category: str
    category_name: str
    is_code: bool
    prompt: str
    reference: ShownText
    answer: ShownText
    guideline: Guideline | None
    may_ask: bool = False
    evidence: Evidence | None = None
    opinions: tuple[Opinion, ...] = ()


@dataclass(frozen=True)
class Told:
    """A sentence to the person about what they just did."""

    text: str
    is_problem: bool = False


def judge_and_go_on(*, person_id: int, vote: Vote, choice: Choice, now: datetime) -> tuple[Outcome, dict[str, object]]:
    """Store a vote and hold what comes next, both in one transaction; return what `judge` and `desk_of` do.

    The row of the person at the queue is locked first, so that two windows of theirs take turns.
    """
    with transaction.atomic():
        annotator = annotator_of(person_id=person_id, fresh_seed=secrets.randbits(62), is_locked=True)
        outcome = judge(person_id=person_id, vote=vote)
        return outcome, desk_of(person_id=person_id, choice=choice, now=now, annotator=annotator)


def desk_of(*, person_id: int, choice: Choice, now: datetime, annotator: Annotator | None = None) -> dict[str, object]:
    """Hold answers for a person and return all that the fragment of the page needs.

    Who has read the person's row already gives it as `annotator`.
    """
    annotator = annotator or annotator_of(person_id=person_id, fresh_seed=secrets.randbits(62))
    reader = Reader(person_id=person_id, order_seed=annotator.order_seed, chosen=choice.chosen)
    leases = hold_answers(reader=reader, now=now, annotator=annotator)
    progress = progress_in(
        chosen=choice.chosen,
        person_id=person_id,
        annotator=annotator,
        since=now.replace(hour=0, minute=0, second=0, microsecond=0),
    )
    keys, modes = keys_of(annotator.keys), evidence_modes()
    remainder = None if leases else remainder_in(chosen=choice.chosen, person_id=person_id, now=now)
    return {
        "answers": _shown(leases, modes, person_id=person_id, now=now),
        "progress": progress,
        "remainder": remainder,
        "emptiness": _emptiness(choice, progress, remainder),
        "choice": choice,
        "query": choice.query,
        "latest": latest_label(person_id=person_id, now=now, modes=modes) if progress.own_count else None,
        "annotator": annotator,
        "keys": keys,
        "key_list": [(action, keys[action.name]) for action in ACTIONS],
    }


def _emptiness(choice: Choice, progress: Progress, remainder: Remainder | None) -> str:
    """Say in one word why there is nothing to judge; empty where there is something."""
    if remainder is None:
        return ""
    if choice.chosen.is_adjudication and remainder.left_count == 0:
        return "settled"
    if progress.total_count == 0:
        return "unmeasured"
    if remainder.left_count == 0:
        return "done"
    if remainder.skipped_count:
        return "resting"
    if remainder.held_count:
        return "held"
    return "flagged" if remainder.flagged_count else "own" if remainder.own_count else "held"


def _shown(leases: list[Lease], modes: EvidenceModes, *, person_id: int, now: datetime) -> list[ShownAnswer]:
    responses = [lease.response for lease in leases]
    guidelines = guidelines_in_force(response.prompt.category_id for response in responses)
    askable = [one for one in leases if modes.of(one.response.prompt.category_id) is JudgementRule.Evidence.ON_DEMAND]
    asked = _asked_for(askable, person_id)
    settled = [lease.response_id for lease in leases if lease.kind == Label.Kind.ADJUDICATION]
    opinions = opinions_on(settled)
    return [
        _answer(
            lease.response,
            guidelines.get(lease.response.prompt.category_id),
            Ticket(
                lease.response_id,
                person_id,
                _key_of(guidelines.get(lease.response.prompt.category_id)),
                now,
                is_adjudication=lease.response_id in settled,
            ),
            may_ask=lease in askable,
            evidence=asked.get(lease.response_id),
            opinions=opinions.get(lease.response_id, ()),
        )
        for lease in leases
    ]


def _asked_for(leases: list[Lease], person_id: int) -> dict[int, Evidence]:
    """Return the evidence on those answers whose evidence the person has seen already.

    What they saw before a self-check does not count: evidence that is there unasked would tell that it is one.
    """
    if not leases:
        return {}
    looks = EvidenceLook.objects.filter(person_id=person_id, response__in=[lease.response_id for lease in leases])
    seen_at = dict(looks.values_list("response_id", "seen_at"))
    return evidence_of(
        lease.response
        for lease in leases
        if lease.response_id in seen_at
        and (lease.kind != Label.Kind.SELF_CHECK or seen_at[lease.response_id] >= lease.claimed_at)
    )


def _key_of(guideline: Guideline | None) -> int | None:
    return guideline.pk if guideline is not None else None


def _answer(
    response: Response,
    guideline: Guideline | None,
    ticket: Ticket,
    *,
    may_ask: bool,
    evidence: Evidence | None,
    opinions: tuple[Opinion, ...],
) -> ShownAnswer:
    prompt, language = response.prompt, language_of(response.prompt)
    return ShownAnswer(
        response_id=response.pk,
        ticket=ticket.signed(),
        category=prompt.category.title or prompt.category.name,
        category_name=prompt.category.name,
        is_code=bool(language),
        prompt=prompt.text,
        reference=shown_code(prompt.reference, language=language),
        answer=shown_answer(response.text, language=language),
        guideline=guideline,
        may_ask=may_ask,
        evidence=evidence,
        opinions=opinions,
    )
