"""How reliable people's labels and graders' suggestions are: agreement, gold, self-checks, pace, and concordance."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.intervals import Interval, share_interval
from labeling.agreement import Agreement, Tally, agreement
from labeling.confusion import DECIDED, SUSPICIOUS, Comparison, Concordance, compare_graders
from labeling.tallies import PersonTally, judgements_by_category, judgements_by_pair, labels_by_person
from labeling.unchanged import JUDGED, unchanged

ALL = "all"


@dataclass(frozen=True)
class PersonFigures:
    """How one person judges: the share that is as gold says, and as they said before; how fast.

    `seconds` is the median of the active seconds of `timed_count` labels, each 120 s at most.
    """

    person_id: int
    label_count: int
    as_gold: Interval | None
    as_before: Interval | None
    seconds: float | None
    labels_per_hour: float | None
    timed_count: int


@dataclass(frozen=True)
class Reliability:
    """Everything that the page of quality shows; pairs are by person, categories by name and `all`."""

    by_category: dict[str, Agreement]
    by_pair: dict[tuple[int, int], Agreement]
    people: tuple[PersonFigures, ...]
    comparison: Comparison
    unblind_count: int = 0  # labels given after a look at the grader's evidence: no grader is held against them

    @property
    def graders(self) -> tuple[Concordance, ...]:
        """Return each grader against people."""
        return self.comparison.graders

    @property
    def suspicious_count(self) -> int:
        """Return how often people call correct what a grader calls incorrect: a wrong label, or a wrong grader."""
        return self.comparison.count(SUSPICIOUS)


def reliability() -> Reliability:
    """Work the figures out from every current label of a person, in four queries that Postgres counts.

    Self-checks count only against the person's own earlier word, adjudications only in what graders are held against.
    What is worked out is kept until a label changes; then one query tells that none did.
    """
    return unchanged("labeling.reliability", _reliability, studies=[JUDGED], kind=Reliability)


def _reliability() -> Reliability:
    judged = judgements_by_category()
    possible = _categories_of(judged.values())
    people = labels_by_person()
    return Reliability(
        _by_category(judged, possible),
        {pair: agreement(tally, categories=possible) for pair, tally in sorted(judgements_by_pair().items())},
        tuple(_person(one) for one in people),
        compare_graders(),
        sum(one.unblind_count for one in people),
    )


def _categories_of(tallies: Iterable[Tally]) -> set[object]:
    """Return right and wrong, and unsure where somebody was."""
    return {*DECIDED, *(verdict for tally in tallies for item in tally for verdict in item)}


def _by_category(judged: Mapping[str, Tally], possible: set[object]) -> dict[str, Agreement]:
    found = {name: agreement(tally, categories=possible) for name, tally in judged.items()}
    if judged:
        together: Counter[tuple[object, ...]] = Counter()
        for tally in judged.values():
            together.update(tally)
        found[ALL] = agreement(together, categories=possible)
    return found


def _person(one: PersonTally) -> PersonFigures:
    return PersonFigures(
        person_id=one.person_id,
        label_count=one.label_count,
        as_gold=share_interval(one.as_gold_count, one.gold_count),
        as_before=share_interval(one.as_before_count, one.repeat_count),
        seconds=one.median_seconds,
        labels_per_hour=3600 * one.timed_count / one.seconds if one.seconds > 0 else None,
        timed_count=one.timed_count,
    )
