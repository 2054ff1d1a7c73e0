"""The figures of quality, which Postgres counts, against a look at each label and each answer, on labels by chance."""

import math
import random
import statistics
from collections import Counter
from datetime import timedelta
from itertools import combinations

import krippendorff
import numpy as np
import pytest

from benchmarks.intervals import Interval, share_interval
from benchmarks.models import Response
from greenllm.models import User
from labeling.agreement import Agreement, agreement
from labeling.drift import Per, drift
from labeling.models import GoldAnswer, Grade, Label, Verdict
from labeling.pace import pace
from labeling.reliability import ALL, PersonFigures, Reliability, reliability
from labeling.verdicts import Judgement, decide
from tests import factories as make

pytestmark = pytest.mark.django_db
CATEGORIES = ("code", "math", "sql")
DECIDED = ("correct", "incorrect")


@pytest.fixture(params=range(2))
def judged(request: pytest.FixtureRequest) -> list[Label]:
    """Return the current labels of people, among others, on answers of which some are gold and some are graded."""
    chance = random.Random(request.param)
    people = [make.make_user(f"person-{number}") for number in range(4)]
    deployment, study = make.make_deployment(), make.make_study()
    prompts = {category: make.make_prompts(45, category=category) for category in CATEGORIES}
    chosen = [prompts[chance.choice(CATEGORIES)][number] for number in range(45)]
    for response in make.make_responses(((prompt, deployment, {}) for prompt in chosen), study=study):
        judge(response, people, chance)
    labels = list(Label.objects.select_related("response__prompt__category"))
    for label in labels:
        label.created_at = make.NOW + timedelta(minutes=chance.randrange(60 * 24 * 30))
    Label.objects.bulk_update(labels, ["created_at"])
    return [one for one in labels if one.source == "person" and one.is_current and one.voided_at is None]


def judge(response: Response, people: list[User], chance: random.Random) -> None:
    """Let some people judge an answer, one of them twice, one settle it, and up to two graders look at it."""
    if chance.random() < 0.4:
        GoldAnswer.objects.create(
            response=response, verdict=chance.choice(DECIDED), reason="known",
            retired_at=make.NOW if chance.random() < 0.3 else None,
        )  # fmt: skip
    for version in range(1, chance.randint(1, 3)):
        Grade.objects.create(
            response=response, grader=chance.choice(["number", "text"]), grader_version=version,
            verdict=chance.choice(Verdict.values), reason="test", duration_ms=1,
        )  # fmt: skip
    for person in chance.sample(people, chance.randint(0, len(people))):
        label(response, person, chance, kind="judgement")
        if chance.random() < 0.3:
            label(response, person, chance, kind="self_check")
        if chance.random() < 0.2:
            label(response, person, chance, kind="judgement", is_current=False)
        if chance.random() < 0.2:
            label(response, person, chance, kind="judgement", voided_at=make.NOW, void_reason="test")
    if chance.random() < 0.2:
        label(response, chance.choice(people), chance, kind="adjudication")


def label(response: Response, person: User, chance: random.Random, **facts: object) -> None:
    seconds = chance.choice([None, chance.randint(1, 200) / 4])
    make.make_label(
        response, chance.choice(Verdict.values), labeler=person, active_seconds=seconds,
        saw_evidence=chance.random() < 0.2, **facts,
    )  # fmt: skip


@pytest.fixture
def found(judged: list[Label]) -> Reliability:
    return reliability()


def readings(judged: list[Label]) -> dict[Response, dict[int, str]]:
    """Return what each reader said of each answer."""
    said: dict[Response, dict[int, str]] = {}
    for one in judged:
        if one.kind == "judgement":
            said.setdefault(one.response, {})[int(one.labeler_id or 0)] = one.verdict
    return said


def by_rows(items: list[list[str]]) -> Agreement:
    return agreement(items, categories=Verdict.values)


@pytest.mark.slow
def test_agreement_by_category(judged: list[Label], found: Reliability) -> None:
    said = readings(judged)
    for name in (*CATEGORIES, ALL):
        items = [list(one.values()) for response, one in said.items() if name in (response.prompt.category.name, ALL)]
        assert found.by_category[name] == by_rows(items)


@pytest.mark.slow
def test_alpha_is_that_of_the_package_krippendorff(judged: list[Label], found: Reliability) -> None:
    said = readings(judged)
    people = sorted({person for one in said.values() for person in one})
    places = {verdict: place for place, verdict in enumerate(Verdict.values)}
    rows = [[places[one[person]] if person in one else np.nan for one in said.values()] for person in people]
    alpha = found.by_category[ALL].alpha.value
    assert alpha == pytest.approx(krippendorff.alpha(np.array(rows), level_of_measurement="nominal"), abs=1e-12)


@pytest.mark.slow
def test_agreement_of_pairs(judged: list[Label], found: Reliability) -> None:
    items: dict[tuple[int, int], list[list[str]]] = {}
    for one in readings(judged).values():
        for pair in combinations(sorted(one), 2):
            items.setdefault(pair, []).append([one[pair[0]], one[pair[1]]])
    assert found.by_pair == {pair: by_rows(said) for pair, said in items.items()}


@pytest.mark.slow
def test_people(judged: list[Label], found: Reliability) -> None:
    assert found.unblind_count == sum(one.saw_evidence for one in judged)
    by_person: dict[int, list[Label]] = {}
    for one in judged:
        by_person.setdefault(int(one.labeler_id or 0), []).append(one)
    assert found.people == tuple(person(pk, labels) for pk, labels in sorted(by_person.items()))


def person(pk: int, labels: list[Label]) -> PersonFigures:
    seconds = [min(one.active_seconds, 120.0) for one in labels if one.active_seconds is not None]
    return PersonFigures(
        person_id=pk,
        label_count=len(labels),
        as_gold=as_gold(labels),
        as_before=as_before(labels),
        seconds=statistics.median(seconds),
        labels_per_hour=3600 * len(seconds) / math.fsum(seconds),
        timed_count=len(seconds),
    )


def as_gold(labels: list[Label]) -> Interval | None:
    known = dict(GoldAnswer.objects.filter(retired_at=None).values_list("response_id", "verdict"))
    held = [one for one in labels if one.kind == "judgement" and one.response_id in known]
    return share_interval(sum(one.verdict == known[one.response_id] for one in held), len(held))


def as_before(labels: list[Label]) -> Interval | None:
    first = first_words()
    again = [one for one in labels if one.kind == "self_check" and (one.response_id, one.labeler_id) in first]
    return share_interval(sum(one.verdict == first[one.response_id, one.labeler_id] for one in again), len(again))


def first_words() -> dict[tuple[int, int | None], str]:
    labels = Label.objects.filter(source="person", is_current=True, voided_at=None, kind="judgement")
    return {(one.response_id, one.labeler_id): one.verdict for one in labels}


@pytest.mark.slow
def test_graders(judged: list[Label], found: Reliability) -> None:
    said: dict[int, list[Judgement]] = {}
    for one in judged:
        if one.kind != "self_check" and not one.saw_evidence:
            said.setdefault(one.response_id, []).append(Judgement(one.source, one.verdict, one.kind))
    counts: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
    for grade in Grade.objects.select_related("response__prompt__category"):
        is_correct = decide(said.get(grade.response_id, [])).is_correct
        if is_correct is not None:
            key = f"{grade.grader}@{grade.grader_version}", grade.response.prompt.category.name
            counts.setdefault(key, Counter())[grade.verdict, DECIDED[not is_correct]] += 1
    assert {(one.grader, one.category): one.counts for one in found.graders} == counts


@pytest.mark.slow
def test_drift_and_pace_by_days(judged: list[Label]) -> None:
    shown = sorted((one for one in judged if one.kind != "adjudication"), key=lambda one: one.created_at)
    days = [(one.created_at.date() - shown[0].created_at.date()).days for one in shown]
    told, paced = drift(per=Per.DAYS), pace()
    assert (told.length, paced.day_count) == (1, 1)
    stretches = [[one for one, on in zip(shown, days, strict=True) if on == day] for day in sorted(set(days))]
    for labels, period, stretch in zip(stretches, told.periods, paced.stretches, strict=True):
        read = [one for one in labels if one.kind == "judgement"]
        assert (period.first_at, period.latest_at) == (labels[0].created_at, labels[-1].created_at)
        assert period.label_count == stretch.label_count == len(labels)
        assert period.correct == share_interval(sum(one.verdict == "correct" for one in read), len(read))
        assert (period.as_gold, period.as_before) == (as_gold(labels), as_before(labels))
        assert period.as_grader == as_grader(read)
        seconds = [min(one.active_seconds, 120.0) for one in labels if one.active_seconds is not None]
        assert (stretch.timed_count, stretch.active_seconds) == (len(seconds), math.fsum(seconds))
        assert stretch.person_count == len({one.labeler_id for one in labels})


def as_grader(read: list[Label]) -> Interval | None:
    latest = {grade.response_id: grade.verdict for grade in Grade.objects.order_by("grader_version", "pk")}
    held = [one for one in read if not one.saw_evidence and latest.get(one.response_id, "unsure") != "unsure"]
    return share_interval(sum(one.verdict == latest[one.response_id] for one in held), len(held))
