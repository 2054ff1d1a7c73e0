"""What is asked on the pages of people."""

from typing import ClassVar

from django import forms

from greenllm.models import User
from greenllm.roles import Role


class RolesForm(forms.Form):
    """The roles of a person."""

    roles = forms.MultipleChoiceField(choices=Role.choices, widget=forms.CheckboxSelectMultiple, required=False)

    def chosen(self) -> list[Role]:
        """Return the ticked roles."""
        return [Role(value) for value in self.cleaned_data["roles"]]


class InvitationForm(forms.ModelForm[User]):
    """The name and the roles of somebody new."""

    roles = RolesForm.base_fields["roles"]

    class Meta:
        model = User
        fields: ClassVar = ["username"]
        labels: ClassVar = {"username": "Name to sign in with"}

    def clean_username(self) -> str:
        """Refuse a name that differs from a known one by its case alone: people would mix them up."""
        username = str(self.cleaned_data["username"])
        if User.objects.filter(username__iexact=username).exists():
            raise forms.ValidationError(f"There is a person named {username} already; choose another name.")
        return username

    def chosen(self) -> list[Role]:
        """Return the ticked roles."""
        return [Role(value) for value in self.cleaned_data["roles"]]
