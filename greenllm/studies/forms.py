"""The form of a new study: what a person types, checked field by field."""

import math
from dataclasses import fields
from typing import Any

from django import forms

from benchmarks.choosing import STUDIED_ROLES, choose_prompts
from benchmarks.meters.configuration import MIN_PERIOD_MS
from benchmarks.models import Category, Dataset, Deployment, Machine, Prompt, Study
from benchmarks.models.catalog import PromptQuerySet
from benchmarks.models.study import (
    DEFAULT_SAMPLING_PERIOD_MS,
    MAX_BACK_TO_BACK,
    MAX_CONTROL_EVERY,
    MAX_IDLE_BASELINE_S,
    MAX_MEASURE_AGAIN_COUNT,
    MAX_WARM_UP_COUNT,
    USUAL_MEASURE_AGAIN_COUNT,
)
from benchmarks.study_plan import Design, Parameters
from benchmarks.sweeping import Number, grid_of

PARAMETER_FIELDS = ("seed", "temperature", "num_ctx", "num_predict", "top_p", "top_k", "tfs_z")
_BOTH_ROLES = "both"
_INT16_MAX, _INT32_MAX, _INT64_MAX = 2**15 - 1, 2**31 - 1, 2**63 - 1


class NumbersField(forms.CharField):
    """One number, or several separated by commas, each checked as the field of one number checks it."""

    def __init__(self, each: forms.IntegerField, **options: Any) -> None:
        super().__init__(**options)
        self.each = each

    def clean(self, value: Any) -> list[Number]:
        """Return the numbers; none of an empty field that need not be filled in."""
        text: str = super().clean(value)
        return [self.each.clean(word.strip()) for word in text.split(",")] if text else []


class StudyForm(forms.Form):
    """What a new study asks of whom, and how."""

    use_required_attribute = False  # what is missing is said beside its field, in the same words as anything wrong

    name = forms.RegexField(
        r"^[A-Za-z0-9_-]{1,80}$",
        help_text="Becomes part of its address: letters, digits, hyphens and underscores.",
        error_messages={
            "invalid": "Use at most 80 letters (a to z), digits, hyphens and underscores, without spaces.",
            "required": "Give the study a name, for example small-models-1.",
        },
    )
    title = forms.CharField(max_length=200, required=False, help_text="A few words for people; may stay empty.")
    models = forms.ModelMultipleChoiceField(
        Deployment.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text="All on one machine.",
        error_messages={
            "required": "Choose at least one model.",
            "invalid_choice": "One of the models was retired or removed meanwhile; choose again.",
        },
    )
    datasets = forms.ModelMultipleChoiceField(
        Dataset.objects.none(),
        label="Data sets",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one data set.",
            "invalid_choice": "One of the data sets is gone; choose again.",
        },
    )
    categories = forms.ModelMultipleChoiceField(
        Category.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked means every category.",
        error_messages={"invalid_choice": "One of the categories is gone; choose again."},
    )
    role = forms.ChoiceField(
        choices=[
            (_BOTH_ROLES, "Both"),
            (Prompt.Role.TRAIN.value, "Training: fills the router's index"),
            (Prompt.Role.VALIDATION.value, "Validation: unseen, checks the router"),
        ],
        initial=_BOTH_ROLES,
        label="Prompts for",
    )
    limit = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=_INT32_MAX,
        label="At most",
        help_text="So many prompts of each category and role; empty: all of them.",
    )
    repeats = forms.IntegerField(
        min_value=1, max_value=_INT16_MAX, initial=1, help_text="How often each model answers each prompt."
    )
    order = forms.ChoiceField(
        choices=[(Study.Order.GROUPED.value, "Grouped by model"), (Study.Order.INTERLEAVED.value, "Interleaved")],
        initial=Study.Order.GROUPED,
        help_text="Grouped: each model loads once. Interleaved: models take turns.",
    )
    order_seed = forms.IntegerField(
        min_value=-_INT64_MAX, max_value=_INT64_MAX, initial=0, help_text="Shuffles an interleaved order."
    )
    seed = NumbersField(forms.IntegerField(min_value=-_INT64_MAX, max_value=_INT64_MAX), initial="42")
    temperature = NumbersField(
        forms.FloatField(min_value=0, max_value=100), initial="0", help_text="0 always takes the likeliest token."
    )
    num_ctx = NumbersField(
        forms.IntegerField(min_value=1, max_value=_INT32_MAX),
        required=False,
        label="Context, num_ctx (tokens)",
        help_text="Empty: the server's own. Only Ollama takes it from a request.",
    )
    num_predict = NumbersField(
        forms.IntegerField(min_value=1, max_value=_INT32_MAX),
        initial="256",
        label="Longest answer, num_predict (tokens)",
    )
    top_p = NumbersField(
        forms.FloatField(min_value=0, max_value=1),
        required=False,
        label="top_p",
        help_text="Empty: the server's own.",
    )
    top_k = NumbersField(
        forms.IntegerField(min_value=0, max_value=_INT32_MAX),
        required=False,
        label="top_k",
        help_text="Empty: the server's own.",
    )
    tfs_z = NumbersField(
        forms.FloatField(min_value=0, max_value=1),
        required=False,
        label="Tail-free sampling, tfs_z",
        help_text="Only where a server still has it: Ollama up to 0.5.1.",
    )
    sampling_period_ms = forms.IntegerField(
        min_value=MIN_PERIOD_MS,
        max_value=60_000,
        initial=DEFAULT_SAMPLING_PERIOD_MS,
        label="Sampling period (ms)",
        help_text="How often the meters are read. 99 ms as in the paper.",
    )
    warm_up_count = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_WARM_UP_COUNT,
        label="Warm-up answers",
        help_text="Given by each model before its first measured one, and thrown away.",
    )
    back_to_back = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_BACK_TO_BACK,
        label="Back to back",
        help_text="Generations within one measurement; more than 1 for answers shorter than ten samples.",
    )
    idle_baseline_s = forms.FloatField(
        required=False,
        min_value=0,
        max_value=MAX_IDLE_BASELINE_S,
        label="Idle baseline (s)",
        help_text="Idle is measured for so long before and after, for the energy net of idle.",
    )
    control_every = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_CONTROL_EVERY,
        label="Control run every",
        help_text="So many responses. One fixed piece of work is measured again, and at start and end: does the "
        "machine drift?",
    )

    measure_again_count = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_MEASURE_AGAIN_COUNT,
        initial=USUAL_MEASURE_AGAIN_COUNT,
        label="Measure again after a gap",
        help_text="So often at most, where a meter fell silent; then the energy is kept as missing.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choose_from("models", available_deployments())
        self._choose_from("datasets", Dataset.objects.filter(prompts__isnull=False).distinct().order_by("name"))
        self._choose_from("categories", Category.objects.filter(prompts__isnull=False).distinct().order_by("name"))
        for name, field in self.fields.items():
            described = [f"id_{name}_help"] if field.help_text else []
            if self.is_bound and name in self.errors:
                described.append(f"id_{name}_error")
            field.widget.attrs |= {"aria-describedby": " ".join(described)} if described else {}
            if isinstance(field, forms.IntegerField | forms.FloatField):
                field.widget.attrs |= {"inputmode": "decimal" if isinstance(field, forms.FloatField) else "numeric"}

    def _choose_from(self, name: str, rows: Any) -> None:  # a queryset of any of three models
        field = self.fields[name]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  # for the type checker
        field.queryset = rows

    def clean_models(self) -> list[Deployment]:
        """Take models of one machine only."""
        chosen = sorted(self.cleaned_data["models"], key=lambda one: (one.language_model.name, one.pk))
        machines = sorted({one.server.machine.name for one in chosen})
        if len(machines) > 1:
            raise forms.ValidationError(
                f"These models are on the machines {', '.join(machines)}; a study measures one machine. "
                "Keep those of one, and make a study for each other."
            )
        return chosen

    def clean(self) -> dict[str, Any]:
        """Refuse a choice without a prompt."""
        cleaned = super().clean() or self.cleaned_data
        if {"datasets", "categories", "role", "limit"} <= cleaned.keys() and not self.prompts().exists():
            self.add_error(
                "datasets",
                "No prompt of these data sets is in the chosen categories and role; choose others, or import prompts.",
            )
        return cleaned

    def prompts(self) -> PromptQuerySet:
        """Return the prompts that were chosen."""
        role = self.cleaned_data["role"]
        return choose_prompts(
            datasets=[dataset.name for dataset in self.cleaned_data["datasets"]],
            categories=[category.name for category in self.cleaned_data["categories"]],
            roles=STUDIED_ROLES if role == _BOTH_ROLES else (role,),
            limit=self.cleaned_data["limit"],
            is_limit_per_role=True,
        )

    def machine(self) -> Machine:
        """Return the machine of the chosen models."""
        return self.cleaned_data["models"][0].server.machine  # type: ignore[no-any-return]  # cleaned_data is untyped

    def parameters(self) -> tuple[Parameters, ...]:
        """Return the sets of generation parameters, one for each combination of the values.

        Raises:
            StudyError: a value is named twice, or there are too many sets.
        """
        return grid_of(Parameters(num_ctx=None), {name: self.cleaned_data[name] for name in PARAMETER_FIELDS})

    def design(self) -> Design:
        """Return what the study does beside its answers."""
        said = {field.name: self.cleaned_data[field.name] for field in fields(Design)}
        return Design(**{name: value for name, value in said.items() if value is not None})

    def parameter_set_count(self) -> int:
        """Return how many sets the form makes as it stands, whether or not all of it is right."""
        return math.prod(len(self.cleaned_data.get(name) or [None]) for name in PARAMETER_FIELDS)


def available_deployments() -> Any:
    """Return the models that a study may ask, by machine and name."""
    return (
        Deployment.objects.chat()
        .exclude(study_targets__study__kind="imported")
        .serving()
        .select_related("language_model", "server__machine")
        .order_by("server__machine__name", "language_model__name", "pk")
    )
