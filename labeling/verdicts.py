"""The one place that says whether an answer is correct, whose word that is, and who is asked next."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from django.db import connection

from labeling.models import Label, Verdict
from labeling.standing import asked_sql

# whose word counts: the first source that judged an answer decides it, the later ones are not asked
SOURCES_IN_ORDER = (Label.Source.PERSON.value, Label.Source.IMPORTED.value, Label.Source.GRADER.value)
_JUDGEMENTS = f"""
SELECT label.response_id, label.source, label.verdict, label.kind, asked.judgements, asked.grades_count
FROM labeling_label AS label
JOIN benchmarks_response AS response ON response.id = label.response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
{asked_sql()}
WHERE label.is_current AND label.voided_at IS NULL AND label.response_id = ANY(%s) AND label.id <> ALL(%s)
ORDER BY label.id
"""  # noqa: S608 - put together of constants


@dataclass(frozen=True)
class Judgement:
    """One current label, reduced to what decides."""

    source: str
    verdict: str
    kind: str = Label.Kind.JUDGEMENT.value


@dataclass(frozen=True)
class Decision:
    """Whether an answer is correct (None: nobody said, or its judges disagree), by which source, from how many."""

    is_correct: bool | None
    source: str
    label_count: int
    is_disputed: bool = False
    is_adjudicated: bool = False
    is_provisional: bool = False  # fewer people than wanted have judged it; the verdict may still turn


class Step(Enum):
    """Who is asked about an answer next."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    NOBODY = "nobody"


UNDECIDED = Decision(is_correct=None, source="", label_count=0)


def decide(judgements: Sequence[Judgement], *, wanted: int = 1, grades_count: bool = True) -> Decision:
    """Turn the current labels of one answer, of which people shall give `wanted`, into a verdict.

    Self-checks never count. People count before imported labels, and these before graders: a machine's word never
    outvotes a person's. Within a source an adjudication decides alone, otherwise the majority of the judgements; a tie
    is disputed and decides nothing. `unsure` is counted as a label but votes for neither side. As long as fewer people
    than wanted have judged, their majority is the verdict all the same, marked provisional. Graders' labels count only
    where their switch is on in the answer's category (`grades_count`): switched off, they stay and say nothing.
    """
    for source in SOURCES_IN_ORDER:
        if source == Label.Source.GRADER and not grades_count:
            continue
        given = [one for one in judgements if one.source == source and one.kind != Label.Kind.SELF_CHECK]
        settled = [one for one in given if one.kind == Label.Kind.ADJUDICATION]
        right, wrong = _votes(settled or given)
        if right + wrong == 0 and not settled:
            continue
        is_open = source == Label.Source.PERSON and not settled and len(given) < wanted
        return Decision(
            is_correct=None if right == wrong else right > wrong,
            source=source,
            label_count=len(settled or given),
            is_disputed=right == wrong,
            is_adjudicated=bool(settled),
            is_provisional=is_open and right != wrong,
        )
    return UNDECIDED


def next_step(judgements: Sequence[Judgement], *, wanted: int = 1, max_readers: int = 3) -> Step:
    """Say who is asked next; only what people said counts here.

    Readers until `wanted` have judged, and one more at a time while right and wrong are level, `max_readers` in all;
    then an adjudicator. Answers about which every reader is unsure go to the adjudicator at once. An adjudication ends
    it, also one that is unsure. The queue asks the same of Postgres (`labeling.standing`).
    """
    people = [one for one in judgements if one.source == Label.Source.PERSON]
    readers = [one for one in people if one.kind == Label.Kind.JUDGEMENT]
    right, wrong = _votes(readers)
    if any(one.kind == Label.Kind.ADJUDICATION for one in people):
        return Step.NOBODY
    if len(readers) < wanted:
        return Step.READER
    if right != wrong:
        return Step.NOBODY
    return Step.READER if right > 0 and len(readers) < max_readers else Step.ADJUDICATOR


def verdicts_of(response_ids: Iterable[int], *, without: Iterable[int] = ()) -> dict[int, Decision]:
    """Return the verdict of every labeled answer among those asked for, in one query.

    `without` are labels to leave out: so the verdicts would be if these were voided.
    """
    judgements: dict[int, list[Judgement]] = defaultdict(list)
    rules: dict[int, tuple[int, bool]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_JUDGEMENTS, [list(response_ids), list(without)])
        for response_id, source, verdict, kind, wanted, grades_count in cursor.fetchall():
            judgements[response_id].append(Judgement(source, verdict, kind))
            rules[response_id] = (wanted, grades_count)
    return {
        response_id: decide(given, wanted=rules[response_id][0], grades_count=rules[response_id][1])
        for response_id, given in judgements.items()
    }


def _votes(given: Sequence[Judgement]) -> tuple[int, int]:
    verdicts = [one.verdict for one in given]
    return verdicts.count(Verdict.CORRECT), verdicts.count(Verdict.INCORRECT)
