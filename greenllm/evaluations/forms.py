"""The forms that start an evaluation or a tuning, checked field by field."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from benchmarks.models import Study
from router.evaluation.table import MOST_SPLITS
from router.reporting import ESTIMATORS, LARGEST_SEED, POLICIES, TUNABLE, USUAL_POLICIES, Plan, TuningPlan

_WORDS = {
    "nearest": "nearest: the paper's rule",
    "category": "category table, label known",
    "guarded": "guarded, untuned",
    "knn": "knn, tuned, with its dial",
    "floor": "floor at a probability",
    "cascade": "cascade, its checkers simulated",
}


def comparing_studies() -> QuerySet[Study]:
    """Return the studies that an evaluation may be of, the latest first."""
    studies = Study.objects.filter(kind__in=[Study.Kind.MEASURED, Study.Kind.IMPORTED])
    return studies.exclude(state=Study.State.DRAFT).order_by("-created_at", "-pk")


class StudyChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs only, not when run
    """A study whose answers may be judged and measured; those of the router and of live traffic compare no models."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            comparing_studies(),
            to_field_name="name",
            empty_label="Choose a study",
            error_messages={
                "required": "Choose the study whose answers count.",
                "invalid_choice": "There is no such study with answers; choose one of the list.",
            },
            **options,
        )


class EvaluationForm(forms.Form):
    """Which policies are evaluated on which study, and how."""

    use_required_attribute = False
    prefix = "evaluate"

    study = StudyChoice(help_text="Its judged and measured answers; at least 30 different prompts.")
    splits = forms.IntegerField(
        min_value=1, max_value=MOST_SPLITS, initial=20, help_text="Seeded splits by prompt text."
    )
    seed = forms.IntegerField(min_value=0, max_value=LARGEST_SEED, initial=0, help_text="Of the first split.")
    points = forms.FloatField(
        min_value=0, max_value=100, initial=1.0, label="Allowed loss (points)",
        help_text="Of accuracy, against the best single model; tuned prices keep to it.",
    )  # fmt: skip
    floor = forms.FloatField(
        min_value=0, max_value=1, initial=0.6, help_text="Probability that the policy floor wants, 0 to 1."
    )
    policies = forms.MultipleChoiceField(
        choices=[(name, _WORDS[name]) for name in POLICIES],
        initial=list(USUAL_POLICIES),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one policy."},
    )
    is_written = forms.BooleanField(
        required=False, initial=True, label="Also with typos and in other framings (embeds three times as much)"
    )

    def plan(self) -> Plan:
        """Return what a valid form asks for."""
        told = self.cleaned_data
        return Plan(
            policies=tuple(name for name in POLICIES if name in told["policies"]), split_count=told["splits"],
            seed=told["seed"], points=told["points"], floor=told["floor"], is_written=told["is_written"],
        )  # fmt: skip


class TuningForm(forms.Form):
    """Which policy is tuned on which study."""

    use_required_attribute = False
    prefix = "tune"

    study = StudyChoice(help_text="Of the machines that answer: a price is in gCO₂e.")
    policy = forms.ChoiceField(choices=[(name, name) for name in TUNABLE], initial="knn")
    estimator = forms.ChoiceField(
        required=False, choices=[(name, name) for name in ESTIMATORS], initial=ESTIMATORS[0], label="Estimates",
        help_text="Of knn and floor. The regression sees how hard a prompt is.",
    )  # fmt: skip
    loss = forms.FloatField(
        min_value=0, max_value=100, initial=1.0, label="Allowed loss (points)",
        help_text="Of accuracy, against the best single model.",
    )  # fmt: skip
    seed = forms.IntegerField(min_value=0, max_value=LARGEST_SEED, initial=0, help_text="Of the split.")

    def plan(self) -> TuningPlan:
        """Return what a valid form asks for."""
        told = self.cleaned_data
        return TuningPlan(
            policy=told["policy"], loss=told["loss"], seed=told["seed"], estimator=told["estimator"] or ESTIMATORS[0]
        )
