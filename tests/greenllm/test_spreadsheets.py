"""Every address that gives CSV, asked from outside over names that a spreadsheet would run as formulas."""

import csv
import io
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.db.models import F, Value
from django.db.models.fields import CharField
from django.db.models.functions import Cast, Concat
from django.test import Client
from django.urls import reverse

from benchmarks.models import Category, Dataset, InferenceServer, LanguageModel, Machine, Prompt, Response, Study
from benchmarks.spread_rows import SPREAD_TABLES
from greenllm.dashboards import charting
from greenllm.evaluations.tables import SHEETS as EVALUATION_SHEETS
from greenllm.exports.writing import KINDS
from greenllm.models import User
from greenllm.operations.panels import PANELS
from greenllm.quality.tables import SHEETS as QUALITY_SHEETS
from router.models import Evaluation
from tests import factories as make
from tests.greenllm.doors.world import named_routes
from tests.greenllm.exports.mixed import make_mixed_study

pytestmark = pytest.mark.django_db
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
_OTHERS = {"exports:download", "reports:file", "labeling:download-labels"}  # CSV among other kinds of files


def poison(study: Study) -> None:
    """Have every name that people, models and servers give begin as a formula does."""
    for model, names in (
        (LanguageModel, ["name"]), (Category, ["name", "title"]), (Dataset, ["name"]), (Prompt, ["external_id"]),
        (InferenceServer, ["name"]), (Machine, ["name"]), (User, ["username"]),
    ):  # fmt: skip
        for name in names:
            key = Cast(F("pk"), CharField())
            model._default_manager.update(**{name: Concat(Value("=1+"), key)})
    Study.objects.filter(pk=study.pk).update(title="=1+1", machine_snapshot={"cpu_model": "@SUM(1)", "zone": "DE"})
    Response.objects.update(text="-1+1", error="+1")


def addresses(study: Study) -> Iterator[tuple[str, str]]:
    """Yield the name of each route that gives CSV and an address of it, for every table that it has."""
    name, pk = study.name, study.responses.earliest("pk").pk
    for one in QUALITY_SHEETS:
        yield "quality:csv", reverse("quality:csv", args=[one])
    for one in (*charting.TABLE_SHEETS, "figure-2"):
        yield "dashboards:csv", f"{reverse('dashboards:csv', args=[one])}?study={name}"
    for one in PANELS:
        yield "operations:csv", reverse("operations:csv", args=[one])
    for one in SPREAD_TABLES:
        yield "studies:spread-csv", reverse("studies:spread-csv", args=[name, one])
    for one in KINDS:
        yield "exports:download", reverse("exports:download", args=[name, one])
    evaluation = Evaluation.objects.get()
    for one in EVALUATION_SHEETS:
        yield "routing:csv", reverse("routing:csv", args=[evaluation.pk, one])
    yield "reports:file", reverse("reports:file", args=[name, "csv"])
    yield "studies:samples", reverse("studies:samples", args=[pk])
    yield "account:acts-csv", reverse("account:acts-csv")
    yield (
        "labeling:download-labels",
        f"{reverse('labeling:download-labels')}?{urlencode({'study': name, 'format': 'csv'})}",
    )


def content_of(response: Any) -> bytes:
    """Return a response whole; a file is closed at its end."""

    async def gathered() -> bytes:
        return b"".join([part async for part in response.streaming_content])

    return async_to_sync(gathered)() if response.streaming else bytes(response.content)


def cells(response: Any) -> list[str]:
    """Return the cells of a file, or of the files of an archive; none of one that is no CSV."""
    kind, content = response["Content-Type"], content_of(response)
    files = [content] if kind.startswith("text/csv") else []
    if kind == "application/zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [archive.read(one) for one in archive.namelist() if one.endswith(".csv")]
    return [cell for file in files for row in csv.reader(io.StringIO(file.decode(), newline="")) for cell in row]


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


class TestEveryCsv:
    @pytest.mark.slow
    def test_holds_nothing_that_a_spreadsheet_would_run(self) -> None:
        study = make_mixed_study()
        owner = make.make_user("root", is_staff=True, is_superuser=True)
        Evaluation.objects.create(study=study, outcomes="=1+1", created_at=make.NOW)
        client = Client()
        client.force_login(owner)
        client.post("/account/people/add/", {"username": "new"})
        poison(study)
        asked, harmless = set(), set()
        for route, path in addresses(study):
            response = client.get(path)
            assert response.status_code in {200, 404}, path
            found = cells(response) if response.status_code == 200 else []
            bad = [cell for cell in found if cell.startswith(FORMULA_STARTS) and not is_number(cell)]
            assert not bad, (path, bad[:3])
            asked.add(route)
            if any(cell.startswith("'=1+") for cell in found):
                harmless.add(route)
        given = {name for name, _ in named_routes() if "csv" in name.partition(":")[2]} | {"studies:samples"} | _OTHERS
        assert asked == given
        assert harmless >= {"quality:csv", "dashboards:csv", "studies:spread-csv", "reports:file", "account:acts-csv"}
