"""How far checkers can be trusted: measured on a study's judged answers, read back over all studies."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Sum

from benchmarks.intervals import Interval, share_interval
from benchmarks.models import Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of
from router.cascade import LEAST_ACCEPTED
from router.checking import JUDGE, VERSIONS, Checked, Checker, Finding, question_for_second
from router.models import CheckerMeasurement

_COUNTS = ("answer_count", "unknown_count", "accepted_count", "right_count", "accepted_right_count")


class NothingToMeasureOn(LookupError):
    """A study has no answers that a checker could be measured on; the message says why and what to do."""


@dataclass(frozen=True)
class CheckerFigure:
    """One checker on one model's answers in one category; the counts are those of `CheckerMeasurement`, summed."""

    checker: str
    model_id: int
    model: str
    second_id: int | None
    second_model: str
    category_id: int
    category: str
    answer_count: int
    unknown_count: int
    accepted_count: int
    right_count: int
    accepted_right_count: int

    @property
    def acceptance(self) -> Interval | None:
        """Return the share of answers that it lets stand."""
        return share_interval(self.accepted_count, self.answer_count)

    @property
    def precision(self) -> Interval | None:
        """Return the share of accepted answers that are right; None where it accepted none."""
        return share_interval(self.accepted_right_count, self.accepted_count)

    @property
    def recall(self) -> Interval | None:
        """Return the share of right answers that it accepts; None where none was right."""
        return share_interval(self.accepted_right_count, self.right_count)

    @property
    def right_share(self) -> float | None:
        """Return the share of answers that are right, whether it accepts them or not."""
        return self.right_count / self.answer_count if self.answer_count else None

    @property
    def is_judged(self) -> bool:
        """Tell whether the second model judges, rather than answers too."""
        return self.checker == JUDGE

    @property
    def is_usable(self) -> bool:
        """Tell whether enough accepted answers were judged for its word to count."""
        return self.accepted_count >= LEAST_ACCEPTED


@dataclass(frozen=True)
class Judge:
    """A model that says of answers whether they are right: `ask` returns its reply to a question."""

    language_model_id: int
    ask: Callable[[str], str]


@dataclass(frozen=True)
class _Second:
    """What a second model said."""

    model_id: int
    text: str


@dataclass(frozen=True)
class _Key:
    checker: str
    model_id: int
    second_id: int | None
    category_id: int


def measure_checkers(
    *,
    study: Study,
    checkers: Iterable[Checker],
    now: datetime,
    judge: Judge | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    on_silent: Callable[[str, str], None] = lambda _checker, _reason: None,
) -> list[CheckerMeasurement]:
    """Run checkers over the judged answers of a study and store how often each accepts, and how often rightly.

    What was stored of these checkers and this study before is replaced. A checker that compares is measured with every
    other model of the study, over answers to the same prompt; the one that has answers judged, with `judge`, which does
    not judge its own. Checkers that can say nothing of any answer leave no row; `on_silent` is told each, and why.

    Raises:
        NothingToMeasureOn: no answer of the study has a verdict, or a router gave them.
        InferenceError: the judge cannot be asked.
    """
    if study.kind == Study.Kind.ROUTER:
        raise NothingToMeasureOn(
            f"The answers of {study.name} were given through the router, so that they are no one model's own; name a "
            f"study of models."
        )
    answers = list(
        study.responses.finished().select_related("prompt__category", "deployment__language_model").order_by("pk")
    )
    verdicts = {key: one.is_correct for key, one in verdicts_of(one.pk for one in answers).items()}
    judged = [one for one in answers if verdicts.get(one.pk, UNDECIDED.is_correct) is not None]
    if not judged:
        raise NothingToMeasureOn(
            f"No answer of {study.name} is judged; label some, or switch graders on in its categories."
        )
    wanted = list(checkers)
    tallies: dict[_Key, Counter[str]] = defaultdict(Counter)
    silent = dict.fromkeys((one.name for one in wanted), "There was no second answer to any.")
    second_answers = _first_answers(answers)
    for done, answer in enumerate(judged, start=1):
        for checker in wanted:
            for second in _seconds(checker, answer, second_answers, judge):
                check = checker.check(_checked(answer, second.text if second else None))
                _count(tallies[_key(checker, answer, second)], check.finding, is_right=bool(verdicts[answer.pk]))
                if check.finding is not Finding.UNKNOWN:
                    silent.pop(checker.name, None)
                elif checker.name in silent:
                    silent[checker.name] = check.reason
        on_progress(done, len(judged))
    for name, reason in silent.items():
        on_silent(name, reason)
    return _stored(study, wanted, tallies, now, judge)


def checker_figures() -> list[CheckerFigure]:
    """Return what is measured of the present version of every checker, summed over studies, in one query."""
    rows = (
        CheckerMeasurement.objects.values(
            "checker", "version", "language_model_id", "language_model__name", "second_model_id", "second_model__name",
            "category_id", "category__name",
        )
        .annotate(**{f"{name}_sum": Sum(name) for name in _COUNTS})
        .order_by("checker", "category__name", "language_model__name", "language_model_id", "second_model__name")
    )  # fmt: skip
    return [
        CheckerFigure(
            checker=row["checker"],
            model_id=row["language_model_id"],
            model=row["language_model__name"],
            second_id=row["second_model_id"],
            second_model=row["second_model__name"] or "",
            category_id=row["category_id"],
            category=row["category__name"],
            **{name: row[f"{name}_sum"] for name in _COUNTS},
        )
        for row in rows
        if VERSIONS.get(row["checker"]) == row["version"]
    ]


def _first_answers(answers: Sequence[Response]) -> Mapping[int, Mapping[int, Response]]:
    """Return, for each prompt, the first answer of each model."""
    found: dict[int, dict[int, Response]] = defaultdict(dict)
    for one in answers:
        found[one.prompt_id].setdefault(one.deployment.language_model_id, one)
    return found


def _seconds(
    checker: Checker,
    answer: Response,
    second_answers: Mapping[int, Mapping[int, Response]],
    judge: Judge | None,
) -> Iterator[_Second | None]:
    own = answer.deployment.language_model_id
    question = question_for_second(checker.name, _checked(answer, None))
    if question is not None:
        if judge is not None and judge.language_model_id != own:
            yield _Second(judge.language_model_id, judge.ask(question))
    elif checker.wants_second_answer:
        found = second_answers[answer.prompt_id].items()
        yield from (_Second(model_id, second.text) for model_id, second in found if model_id != own)
    else:
        yield None


def _checked(answer: Response, other_answer: str | None) -> Checked:
    return Checked(
        answer.prompt.text, answer.prompt.category.name, answer.text, other_answer=other_answer,
        mean_margin_nats=answer.mean_margin_nats,
    )  # fmt: skip


def _key(checker: Checker, answer: Response, second: _Second | None) -> _Key:
    second_id = second.model_id if second else None
    return _Key(checker.name, answer.deployment.language_model_id, second_id, answer.prompt.category_id)


def _count(tally: Counter[str], finding: Finding, *, is_right: bool) -> None:
    is_accepted = finding is Finding.ACCEPT
    tally["answer_count"] += 1
    tally["unknown_count"] += finding is Finding.UNKNOWN
    tally["accepted_count"] += is_accepted
    tally["right_count"] += is_right
    tally["accepted_right_count"] += is_accepted and is_right


def _stored(
    study: Study,
    checkers: Sequence[Checker],
    tallies: Mapping[_Key, Counter[str]],
    now: datetime,
    judge: Judge | None,
) -> list[CheckerMeasurement]:
    version_of = {one.name: one.version for one in checkers}
    rows = [
        CheckerMeasurement(
            study=study,
            checker=key.checker,
            version=version_of[key.checker],
            language_model_id=key.model_id,
            second_model_id=key.second_id,
            category_id=key.category_id,
            measured_at=now,
            **{name: tally[name] for name in _COUNTS},
        )
        for key, tally in tallies.items()
        if tally["unknown_count"] < tally["answer_count"]
    ]
    with transaction.atomic():
        Study.objects.select_for_update().get(pk=study.pk)  # two runs take turns
        before = CheckerMeasurement.objects.filter(study=study, checker__in=version_of)
        before.exclude(checker=JUDGE).delete()
        if judge is not None:
            before.filter(checker=JUDGE, second_model_id=judge.language_model_id).delete()
        return CheckerMeasurement.objects.bulk_create(rows)
