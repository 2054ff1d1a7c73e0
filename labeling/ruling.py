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


def make_rule(*, rule: JudgementRule, person_id: int) -> JudgementRule:
    """Put a rule in force; where the latest of its category says the same, that one stays."""
    latest = JudgementRule.objects.filter(category=rule.category).order_by("-pk").first()
    if latest is not None and list(_said_by(latest)) == list(_said_by(rule)):
        return latest
    rule.made_by_id = person_id
    rule.save(force_insert=True)
    return rule


def _said_by(rule: JudgementRule) -> Iterator[object]:
    return (getattr(rule, name) for name in ("judgements", "share", "max_readers", "evidence", "grades_count"))
