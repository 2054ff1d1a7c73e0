"""Which acts are asked for."""

from django import forms

from greenllm.acts.watched import WATCHED
from greenllm.models import AdminAct


class ActsForm(forms.Form):
    """Narrow the list of acts; what is left empty does not count."""

    name = forms.CharField(label="Part of the name", max_length=150, required=False)
    place = forms.ChoiceField(label="Where", choices=[("", "Everywhere"), *AdminAct.Place.choices], required=False)
    table = forms.ChoiceField(
        label="Of what",
        choices=[
            ("", "Everything"),
            *sorted(((table, name) for table, (name, _) in WATCHED.items()), key=lambda one: one[1]),
        ],
        required=False,
    )
    since = forms.DateField(label="Since (UTC)", widget=forms.DateInput(attrs={"type": "date"}), required=False)

    def clean_name(self) -> str:
        """Return the name without what Postgres cannot hold."""
        return str(self.cleaned_data["name"]).replace("\x00", "")
