"""HEAD on a download tells its type and its name, and makes no file."""

import pytest
from django.test import Client

from greenllm.roles import Role, grant_role
from tests import factories as make

pytestmark = pytest.mark.django_db
# the address, what would make the file, and the name that it has
DOWNLOADS = [
    ("/studies/s/export/codecarbon/", "greenllm.exports.views.write_export", ""),
    ("/studies/s/bundle.zip", "greenllm.bundles.views.pack_study", "s.zip"),
    ("/studies/s/report/file.csv", "greenllm.reports.views.study_report", "s-report.csv"),
    ("/studies/s/spread/cells.csv", "greenllm.studies.spreads.spread_table", "s-spread-cells.csv"),
    ("/responses/{pk}/samples.csv", "greenllm.studies.samples._rows", "response-{pk}-samples.csv"),
    ("/responses/{pk}/samples.parquet", "greenllm.studies.samples._rows", "response-{pk}-samples.parquet"),
    ("/label/exchange/download/?study=s&format=csv", "labeling.exchange.written", "s-csv.csv"),
    ("/label/quality/people.csv", "greenllm.quality.views.reliability", "quality-people.csv"),
    ("/dashboards/mean-sci.csv?study=s", "greenllm.dashboards.boards.study_tables", "s-mean-sci.csv"),
    ("/dashboards/operations/carbon.csv", "greenllm.operations.views.panel_sheet", "operations-carbon.csv"),
]


@pytest.fixture
def admin(client: Client) -> Client:
    user = make.make_user()
    grant_role(user=user, role=Role.ADMIN)
    client.force_login(user)
    return client


@pytest.fixture
def pk() -> int:
    return make.make_response(make.make_prompt(), make.make_deployment(), study=make.make_study("s")).pk


class TestHead:
    @pytest.mark.slow
    @pytest.mark.parametrize(("address", "maker", "name"), DOWNLOADS)
    def test_makes_no_file(
        self, admin: Client, pk: int, monkeypatch: pytest.MonkeyPatch, address: str, maker: str, name: str
    ) -> None:
        is_sent_piecewise = name in {"", "s.zip", "s-csv.csv"}  # what the server alone reads to its end
        told = None if is_sent_piecewise else admin.get(address.format(pk=pk))
        monkeypatch.setattr(maker, lambda *_, **__: pytest.fail(f"{maker} was called"))
        response = admin.head(address.format(pk=pk))
        assert response.status_code == 200
        wanted = f'attachment; filename="{name.format(pk=pk)}"' if name else "attachment"
        assert response["Content-Disposition"] == wanted
        if told is not None:
            assert told.status_code == 200
            assert (response["Content-Type"], wanted) == (told["Content-Type"], told["Content-Disposition"])
        assert response.content == b""

    @pytest.mark.parametrize(
        "address",
        [
            "/studies/none/bundle.zip",
            "/studies/s/report/file.xls",
            "/studies/s/export/xls/",
            "/dashboards/none.csv?study=s",
        ],
    )
    def test_of_what_is_not_there_is_not_found(self, admin: Client, pk: int, address: str) -> None:
        assert pk
        assert admin.head(address).status_code == 404

    def test_of_the_quality_of_labels_counts_nothing(self, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("greenllm.quality.views.reliability", lambda: pytest.fail("labels were counted"))
        response = admin.head("/label/quality.json")
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
