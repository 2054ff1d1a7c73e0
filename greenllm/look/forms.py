"""The form of the page that shows the design system; it is never sent."""

from django import forms


class Specimen(forms.Form):
    """One field of each kind."""

    name = forms.CharField(label="Name", help_text="Letters, digits and hyphens.")
    count = forms.IntegerField(label="Repeats", min_value=1, max_value=100)
    kind = forms.ChoiceField(label="Kind", choices=[("measured", "Measured here"), ("imported", "Imported")])
    note = forms.CharField(label="Note", widget=forms.Textarea(attrs={"rows": 2}), required=False)
