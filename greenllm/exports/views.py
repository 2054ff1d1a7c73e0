"""A study for other programs: the page that tells which, and what each of them downloads."""

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.models import Study
from benchmarks.sending import announce_file, send_file
from greenllm.doors import readers_with
from greenllm.exports.queries import export_facts
from greenllm.exports.writing import KINDS, ExportError, write_export
from greenllm.roles import VIEW_RESULTS

_TYPES = {".csv": "text/csv; charset=utf-8", ".json": "application/json"}


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def choose(request: HttpRequest, name: str) -> HttpResponse:
    """Show what a study can be written as."""
    study = get_object_or_404(Study, name=name)
    context = {"study": study, "kinds": KINDS.values(), "facts": export_facts(study)}
    return render(request, "exports/choose.html", context)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def download(request: HttpRequest, name: str, kind: str) -> HttpResponseBase:
    """Send a study as another program reads it: one file as it is, several as an archive."""
    study = get_object_or_404(Study, name=name)
    if kind not in KINDS:
        raise Http404
    if request.method == "HEAD":
        return announce_file()  # one file or an archive: that is known only when it is written
    with tempfile.TemporaryDirectory(prefix="greenllm-export-") as parent:
        folder = Path(parent) / f"{study.name}-{kind}"
        try:
            files = write_export(study=study, kind=kind, folder=folder, now=timezone.now())
        except ExportError as error:
            context = {"study": study, "kinds": KINDS.values(), "facts": export_facts(study), "error": str(error)}
            return render(request, "exports/choose.html", context, status=409)
        sent = tempfile.TemporaryFile(prefix="greenllm-export-")  # noqa: SIM115  closed when it has been sent
        if len(files) == 1:
            with files[0].open("rb") as written:
                shutil.copyfileobj(written, sent)
            return send_file(sent, name=f"{study.name}-{files[0].name}", content_type=_TYPES[files[0].suffix])
        _pack(files, folder, sent)
    return send_file(sent, name=f"{folder.name}.zip", content_type="application/zip")


def _pack(files: Sequence[Path], folder: Path, sent: IO[bytes]) -> None:
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
