"""Which server shall be asked for its models."""

from typing import Any
from urllib.parse import urlsplit

from django import forms

from benchmarks.models import InferenceServer, Machine
from benchmarks.reach import in_force

_EXAMPLE = "http://127.0.0.1:11434"


class ServerForm(forms.Form):
    """A server of the federation, or the address of a new one with its kind and the machine it runs on."""

    server = forms.ModelChoiceField(
        InferenceServer.objects.exclude(deployments__study_targets__study__kind="imported").order_by("name"),
        required=False,
        empty_label="New: address beside",
    )
    address = forms.CharField(max_length=200, required=False, strip=True)
    kind = forms.ChoiceField(choices=InferenceServer.Kind.choices, required=False)
    machine = forms.ModelChoiceField(
        Machine.objects.order_by("name"), required=False, empty_label="This installation's own"
    )

    def clean_address(self) -> str:
        """Return an http(s) address without a trailing slash; names, keys and queries have no place in one."""
        address = str(self.cleaned_data["address"]).rstrip("/")
        if not address:
            return ""
        try:
            parts = urlsplit(address)
            _ = parts.port  # raises for a port that is none
        except ValueError as error:
            raise forms.ValidationError(f"The address cannot be read; give one like {_EXAMPLE}.") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or any(map(str.isspace, address)):
            raise forms.ValidationError(f"The address must be a web address like {_EXAMPLE}.")
        if "@" in parts.netloc:
            raise forms.ValidationError("Leave the name and password out of the address; they would show on pages.")
        if parts.query or parts.fragment:
            raise forms.ValidationError("Leave everything from ? or # on out of the address.")
        if problem := in_force().problem_with(address):
            raise forms.ValidationError(problem)
        return address

    def clean(self) -> dict[str, Any]:
        """Want either a known server or an address, not both."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        has_address = bool(cleaned.get("address")) or "address" in self.errors
        if cleaned.get("server") and has_address:
            self.add_error("address", "Choose a known server or give a new address, not both.")
        elif not cleaned.get("server") and not has_address and "server" not in self.errors:
            self.add_error("address", f"Choose a known server above, or give the address of a new one like {_EXAMPLE}.")
        return cleaned
