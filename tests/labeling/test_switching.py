"""The switch that lets graders label: its service, its command, and what it does to verdicts."""

import importlib

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from benchmarks.models import Category
from labeling.models import JudgementRule
from labeling.ruling import grader_category_ids, make_rule, switch_graders_in
from labeling.switching import (
    FEWEST_BLIND,
    GraderSwitch,
    TooFewBlindLabels,
    grader_switches,
    switch_graders,
    switch_on_where_nobody_decided,
)
from labeling.verdicts import UNDECIDED, Decision, verdicts_of
from tests import factories as make
from tests.labeling import queues
from tests.labeling.queues import make_answers, make_graded

pytestmark = pytest.mark.django_db


def switch_of(name: str = "math") -> GraderSwitch:
    return next(one for one in grader_switches() if one.category.name == name)


class TestGraderSwitches:
    def test_count_blind_labels_only(self) -> None:
        make_graded(3, blind=2)
        found = switch_of()
        assert (found.is_on, [one.grader for one in found.graders], found.blind_count) == (False, ["number@1"], 2)

    def test_go_by_the_grader_that_was_compared_least(self) -> None:
        make_graded(FEWEST_BLIND, blind=FEWEST_BLIND)
        assert not switch_of().needs_confirmation
        make_graded(1, blind=0, grader="exact")
        assert (switch_of().blind_count, switch_of().needs_confirmation) == (0, True)
        assert "exact@1 was held against people on 0 answers of math" in switch_of().doubt

    def test_know_nothing_of_a_new_version(self) -> None:
        make_graded(2, blind=2)
        make_graded(1, blind=0, version=2)
        found = switch_of()
        assert ([one.grader for one in found.graders], found.blind_count) == (["number@2"], 0)

    def test_do_not_count_what_a_grader_was_unsure_of(self) -> None:
        make_graded(3, blind=3, verdict="unsure")
        assert switch_of().blind_count == 0

    def test_know_a_category_without_grades(self) -> None:
        make_answers(1)
        assert switch_of().graders == ()
        assert switch_of().doubt.startswith("No grader has graded an answer in math yet")


class TestSwitchGraders:
    def test_adds_a_rule_that_is_else_the_one_in_force(self) -> None:
        make_graded(FEWEST_BLIND, blind=FEWEST_BLIND)
        queues.make_rule(judgements=2, max_readers=5, share=0.5, evidence="never")
        rule = switch_graders(switch=switch_of(), is_on=True, person_id=None)
        said = (rule.judgements, rule.max_readers, rule.share, rule.evidence, rule.grades_count)
        assert said == (2, 5, 0.5, "never", True)
        assert JudgementRule.objects.count() == 2
        assert grader_category_ids() == {rule.category_id}

    def test_is_refused_where_too_little_is_known_unless_confirmed(self) -> None:
        make_graded(FEWEST_BLIND, blind=FEWEST_BLIND - 1)
        with pytest.raises(TooFewBlindLabels, match="on 19 answers"):
            switch_graders(switch=switch_of(), is_on=True, person_id=None)
        assert grader_category_ids() == set()
        switch_graders(switch=switch_of(), is_on=True, person_id=None, is_confirmed=True)
        assert len(grader_category_ids()) == 1

    def test_goes_off_unconfirmed(self) -> None:
        queues.make_rule("math", grades_count=True)
        switch_graders(switch=switch_of(), is_on=False, person_id=None)
        assert grader_category_ids() == set()

    def test_stays_as_it_is_when_a_rule_is_made(self) -> None:
        queues.make_rule("math", grades_count=True)
        math, anna = Category.objects.get(name="math"), make.make_user()
        made = make_rule(rule=JudgementRule(category=math, judgements=2), person_id=anna.pk)
        assert (made.judgements, made.grades_count) == (2, True)
        assert not make_rule(rule=JudgementRule(judgements=2, grades_count=True), person_id=anna.pk).grades_count


class TestVerdicts:
    def test_follow_the_switch_at_once_and_a_person_counts_before_either(self) -> None:
        graded, judged = make_answers(2)
        for response in (graded, judged):
            make.make_grader_label(response, "correct")
        make.make_label(judged, "incorrect")
        math = Category.objects.get(name="math")

        assert verdicts_of([graded.pk])[graded.pk] == Decision(True, "grader", 1)
        switch_graders_in(category=math, is_on=False, person_id=None)
        off = verdicts_of([graded.pk, judged.pk])
        assert off == {graded.pk: UNDECIDED, judged.pk: Decision(False, "person", 1)}
        assert graded.labels.current().count() == 1
        queues.make_rule(grades_count=True)  # a rule for every category lets no grader label
        assert verdicts_of([graded.pk])[graded.pk] == UNDECIDED
        switch_graders_in(category=math, is_on=True, person_id=None)
        on = verdicts_of([graded.pk, judged.pk])
        assert on == {graded.pk: Decision(True, "grader", 1), judged.pk: Decision(False, "person", 1)}


class TestSwitchOnWhereNobodyDecided:
    def test_leaves_categories_with_a_rule_of_their_own_and_others(self) -> None:
        for name in ("math", "sql", "code"):
            Category.objects.create(name=name)
        queues.make_rule("sql")
        assert switch_on_where_nobody_decided(category_names=["math", "sql"]) == ["math"]
        assert switch_on_where_nobody_decided(category_names=["math", "sql"]) == []
        assert grader_category_ids() == {Category.objects.get(name="math").pk}


class TestKeepCounting:
    def test_switches_on_where_graders_labeled_before_there_was_a_switch(self) -> None:
        migration = importlib.import_module("labeling.migrations.0008_keep_counting_what_graders_labeled")
        labeled, other = make_answers(1)[0], make_answers(1, category="sql")[0]
        make.make_grader_label(labeled, "correct")
        make.make_label(other)
        JudgementRule.objects.all().delete()
        queues.make_rule("math", judgements=2)

        for _ in range(2):
            migration.switch_on_where_graders_labeled(apps, None)

        assert grader_category_ids() == {labeled.prompt.category_id}
        assert list(JudgementRule.objects.order_by("pk").values_list("judgements", "grades_count")) == [
            (2, False), (2, True),
        ]  # fmt: skip

    def test_turns_a_general_rule_into_one_of_each_category(self) -> None:
        migration = importlib.import_module("labeling.migrations.0008_keep_counting_what_graders_labeled")
        for name in ("math", "sql"):
            Category.objects.create(name=name)
        queues.make_rule("sql")
        queues.make_rule(grades_count=True)

        migration.switch_on_where_graders_labeled(apps, None)

        assert grader_category_ids() == {Category.objects.get(name="math").pk}


class TestSwitchGradersCommand:
    @pytest.mark.slow
    def test_shows_the_figures_and_switches(self, capsys: pytest.CaptureFixture[str]) -> None:
        make_graded(FEWEST_BLIND, blind=FEWEST_BLIND)
        call_command("switch_graders", "on", "math")
        told = capsys.readouterr().out
        assert "number@1 against people, on 20 answers judged blind: correct precision 100% [84%, 100%] of 20" in told
        assert "incorrect precision unknown" in told
        assert switch_of().is_on
        call_command("switch_graders", "off", "math")
        assert "0 labels that they gave stay, but count for no verdict." in capsys.readouterr().out
        assert not switch_of().is_on

    def test_wants_a_confirmation_where_too_little_is_known(self) -> None:
        make_graded(1, blind=0)
        with pytest.raises(CommandError, match="give --confirm to switch it on all the same"):
            call_command("switch_graders", "on", "math")
        assert not switch_of().is_on
        call_command("switch_graders", "on", "math", "--confirm")
        assert switch_of().is_on

    def test_switches_nothing_where_one_name_is_wrong(self) -> None:
        make_answers(1)
        with pytest.raises(CommandError, match=r"There is no category 'maths'. There are: math\."):
            call_command("switch_graders", "on", "math", "maths", "--confirm")
        assert not switch_of().is_on
