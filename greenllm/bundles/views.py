"""A study leaves as an archive, and comes in as one."""

import tempfile

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from benchmarks.bundling.archive import BundleError
from benchmarks.models import Study
from benchmarks.sending import announce_file, send_file
from greenllm.bundles.carriage import pack_study, unpack_study
from greenllm.bundles.forms import BundleForm
from greenllm.doors import people_with, readers_with
from greenllm.roles import RUN_STUDIES, VIEW_RESULTS


@require_safe
@readers_with(VIEW_RESULTS)
def download(request: HttpRequest, name: str) -> HttpResponseBase:
    """Send a study as a bundle; it is written to a file first, so that a refusal is a page and not half an archive."""
    study = get_object_or_404(Study, name=name)
    if request.method == "HEAD":
        return announce_file(name=f"{study.name}.zip", content_type="application/zip")
    file = tempfile.TemporaryFile(prefix="greenllm-bundle-")  # noqa: SIM115  closed when it has been sent
    try:
        pack_study(study=study, file=file, now=timezone.now())
    except BundleError as error:
        file.close()
        return render(request, "bundles/refused.html", {"study": study, "error": str(error)}, status=409)
    return send_file(file, name=f"{study.name}.zip", content_type="application/zip")


@require_http_methods(["GET", "HEAD", "POST"])
@people_with(RUN_STUDIES)
def import_bundle(request: HttpRequest) -> HttpResponse:
    """Show the form, or make a study of the bundle that was sent."""
    if request.method != "POST":
        return _page(request, BundleForm())
    form = BundleForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, status=400)
    try:
        imported = unpack_study(
            file=form.cleaned_data["bundle"].file, now=timezone.now(), name=form.cleaned_data["name"] or None
        )
    except BundleError as error:
        form.add_error("bundle", str(error))
        return _page(request, form, status=400)
    study = imported.study
    machine = study.machine.name if study.machine is not None else "unknown"
    messages.success(
        request, f"{study} is here: {imported.counts['responses']:,} responses, measured on the machine {machine}."
    )
    for note in imported.notes[:20]:
        messages.info(request, note)
    return redirect(_page_of(study))


def _page(request: HttpRequest, form: BundleForm, status: int = 200) -> HttpResponse:
    return render(request, "bundles/import.html", {"form": form, "limit_mb": settings.BUNDLE_UPLOAD_MB}, status=status)


def _page_of(study: Study) -> str:
    """Return the page of a study, or the first page where studies have no page of their own."""
    try:
        return reverse("studies:detail", args=[study.name])
    except NoReverseMatch:
        return reverse("dashboards:home")
