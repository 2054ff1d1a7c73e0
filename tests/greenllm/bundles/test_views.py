import asyncio
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import StreamingHttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from benchmarks.models import Study
from greenllm.bundles.views import download
from greenllm.models import User
from greenllm.roles import Role, grant_role
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.greenllm.bundles.rich_studies import edited, make_rich_study, members_of, packed, rich_bundle

IMPORT = "/studies/import/"


def person(role: Role | None) -> User:
    user = make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    return user


def signed_in(role: Role | None) -> Client:
    client = Client(headers={"Accept": "text/html"})
    client.force_login(person(role))
    return client


def uploaded(text: bytes, name: str = "rich.zip") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text, content_type="application/zip")


async def whole(response: StreamingHttpResponse) -> bytes:
    return b"".join([block async for block in response])  # type: ignore[attr-defined]


@pytest.mark.django_db
class TestDownload:
    @pytest.mark.slow
    def test_streams_the_bundle(self, rf: RequestFactory) -> None:
        study = make_rich_study()
        request = rf.get("/studies/rich/bundle.zip")
        request.user = person(Role.RESEARCHER)
        response: Any = download(request, name="rich")
        assert (response.status_code, response["Content-Type"]) == (200, "application/zip")
        assert response["Content-Disposition"] == 'attachment; filename="rich.zip"'
        assert response.is_async
        text = asyncio.run(whole(response))
        assert len(text) == int(response["Content-Length"])
        assert members_of(io.BytesIO(text)) == members_of(packed(study))

    @pytest.mark.slow
    def test_of_a_running_study_is_a_page_that_says_why(self) -> None:
        Study.objects.filter(pk=make_rich_study().pk).update(state="running")
        response = signed_in(Role.RESEARCHER).get("/studies/rich/bundle.zip")
        assert response.status_code == 409
        assert "pause it or wait for its end" in response.content.decode()

    def test_of_an_unknown_study_is_not_found(self) -> None:
        assert signed_in(Role.RESEARCHER).get("/studies/none/bundle.zip").status_code == 404

    @pytest.mark.slow
    def test_is_for_those_who_read_results(self) -> None:
        Study.objects.filter(pk=make_rich_study().pk).update(state="running")  # 409 where the door is open
        path = "/studies/rich/bundle.zip"
        assert Client().get(path).status_code == 302
        assert signed_in(None).get(path).status_code == 403
        assert signed_in(Role.ANNOTATOR).get(path).status_code == 403
        assert signed_in(Role.ADMIN).get(path).status_code == 409
        assert signed_in(Role.ADMIN).post(path).status_code == 405


@pytest.mark.django_db
class TestImport:
    @pytest.mark.slow
    def test_makes_the_study(self) -> None:
        client = signed_in(Role.RESEARCHER)
        response = client.post(IMPORT, {"bundle": uploaded(rich_bundle().getvalue()), "name": ""}, follow=True)
        assert Study.objects.get().name == "rich"
        assert "rich is here: 12 responses, measured on the machine lab" in response.content.decode()

    @pytest.mark.slow
    def test_takes_another_name(self) -> None:
        signed_in(Role.RESEARCHER).post(IMPORT, {"bundle": uploaded(rich_bundle().getvalue()), "name": "from-lab"})
        assert Study.objects.get().name == "from-lab"

    @pytest.mark.parametrize(
        ("text", "name", "told"),
        [
            pytest.param(b"no zip", "", "no whole bundle", id="no zip"),
            pytest.param(b"", "", "The file is empty; copy it again.", id="empty"),
            pytest.param(None, "", "Choose the file that manage.py export_study", id="no file"),
            pytest.param(b"x", "a b", "is not a name of at most 80 letters", id="no name"),
        ],
    )
    def test_tells_what_is_wrong_and_keeps_the_name(self, text: bytes | None, name: str, told: str) -> None:
        sent = {"name": name or "kept"} | ({"bundle": uploaded(text)} if text is not None else {})
        response = signed_in(Role.RESEARCHER).post(IMPORT, sent)
        page = response.content.decode()
        assert response.status_code == 400
        assert told in page
        assert f'value="{name or "kept"}"' in page
        assert not Study.objects.exists()

    @pytest.mark.slow
    def test_tells_of_a_study_that_is_here(self) -> None:
        study = make_rich_study()
        response = signed_in(Role.RESEARCHER).post(IMPORT, {"bundle": uploaded(packed(study).getvalue())})
        assert "The study of this bundle is here already, as rich" in response.content.decode()

    def test_is_bounded_by_the_setting(self, settings: Settings) -> None:
        settings.BUNDLE_UPLOAD_MB = 0
        response = signed_in(Role.RESEARCHER).post(IMPORT, {"bundle": uploaded(rich_bundle().getvalue())})
        assert response.status_code == 400
        assert "this page takes up to 0 MB. Import it with manage.py import_study" in response.content.decode()

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_is_for_those_who_run_studies(self, method: str) -> None:
        assert getattr(Client(), method)(IMPORT).status_code == 302
        for role, status in ((None, 403), (Role.ANNOTATOR, 403), (Role.ADJUDICATOR, 403), (Role.RESEARCHER, None)):
            found = getattr(signed_in(role), method)(IMPORT).status_code
            assert found == (status or {"get": 200, "post": 400}[method])

    def test_is_not_for_a_reader_without_a_name(self, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert Client().get(IMPORT).status_code == 302

    def test_wants_its_token(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(person(Role.RESEARCHER))
        assert client.post(IMPORT, {"bundle": uploaded(rich_bundle().getvalue())}).status_code == 403


class TestInABrowser:
    pytestmark = BROWSING

    def test_a_study_leaves_and_the_import_page_is_well(self, site: Site) -> None:
        study = make_rich_study()
        reader = person(Role.RESEARCHER)
        check_page(site, IMPORT, user=reader)
        page = site.open(IMPORT, user=reader)
        with page.expect_download() as downloaded:
            page.evaluate("() => { location.href = '/studies/rich/bundle.zip' }")
        path = downloaded.value.path()
        assert members_of(io.BytesIO(path.read_bytes())) == members_of(packed(study))
        other = edited(packed(study), "study", lambda rows: rows[0].update(uuid="11111111-1111-4111-8111-111111111111"))
        page.set_input_files("#id_bundle", {"name": "x.zip", "mimeType": "application/zip", "buffer": other.getvalue()})
        page.fill("#id_name", "from-lab")
        page.get_by_role("button", name="Import").click()
        page.get_by_text("from-lab is here: 12 responses").wait_for()
