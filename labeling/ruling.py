"""Rules of judgement: which is in force for each category, and how a new one is made. None is ever changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from benchmarks.models import Category
from labeling.models import JudgementRule


@dataclass(frozen=True)
class RuleInForce:
    """What holds for one category: a rule of its own, the general one, or what holds without any."""

    category: Category
    rule: JudgementRule
    is_own: bool

    @property
    def graders_may_label(self) -> bool:
        """Tell whether graders may label: only a rule of the category's own can say so."""
        return self.is_own and self.rule.grades_count


def rules_in_force() -> list[RuleInForce]:
    """Return what holds for every category, by name; a rule without a key stands where nobody made one."""
    latest = {rule.category_id: rule for rule in JudgementRule.objects.order_by("pk")}
    general = latest.get(None, JudgementRule())
    return [
        RuleInForce(category, latest.get(category.pk, general), category.pk in latest)
        for category in Category.objects.order_by("name")
    ]


def history_of_rules() -> QuerySet[JudgementRule]:
    """Return every rule ever made, the latest first."""
    return JudgementRule.objects.select_related("category", "made_by").order_by("-pk")


def grader_category_ids() -> set[int]:
    """Return the categories in which graders may label: those whose own rule in force says so."""
    latest = JudgementRule.objects.filter(category__isnull=False).order_by("category_id", "-pk").distinct("category_id")
    return {int(rule.category_id or 0) for rule in latest if rule.grades_count}


def make_rule(*, rule: JudgementRule, person_id: int) -> JudgementRule:
    """Put a rule in force; where the latest of its category says the same, that one stays.

    The graders' switch stays as it is: it has a way of its own, `switch_graders_in`.
    """
    latest = _latest_of(rule.category)
    rule.grades_count = latest is not None and rule.category is not None and latest.grades_count
    return _in_force(rule, latest, person_id)


def switch_graders_in(*, category: Category, is_on: bool, person_id: int | None) -> JudgementRule:
    """Let graders label in a category or not, by a rule that is otherwise the one in force there.

    Labels that graders gave stay when it is switched off, but count for no verdict until it is on again.
    """
    latest = _latest_of(category)
    base = latest or _latest_of(None) or JudgementRule()
    rule = JudgementRule(
        category=category,
        judgements=base.judgements,
        share=base.share,
        max_readers=base.max_readers,
        evidence=base.evidence,
        grades_count=is_on,
    )
    return _in_force(rule, latest, person_id)


def _latest_of(category: Category | None) -> JudgementRule | None:
    return JudgementRule.objects.filter(category=category).order_by("-pk").first()


def _in_force(rule: JudgementRule, latest: JudgementRule | None, person_id: int | None) -> JudgementRule:
    if latest is not None and list(_said_by(latest)) == list(_said_by(rule)):
        return latest
    rule.made_by_id = person_id
    rule.save(force_insert=True)
    return rule


def _said_by(rule: JudgementRule) -> Iterator[object]:
    return (getattr(rule, name) for name in ("judgements", "share", "max_readers", "evidence", "grades_count"))
