"""The page of exports and its downloads, from outside."""

import asyncio
import csv
import io
import json
import zipfile
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import Client, RequestFactory
from pyarrow import parquet
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Study
from greenllm.exports.views import download
from greenllm.exports.writing import KINDS
from greenllm.roles import Role
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.greenllm.exports.mixed import make_mixed_study
from tests.greenllm.studies.shown import make_person

PATHS = ("/studies/mixed/export/", *(f"/studies/mixed/export/{kind}/" for kind in KINDS))


async def whole(response: StreamingHttpResponse) -> bytes:
    return b"".join([block async for block in response])  # type: ignore[attr-defined]


def downloaded(kind: str) -> tuple[str, bytes]:
    request = RequestFactory().get(f"/studies/mixed/export/{kind}/")
    request.user = make_person(Role.RESEARCHER)
    response: Any = download(request, "mixed", kind)
    content = asyncio.run(whole(response))
    assert response["Content-Length"] == str(len(content))
    return response["Content-Disposition"], content


@pytest.mark.django_db
class TestDoors:
    @pytest.fixture(autouse=True)
    def study(self) -> Study:
        return make.make_study("mixed")  # without answers: a download is 409 where the door is open

    @pytest.mark.parametrize("path", PATHS)
    def test_send_a_stranger_to_the_sign_in_page(self, client: Client, path: str) -> None:
        response = client.get(path)
        assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={path}")

    @pytest.mark.parametrize("path", PATHS)
    def test_are_closed_to_people_who_judge_blind(self, client: Client, path: str) -> None:
        client.force_login(make_person(Role.ANNOTATOR))
        assert client.get(path).status_code == 403

    @pytest.mark.parametrize("path", PATHS)
    def test_are_open_to_researchers_who_get(self, client: Client, path: str) -> None:
        client.force_login(make_person(Role.RESEARCHER))
        assert client.get(path).status_code == (200 if path == PATHS[0] else 409)
        assert client.post(path).status_code == 405

    @pytest.mark.parametrize("path", ["/studies/none/export/", "/studies/mixed/export/excel/"])
    def test_lead_to_nothing_that_is_not_there(self, client: Client, path: str) -> None:
        client.force_login(make_person(Role.RESEARCHER))
        assert client.get(path).status_code == 404


@pytest.mark.django_db
class TestPage:
    @pytest.mark.slow
    def test_tells_what_would_be_written(
        self, client: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        make_mixed_study(quality="simulated")
        client.force_login(make_person(Role.RESEARCHER))
        with django_assert_num_queries(6):  # session, person, permissions; study, answers by quality
            page = client.get("/studies/mixed/export/").content.decode()
        assert "6 finished answers; energies: simulated; 1 without energy, which stay empty." in page
        assert "no device measured them" in page
        for kind in KINDS:
            assert f'href="/studies/mixed/export/{kind}/"' in page

    def test_says_why_there_is_nothing_to_write(self, client: Client) -> None:
        make.make_study("mixed")
        client.force_login(make_person(Role.RESEARCHER))
        assert "No answer is finished yet" in client.get("/studies/mixed/export/").content.decode()
        refused = client.get("/studies/mixed/export/codecarbon/")
        assert refused.status_code == 409
        assert "has no finished answer yet" in refused.content.decode()


@pytest.mark.django_db
class TestDownload:
    def test_of_one_file_is_that_file(self) -> None:
        make_mixed_study()
        named, content = downloaded("codecarbon")
        assert named == 'attachment; filename="mixed-emissions.csv"'
        assert len(list(csv.DictReader(io.StringIO(content.decode())))) == 6

    @pytest.mark.slow
    def test_of_several_is_an_archive_with_a_folder(self) -> None:
        make_mixed_study()
        named, content = downloaded("huggingface")
        assert named == 'attachment; filename="mixed-huggingface.zip"'
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert parquet.read_table(archive.open("mixed-huggingface/data/responses.parquet")).num_rows == 6

    @pytest.mark.slow
    def test_of_reports_is_an_archive(self) -> None:
        make_mixed_study()
        with zipfile.ZipFile(io.BytesIO(downloaded("boamps")[1])) as archive:
            assert [json.loads(archive.read(name))["task"]["nbRequest"] for name in archive.namelist()] == [2, 3]


class TestBrowser:
    pytestmark = BROWSING

    def test_page_with_answers(self, site: Site) -> None:
        make_mixed_study(quality="simulated")
        check_page(site, "/studies/mixed/export/", user=make_person(Role.RESEARCHER))

    def test_page_without(self, site: Site) -> None:
        make.make_study("mixed")
        check_page(site, "/studies/mixed/export/", user=make_person(Role.RESEARCHER))
