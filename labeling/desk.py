"""What the labeling page shows: the answer on the desk, those behind it, the latest verdict, and how far all is."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef
from django.http import QueryDict

from benchmarks.models import Category, Response, Study
from labeling.assigning import Reader, annotator_of, hold_answers
from labeling.evidence import Evidence, evidence_modes, evidence_of
from labeling.guiding import guidelines_in_force
from labeling.keys import ACTIONS, keys_of
from labeling.models import EvidenceLook, Guideline, JudgementRule, Lease
from labeling.presenting import ShownText, language_of, shown_answer, shown_code
from labeling.reviewing import latest_label
from labeling.tickets import Ticket
from labeling.waiting import Progress, QueueFilter, Remainder, progress_in, remainder_in


@dataclass(frozen=True)
class ShownAnswer:
    """One answer as its judge sees it: nothing in it says which model gave it, at what cost, or what graders think.

    Only where the project lets judges ask for it, and this one has asked, is there `evidence`.
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


@dataclass(frozen=True)
class Told:
    """A sentence to the person about what they just did."""

    text: str
    is_problem: bool = False


@dataclass(frozen=True)
class Choice:
    """The filter as the address has it: what it means, how it is kept, and what in it was not understood."""

    chosen: QueueFilter
    query: str
    problem: str = ""


def read_choice(query: QueryDict) -> Choice:
    """Read study and category from the address; what does not exist is told and left out."""
    study_name, category_name = query.get("study", "").strip(), query.get("category", "").strip()
    study = Study.objects.filter(name=study_name).first() if _is_name(study_name) else None
    category = Category.objects.filter(name=category_name).first() if _is_name(category_name) else None
    problems = []
    if study_name and study is None:
        problems.append(f"There is no study “{study_name[:80]}”, so that answers of all studies are shown.")
    if category_name and category is None:
        problems.append(f"There is no category “{category_name[:80]}”, so that answers of all categories are shown.")
    kept = {"study": study.name if study else "", "category": category.name if category else ""}
    address = urlencode({key: value for key, value in kept.items() if value})
    return Choice(QueueFilter(study, category), f"?{address}" if address else "", " ".join(problems))


def desk_of(*, person_id: int, choice: Choice, now: datetime) -> dict[str, object]:
    """Hold answers for a person and return all that the fragment of the page needs."""
    annotator = annotator_of(person_id=person_id, fresh_seed=secrets.randbits(62))
    reader = Reader(person_id=person_id, order_seed=annotator.order_seed, chosen=choice.chosen)
    leases = hold_answers(reader=reader, now=now, annotator=annotator)
    progress = progress_in(
        chosen=choice.chosen,
        person_id=person_id,
        annotator=annotator,
        since=now.replace(hour=0, minute=0, second=0, microsecond=0),
    )
    keys = keys_of(annotator.keys)
    remainder = None if leases else remainder_in(chosen=choice.chosen, person_id=person_id, now=now)
    return {
        "answers": _shown(leases, person_id=person_id, now=now),
        "progress": progress,
        "remainder": remainder,
        "emptiness": _emptiness(progress, remainder),
        "choice": choice,
        "query": choice.query,
        "latest": latest_label(person_id=person_id, now=now) if progress.own_count else None,
        "annotator": annotator,
        "keys": keys,
        "key_list": [(action, keys[action.name]) for action in ACTIONS],
    }


def filters() -> dict[str, object]:
    """Return what the form of the filter offers: studies with finished answers, and every category."""
    finished = Response.objects.finished().filter(study=OuterRef("pk"))
    return {
        "studies": Study.objects.filter(Exists(finished)).order_by("-pk"),
        "categories": Category.objects.order_by("name"),
    }


def _is_name(text: str) -> bool:
    return bool(text) and "\x00" not in text


def _emptiness(progress: Progress, remainder: Remainder | None) -> str:
    """Say in one word why there is nothing to judge; empty where there is something."""
    if remainder is None:
        return ""
    if progress.total_count == 0:
        return "unmeasured"
    if remainder.left_count == 0:
        return "done"
    if remainder.skipped_count:
        return "resting"
    return "flagged" if remainder.flagged_count and not remainder.held_count else "held"


def _shown(leases: list[Lease], *, person_id: int, now: datetime) -> list[ShownAnswer]:
    responses = [lease.response for lease in leases]
    guidelines = guidelines_in_force(response.prompt.category_id for response in responses)
    modes = evidence_modes(response.prompt.category_id for response in responses)
    askable = [one for one in responses if modes[one.prompt.category_id] is JudgementRule.Evidence.ON_DEMAND]
    asked = _asked_for(askable, person_id)
    return [
        _answer(
            response,
            guidelines.get(response.prompt.category_id),
            Ticket(response.pk, person_id, _key_of(guidelines.get(response.prompt.category_id)), now),
            may_ask=response in askable,
            evidence=asked.get(response.pk),
        )
        for response in responses
    ]


def _asked_for(responses: list[Response], person_id: int) -> dict[int, Evidence]:
    """Return the evidence on those answers whose evidence the person has seen already."""
    if not responses:
        return {}
    looks = EvidenceLook.objects.filter(person_id=person_id, response__in=responses)
    seen = set(looks.values_list("response_id", flat=True))
    return evidence_of(response for response in responses if response.pk in seen)


def _key_of(guideline: Guideline | None) -> int | None:
    return guideline.pk if guideline is not None else None


def _answer(
    response: Response, guideline: Guideline | None, ticket: Ticket, *, may_ask: bool, evidence: Evidence | None
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
    )
