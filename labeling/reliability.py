"""How reliable people's labels and graders' suggestions are: agreement, gold, self-checks, pace, and concordance."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.intervals import Interval, share_interval
from labeling.agreement import Agreement, agreement, agreement_of_pairs
from labeling.models import GoldAnswer, Grade, Label, Verdict
from labeling.verdicts import Judgement, decide

LONGEST_SECONDS = 120.0  # somebody who looked longer went away
ALL = "all"
_DECIDED = (Verdict.CORRECT.value, Verdict.INCORRECT.value)


@dataclass(frozen=True)
class Said:
    """One current label of a person, reduced to what the figures need."""

    response_id: int
    category: str
    person_id: int
    kind: str
    verdict: str
    active_seconds: float | None
    saw_evidence: bool


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
class Concordance:
    """One version of a grader in one category against what people decided, on the answers that both judged.

    `counts` is by (the grader's verdict, people's verdict). Precision of a verdict: how often people say the same
    where the grader gives it. Recall: how often the grader gives it where people do; an unsure grader lowers recall.
    """

    grader: str
    category: str
    counts: Counter[tuple[str, str]]

    @property
    def n(self) -> int:
        """Return how many answers both judged."""
        return self.counts.total()

    def count(self, grade: str, verdict: str) -> int:
        """Return on how many answers the grader said the one and people the other."""
        return self.counts[grade, verdict]

    def precision(self, verdict: str) -> Interval | None:
        """Return how often people agree where the grader gives this verdict."""
        return share_interval(self.counts[verdict, verdict], sum(self.counts[verdict, one] for one in _DECIDED))

    def recall(self, verdict: str) -> Interval | None:
        """Return how often the grader gives this verdict where people do."""
        given = sum(self.counts[grade, verdict] for grade in Verdict.values)
        return share_interval(self.counts[verdict, verdict], given)


@dataclass(frozen=True)
class Suspicion:
    """One answer that people call correct and a grader incorrect: a wrong label, or a wrong grader."""

    response_id: int
    category: str
    grader: str
    reason: str


@dataclass(frozen=True)
class Reliability:
    """Everything that the page of quality shows; pairs are by person, categories by name and `all`."""

    by_category: dict[str, Agreement]
    by_pair: dict[tuple[int, int], Agreement]
    people: tuple[PersonFigures, ...]
    graders: tuple[Concordance, ...]
    suspicions: tuple[Suspicion, ...]
    unblind_count: int = 0  # labels given after a look at the grader's evidence: no grader is held against them


def reliability() -> Reliability:
    """Work the figures out from every current label of a person, in three queries.

    Self-checks count only against the person's own earlier word, adjudications only in what graders are held against.
    Graders are held against blind labels alone: who saw what a grader found before judging tends to agree with it.
    """
    said = _said()
    judgements = [one for one in said if one.kind == Label.Kind.JUDGEMENT]
    blind = [one for one in said if not one.saw_evidence]
    graders, suspicions = _concordances(blind)
    return Reliability(
        _by_category(judgements), _by_pair(judgements), _people(said), graders, suspicions, len(said) - len(blind)
    )


def concordances() -> tuple[Concordance, ...]:
    """Return each grader against people alone, on blind labels as in `reliability`, in two queries."""
    return _concordances([one for one in _said() if not one.saw_evidence])[0]


def _said() -> list[Said]:
    rows = Label.objects.current().of_people().order_by("pk")
    return [
        Said(*row)
        for row in rows.values_list(
            "response_id",
            "response__prompt__category__name",
            "labeler_id",
            "kind",
            "verdict",
            "active_seconds",
            "saw_evidence",
        )
    ]


def _categories_of(judgements: Iterable[Said]) -> set[str]:
    """Return right and wrong, and unsure where somebody was."""
    return {*_DECIDED, *(one.verdict for one in judgements)}


def _by_category(judgements: Sequence[Said]) -> dict[str, Agreement]:
    verdicts: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in judgements:
        for category in (one.category, ALL):
            verdicts[category][one.response_id].append(one.verdict)
    possible = _categories_of(judgements)
    names = [*sorted(name for name in verdicts if name != ALL), *([ALL] if verdicts else [])]
    return {name: agreement(list(verdicts[name].values()), categories=possible) for name in names}


def _by_pair(judgements: Sequence[Said]) -> dict[tuple[int, int], Agreement]:
    items: dict[int, dict[str, str]] = defaultdict(dict)
    for one in judgements:
        items[one.response_id][f"{one.person_id:020}"] = one.verdict
    pairs = agreement_of_pairs(list(items.values()), categories=_categories_of(judgements))
    return {(int(first), int(second)): found for (first, second), found in pairs.items()}


def _people(said: Sequence[Said]) -> tuple[PersonFigures, ...]:
    gold = dict(GoldAnswer.objects.filter(retired_at__isnull=True).values_list("response_id", "verdict"))
    by_person: dict[int, list[Said]] = defaultdict(list)
    for one in said:
        by_person[one.person_id].append(one)
    return tuple(_person(person_id, labels, gold) for person_id, labels in sorted(by_person.items()))


def _person(person_id: int, labels: Sequence[Said], gold: dict[int, str]) -> PersonFigures:
    first = {one.response_id: one.verdict for one in labels if one.kind == Label.Kind.JUDGEMENT}
    on_gold = [verdict == gold[response_id] for response_id, verdict in first.items() if response_id in gold]
    again = [
        one.verdict == first[one.response_id]
        for one in labels
        if one.kind == Label.Kind.SELF_CHECK and one.response_id in first
    ]
    seconds = [min(one.active_seconds, LONGEST_SECONDS) for one in labels if one.active_seconds is not None]
    return PersonFigures(
        person_id=person_id,
        label_count=len(labels),
        as_gold=share_interval(sum(on_gold), len(on_gold)),
        as_before=share_interval(sum(again), len(again)),
        seconds=median(seconds) if seconds else None,
        labels_per_hour=3600 * len(seconds) / sum(seconds) if sum(seconds) > 0 else None,
        timed_count=len(seconds),
    )


def _concordances(said: Sequence[Said]) -> tuple[tuple[Concordance, ...], tuple[Suspicion, ...]]:
    category_of = {one.response_id: one.category for one in said}
    decided = _decided(said)
    counts: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    suspicions = []
    grades = Grade.objects.filter(response__labels__source=Label.Source.PERSON).distinct().order_by("pk")
    for response_id, name, version, grade, reason in grades.values_list(
        "response_id", "grader", "grader_version", "verdict", "reason"
    ):
        verdict = decided.get(response_id)
        if verdict is None:
            continue
        grader, category = f"{name}@{version}", category_of[response_id]
        counts[grader, category][grade, verdict] += 1
        if (grade, verdict) == (Verdict.INCORRECT, Verdict.CORRECT):
            suspicions.append(Suspicion(response_id, category, grader, reason))
    found = tuple(Concordance(grader, category, one) for (grader, category), one in sorted(counts.items()))
    return found, tuple(suspicions)


def _decided(said: Sequence[Said]) -> dict[int, str]:
    """Return what people decided of each answer: an adjudicator's word alone where there is one."""
    votes: dict[int, list[Said]] = defaultdict(list)
    for one in said:
        if one.kind != Label.Kind.SELF_CHECK:
            votes[one.response_id].append(one)
    decided = {}
    for response_id, given in votes.items():
        settled = [one for one in given if one.kind == Label.Kind.ADJUDICATION] or given
        is_correct = decide([Judgement(Label.Source.PERSON.value, one.verdict) for one in settled]).is_correct
        if is_correct is not None:
            decided[response_id] = _DECIDED[0] if is_correct else _DECIDED[1]
    return decided
