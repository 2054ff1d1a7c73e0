"""The page on which labels leave as files and come in, after a look at what would become of them."""

import tempfile
from typing import Any

from django import forms
from django.conf import settings
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from benchmarks.bundling.archive import BundleError
from benchmarks.models import Study
from benchmarks.sending import announce_file, send_file
from labeling.doors import label_carriers_only
from labeling.exchanging.entries import FileRefused, Reading
from labeling.exchanging.formats import Format, format_of, read_labels, written
from labeling.exchanging.importing import ImportReport, import_labels
from labeling.exchanging.keeping import KEPT_FOR, drop, keep, kept
from labeling.exchanging.label_studio import LABEL_CONFIG

UPLOAD_MB = settings.UPLOAD_PAGES_MB["/label/exchange/"]
_MEBIBYTE = 1024 * 1024
_SALT = "labeling.exchange"
_FORMATS = [(one.value, one.name_shown) for one in Format]


class LabelFileForm(forms.Form):
    """A file of labels, the study that they are of, and how to read it. The file is kept between look and import."""

    study = forms.ModelChoiceField(
        Study.objects.order_by("-created_at"), to_field_name="name",
        error_messages={"required": "Choose the study whose answers were judged."},
    )  # fmt: skip
    file = forms.FileField(required=False, error_messages={"empty": "The file is empty. Export it again."})
    file_format = forms.ChoiceField(choices=[("", "Told from the file"), *_FORMATS], required=False)
    make_annotators = forms.BooleanField(required=False)
    kept = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, person_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._person_id = person_id
        self.kept_name = self.shown_name = ""

    def clean_file(self) -> UploadedFile | None:
        """Refuse a file that takes too long to read while somebody waits."""
        file: UploadedFile | None = self.cleaned_data["file"]
        if file is not None and (file.size or 0) > UPLOAD_MB * _MEBIBYTE:
            size = f"{(file.size or 0) / _MEBIBYTE:,.0f} MB"
            raise forms.ValidationError(
                f"The file has {size}, this page takes {UPLOAD_MB}: use manage.py import_labels."
            )
        return file

    def clean(self) -> dict[str, Any]:
        """Find the file that was kept where no new one came."""
        values = super().clean() or {}
        if values.get("file") is None and "file" not in self.errors:
            try:
                told = signing.loads(values.get("kept") or "", salt=_SALT, max_age=KEPT_FOR)
                self.kept_name, self.shown_name, person_id = told
            except signing.BadSignature:
                person_id = None
            if person_id != self._person_id:
                self.kept_name = self.shown_name = ""
                self.add_error("file", "Choose a file.")
        return values

    def keep_file(self) -> None:
        """Keep the file that came, so that it need not be sent again."""
        file: UploadedFile | None = self.cleaned_data.get("file")
        if file is not None:
            directory = settings.VAR_DIR / "label-files"
            self.kept_name = keep(directory=directory, blocks=file.chunks(), now=timezone.now())
            self.shown_name = file.name or "labels"

    @property
    def ticket(self) -> str:
        """Return what stands for the kept file in the page; it is good for whom it was made alone."""
        told = (self.kept_name, self.shown_name, self._person_id)
        return signing.dumps(told, salt=_SALT) if self.kept_name else ""


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@label_carriers_only
def exchange(request: HttpRequest) -> HttpResponse:
    """Offer downloads; take a file, and show what would become of it or import it."""
    person_id = int(request.user.pk or 0)
    if request.method != "POST":
        return _page(request, LabelFileForm(initial={"study": request.GET.get("study")}, person_id=person_id))
    form = LabelFileForm(request.POST, request.FILES, person_id=person_id)
    is_valid = form.is_valid()
    form.keep_file()
    if not is_valid:
        return _page(request, form, status=400)
    try:
        report, file_format = _import(form, is_preview=request.POST.get("action") != "import")
    except (FileRefused, BundleError) as error:
        form.add_error("file", str(error))
        return _page(request, form, status=400)
    if not report.is_preview:
        drop(directory=settings.VAR_DIR / "label-files", name=form.kept_name)
    return _page(request, form, report=report, file_format=file_format)


def _import(form: LabelFileForm, *, is_preview: bool) -> tuple[ImportReport, Format]:
    values, reading = form.cleaned_data, Reading()
    with kept(directory=settings.VAR_DIR / "label-files", name=form.kept_name).open("rb") as file:
        file_format = Format(values["file_format"] or format_of(file=file))
        report = import_labels(
            study=values["study"],
            entries=read_labels(file=file, file_format=file_format, reading=reading),
            reading=reading,
            now=timezone.now(),
            makes_annotators=values["make_annotators"],
            is_preview=is_preview,
        )
    return report, file_format


def _page(
    request: HttpRequest, form: LabelFileForm, *, report: ImportReport | None = None,
    file_format: Format | None = None, status: int = 200,
) -> HttpResponse:  # fmt: skip
    shown = {
        "form": form,
        "report": report,
        "file_format": file_format,
        "formats": list(Format),
        "studies": list(Study.objects.order_by("-created_at").values_list("name", flat=True)),
        "chosen": form["study"].value(),
        "upload_mb": UPLOAD_MB,
    }
    return render(request, "labeling/exchange.html", shown, status=status)


@require_safe
@label_carriers_only
def download(request: HttpRequest) -> HttpResponseBase:
    """Send a study's labels as a file; it is written whole before the first byte leaves."""
    study = get_object_or_404(Study, name=request.GET.get("study", ""))
    told = request.GET.get("format", "")
    if told not in list(Format):
        raise Http404(f"There is no format {told!r}.")
    chosen = Format(told)
    name = f"{study.name}-{chosen.value}{chosen.suffix}"
    if request.method == "HEAD":
        return announce_file(name=name, content_type=chosen.content_type)
    file = tempfile.TemporaryFile(prefix="greenllm-labels-")  # noqa: SIM115  closed when it has been sent
    for piece in written(study=study, file_format=chosen, with_unlabeled="unlabeled" in request.GET):
        file.write(piece.encode())
    return send_file(file, name=name, content_type=chosen.content_type)


@require_safe
@label_carriers_only
def label_config(_request: HttpRequest) -> HttpResponse:
    """Send the labeling configuration for a project of Label Studio."""
    response = HttpResponse(LABEL_CONFIG, content_type="application/xml")
    response["Content-Disposition"] = 'attachment; filename="label-studio-config.xml"'
    return response
