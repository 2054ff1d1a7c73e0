"""The form that takes a bundle."""

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from benchmarks.study_plan import StudyError, check_name
from greenllm.bundles.carriage import MEBIBYTE


class BundleForm(forms.Form):
    """A bundle and, where its own name is taken, another name for the study."""

    bundle = forms.FileField(
        error_messages={
            "required": "Choose the file that manage.py export_study or the Export link made.",
            "empty": "The file is empty; copy it again.",
        }
    )
    name = forms.CharField(required=False, max_length=80)

    def clean_bundle(self) -> UploadedFile:
        """Refuse a file that is larger than the setting allows."""
        bundle: UploadedFile = self.cleaned_data["bundle"]
        limit = settings.BUNDLE_UPLOAD_MB
        if (bundle.size or 0) > limit * MEBIBYTE:
            raise forms.ValidationError(
                f"The file has {(bundle.size or 0) / MEBIBYTE:,.0f} MB; this page takes up to {limit} MB. "
                f"Import it with manage.py import_study."
            )
        return bundle

    def clean_name(self) -> str:
        """Take only what a study may be named."""
        name: str = self.cleaned_data["name"].strip()
        if name:
            try:
                check_name(name)
            except StudyError as error:
                raise forms.ValidationError(str(error)) from error
        return name
