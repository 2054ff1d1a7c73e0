"""What is asked on the pages of API keys."""

from dataclasses import fields
from typing import Any, ClassVar

from django import forms

from greenllm.models import User
from router.key_terms import WantedTerms, every_scope_as_none, unknown_models
from router.models import ApiKey
from router.terms import SCOPE_WORDS, read_names

_NUMBERS = (
    "requests_per_minute", "tokens_per_minute", "budget_gco2e_per_hour", "soft_gco2e_per_day", "hard_gco2e_per_day",
    "soft_gco2e_per_month", "hard_gco2e_per_month",
)  # fmt: skip


class TermsForm(forms.ModelForm[ApiKey]):
    """What a key may be used for; what is left empty does not count."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{words.capitalize()} ({scope.value})") for scope, words in SCOPE_WORDS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    allowed_models = forms.CharField(
        label="Models that may answer",
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text="One name on a line. Empty: every model. With auto the router chooses among these.",
    )

    class Meta:
        model = ApiKey
        fields: ClassVar = ["scopes", "allowed_models", *_NUMBERS]
        labels: ClassVar = {
            "requests_per_minute": "Requests per minute",
            "tokens_per_minute": "Tokens per minute",
            "budget_gco2e_per_hour": "Hour (gCO₂e)",
            "soft_gco2e_per_day": "Day, soft limit (gCO₂e)",
            "hard_gco2e_per_day": "Day, hard limit (gCO₂e)",
            "soft_gco2e_per_month": "Month, soft limit (gCO₂e)",
            "hard_gco2e_per_month": "Month, hard limit (gCO₂e)",
        }
        help_texts: ClassVar = dict.fromkeys(_NUMBERS, "")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["allowed_models"] = "\n".join(self.instance.allowed_models)
        for name in _NUMBERS[2:]:
            self.fields[name].widget.attrs["step"] = "any"

    def clean_scopes(self) -> list[str]:
        """Return the ticked scopes; all of them are the same as none."""
        return every_scope_as_none(self.cleaned_data["scopes"])

    def clean_allowed_models(self) -> list[str]:
        """Refuse a name that no model of the federation has: the key would open less than was meant."""
        names = read_names(str(self.cleaned_data["allowed_models"]))
        # one that was retired since stays on the list
        if unknown := unknown_models(names, also=self.instance.allowed_models):
            raise forms.ValidationError(f"No model here is called {', '.join(unknown)}; see the page Federation.")
        return names

    def terms(self) -> WantedTerms:
        """Return what was asked for."""
        return WantedTerms(**{one.name: self.cleaned_data[one.name] for one in fields(WantedTerms)})

    @property
    def narrowing(self) -> list[forms.BoundField]:
        """Return the fields of models and rates."""
        return [self[name] for name in ("requests_per_minute", "tokens_per_minute")]

    @property
    def budgets(self) -> list[forms.BoundField]:
        """Return the fields of carbon."""
        return [self[name] for name in _NUMBERS[2:]]


class NewKeyForm(TermsForm):
    """What a new key is for, and what it may be used for."""

    name = forms.CharField(
        label="What the key is for",
        max_length=100,
        error_messages={"required": "Say what the key is for, so that you know later which one to revoke."},
    )


class GivenKeyForm(NewKeyForm):
    """A new key for somebody else."""

    username = forms.CharField(label="Whose key", max_length=150, help_text="The name that the person signs in with.")

    def clean_username(self) -> User:
        """Return the person of that name."""
        person = User.objects.filter(username=self.cleaned_data["username"], is_active=True).first()
        if person is None:
            raise forms.ValidationError("Nobody who may sign in has this name; see the page People.")
        return person
