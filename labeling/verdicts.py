"""The one place that says whether an answer is correct, and whose word that is."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labeling.models import Label, Verdict

# whose word counts: the first source that judged an answer decides it, the later ones are not asked
SOURCES_IN_ORDER = (Label.Source.PERSON.value, Label.Source.IMPORTED.value, Label.Source.GRADER.value)


@dataclass(frozen=True)
class Judgement:
    """One current label, reduced to what decides."""

    source: str
    verdict: str


@dataclass(frozen=True)
class Decision:
    """Whether an answer is correct (None: nobody said, or its judges disagree), by which source, from how many."""

    is_correct: bool | None
    source: str
    label_count: int
    is_disputed: bool = False


UNDECIDED = Decision(is_correct=None, source="", label_count=0)


def decide(judgements: Sequence[Judgement]) -> Decision:
    """Turn the current labels of one answer into a verdict.

    People count before imported labels, and these before graders: a machine's word never outvotes a person's.
    Within a source the majority decides; a tie is disputed and decides nothing. `unsure` is counted as a label
    but votes for neither side.
    """
    for source in SOURCES_IN_ORDER:
        verdicts = [judgement.verdict for judgement in judgements if judgement.source == source]
        right, wrong = verdicts.count(Verdict.CORRECT), verdicts.count(Verdict.INCORRECT)
        if right + wrong == 0:
            continue
        if right == wrong:
            return Decision(None, source, len(verdicts), is_disputed=True)
        return Decision(right > wrong, source, len(verdicts))
    return UNDECIDED


def verdicts_of(response_ids: Iterable[int]) -> dict[int, Decision]:
    """Return the verdict of every labeled answer among those asked for, in one query."""
    judgements: dict[int, list[Judgement]] = defaultdict(list)
    rows = Label.objects.current().filter(response_id__in=list(response_ids))
    for response_id, source, verdict in rows.values_list("response_id", "source", "verdict").order_by("pk"):
        judgements[response_id].append(Judgement(source, verdict))
    return {response_id: decide(given) for response_id, given in judgements.items()}
