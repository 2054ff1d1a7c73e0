"""The page on which admins say how often answers are judged, and the one that explains what becomes of it."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from benchmarks.models import Category
from labeling.doors import rule_makers_only
from labeling.models import MAX_READERS, JudgementRule, Label, Verdict
from labeling.ruling import history_of_rules, make_rule, rules_in_force
from labeling.switching import FEWEST_BLIND, GraderSwitch, TooFewBlindLabels, grader_switches, switch_graders
from labeling.verdicts import Decision, Judgement, Step, decide, next_step
from labeling.waiting import QueueFilter, count_in

_PAGE_SIZE = 20


class RuleForm(forms.Form):
    """A new rule of judgement."""

    category = forms.ModelChoiceField(
        Category.objects.order_by("name"), required=False, empty_label="Every category without a rule of its own"
    )
    judgements = forms.IntegerField(
        min_value=1, max_value=MAX_READERS, initial=1, label="Judgements per answer", help_text=f"1 to {MAX_READERS}"
    )
    share = forms.FloatField(
        min_value=0.1, max_value=100, initial=100, label="Share of the answers judged so often (%)",
        help_text="The others are judged once. Which ones does not change.",
    )  # fmt: skip
    max_readers = forms.IntegerField(
        min_value=1, max_value=MAX_READERS, initial=3, label="Readers at most",
        help_text="One more at a time while right and wrong are level; then an adjudicator.",
    )  # fmt: skip
    evidence = forms.ChoiceField(
        choices=JudgementRule.Evidence.choices, initial="after_vote", label="Show what graders found"
    )

    def clean(self) -> dict[str, Any]:
        """Refuse fewer readers than judgements."""
        values = super().clean() or {}
        judgements, max_readers = values.get("judgements"), values.get("max_readers")
        if judgements and max_readers and max_readers < judgements:
            self.add_error("max_readers", f"At least {judgements}: so many people shall judge each answer.")
        return values

    def rule(self) -> JudgementRule:
        """Return the rule, unsaved."""
        return JudgementRule(**{**self.cleaned_data, "share": self.cleaned_data["share"] / 100})


def _kept_beside(made: JudgementRule) -> str:
    """Name the categories that a general rule leaves alone: the graders' switch, too, gives them one of their own."""
    own = [one.category.name for one in rules_in_force() if one.is_own] if made.category_id is None else []
    return f" These keep a rule of their own: {', '.join(own)}." if own else ""


class SwitchForm(forms.Form):
    """The switch that lets graders label in one category."""

    category = forms.ModelChoiceField(Category.objects.order_by("name"))
    state = forms.ChoiceField(choices=[("on", "on"), ("off", "off")])
    confirmed = forms.BooleanField(required=False, label="I switch it on all the same")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@rule_makers_only
def rules(request: HttpRequest) -> HttpResponse:
    """Show the rules in force with their history; take a new one."""
    form = RuleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = make_rule(rule=form.rule(), person_id=int(request.user.pk or 0))
        counted = count_in(QueueFilter(category=made.category))
        left = counted.total_count - counted.judged_count
        messages.success(
            request,
            f"In force for {made.category or 'every category without a rule of its own'}. "
            f"{left} of {counted.total_count} answers wait for readers now; nothing that was said is lost."
            + _kept_beside(made),
        )
        return redirect("labeling:rules")
    return _rules_page(request, form)


@require_POST
@never_cache
@rule_makers_only
def switch(request: HttpRequest) -> HttpResponse:
    """Let graders label in a category, or not any more; ask again where too little is known of them."""
    form = SwitchForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was switched: choose one of the categories here, and on or off.")
        return redirect("labeling:rules")
    category, is_on = form.cleaned_data["category"], form.cleaned_data["state"] == "on"
    chosen = next(one for one in grader_switches() if one.category == category)
    try:
        switch_graders(
            switch=chosen, is_on=is_on, person_id=request.user.pk, is_confirmed=form.cleaned_data["confirmed"]
        )
    except TooFewBlindLabels as error:
        return _rules_page(request, RuleForm(), refused=Refusal(category, str(error)))
    messages.success(request, _switched(chosen, is_on=is_on))
    return redirect("labeling:rules")


@dataclass(frozen=True)
class Refusal:
    """Why graders were not let to label in a category: it wants a confirmation."""

    category: Category
    reason: str


def _rules_page(request: HttpRequest, form: RuleForm, *, refused: Refusal | None = None) -> HttpResponse:
    context = {
        "form": form,
        "in_force": rules_in_force(),
        "page": Paginator(history_of_rules(), _PAGE_SIZE).get_page(request.GET.get("page")),
        "switches": grader_switches(),
        "fewest": FEWEST_BLIND,
        "refused": refused,
    }
    return render(request, "labeling/rules.html", context)


def _switched(chosen: GraderSwitch, *, is_on: bool) -> str:
    """Return what the switch did, in words."""
    labels = f"{chosen.label_count} label{'' if chosen.label_count == 1 else 's'}"
    if is_on:
        return (
            f"Graders may label in {chosen.category}. {labels} that they gave count; further suggestions become labels "
            "when a study is graded, or accepted on its page."
        )
    return (
        f"Graders may not label in {chosen.category} any more. {labels} that they gave stay, but count for no verdict."
    )


@dataclass(frozen=True)
class Example:
    """One worked example of the rule: what was said, how many shall judge, and what the function makes of it."""

    said: str
    wanted: int
    max_readers: int
    decision: Decision
    step: Step


_EXAMPLES: tuple[tuple[int, int, tuple[tuple[str, str, str], ...]], ...] = (
    # how many shall judge, and how many may; then whose, what kind and which verdict
    (1, 3, (("person", "judgement", "correct"),)),
    (2, 3, (("person", "judgement", "correct"),)),
    (2, 3, (("person", "judgement", "correct"), ("person", "judgement", "correct"))),
    (2, 3, (("person", "judgement", "correct"), ("person", "judgement", "incorrect"))),
    (2, 3, tuple(("person", "judgement", verdict) for verdict in ("correct", "incorrect", "incorrect"))),
    (2, 3, tuple(("person", "judgement", verdict) for verdict in ("correct", "incorrect", "unsure"))),
    (1, 3, (("person", "judgement", "unsure"),)),
    (2, 2, (("person", "judgement", "correct"), ("person", "judgement", "incorrect"),
            ("person", "adjudication", "incorrect"))),
    (1, 3, (("person", "judgement", "correct"), ("person", "self_check", "incorrect"))),
    (1, 3, (("grader", "judgement", "correct"),)),
    (1, 3, (("grader", "judgement", "correct"), ("person", "judgement", "incorrect"))),
)  # fmt: skip
_WHO = {
    Label.Kind.ADJUDICATION: "adjudicator",
    Label.Kind.SELF_CHECK: "the same reader again",
    Label.Kind.JUDGEMENT: "reader",
}


@require_safe
@login_required
def verdict_rule(request: HttpRequest) -> HttpResponse:
    """Explain how labels become a verdict, by examples that the rule itself works out."""
    return render(request, "labeling/verdict_rule.html", {"examples": [_example(*one) for one in _EXAMPLES]})


def _example(wanted: int, max_readers: int, given: tuple[tuple[str, str, str], ...]) -> Example:
    judgements = [Judgement(source, verdict, kind) for source, kind, verdict in given]
    said = ", ".join(
        f"{_WHO[Label.Kind(kind)] if source == Label.Source.PERSON else source}: {Verdict(verdict).label.lower()}"
        for source, kind, verdict in given
    )
    return Example(
        said,
        wanted,
        max_readers,
        decide(judgements, wanted=wanted),
        next_step(judgements, wanted=wanted, max_readers=max_readers),
    )
