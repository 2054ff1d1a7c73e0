"""The page of labels as files, from outside."""

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.exchanging.formats import Format
from labeling.exchanging.keeping import drop, keep
from labeling.models import Label
from tests import factories as make
from tests.labeling.exchanges import everything, exported, forget_labels, make_judged_study

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PAGE = "/label/exchange/"
DOWNLOAD = f"{PAGE}download/"
CONFIG = f"{PAGE}label-studio-config.xml"


@pytest.fixture(autouse=True)
def _own_directory(settings: LazySettings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path


@pytest.fixture
def admin(client: Client) -> User:
    user = make.make_user("root")
    grant_role(user=user, role=Role.ADMIN)
    client.force_login(user)
    return user


def send(client: Client, content: bytes | None, name: str = "labels.jsonl", **fields: str) -> Any:
    """Send the form, with a file or with what was kept."""
    sent: dict[str, Any] = {"study": "judged", "action": "preview", **fields}
    if content is not None:
        sent["file"] = SimpleUploadedFile(name, content)
    return client.post(PAGE, sent)


def ticket_of(response: Any) -> str:
    found = re.search(r'name="kept" value="([^"]+)"', response.content.decode())
    assert found is not None
    return found.group(1)


class TestDoors:
    @pytest.mark.parametrize("path", [PAGE, DOWNLOAD, CONFIG])
    def test_take_strangers_to_the_sign_in_page(self, client: Client, path: str) -> None:
        assert client.get(path)["Location"] == f"/account/sign-in/?next={path}"

    @pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.ADJUDICATOR, Role.RESEARCHER])
    def test_are_closed_to_other_roles(self, client: Client, role: Role) -> None:
        make_judged_study()
        user = make.make_user()
        grant_role(user=user, role=role)
        client.force_login(user)
        for path in (PAGE, f"{DOWNLOAD}?study=judged&format=csv", CONFIG):
            assert client.get(path).status_code == 403
        assert client.post(PAGE).status_code == 403

    def test_keep_the_token_of_the_form(self, admin: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(admin)
        assert strict.post(PAGE, {"study": "judged", "action": "import"}).status_code == 403
        assert [strict.post(path).status_code for path in (DOWNLOAD, CONFIG)] == [403, 403]

    def test_downloads_are_read_only(self, client: Client, admin: User) -> None:
        assert [client.post(path).status_code for path in (DOWNLOAD, CONFIG)] == [405, 405]


class TestDownload:
    def test_names_what_is_not_there(self, client: Client, admin: User) -> None:
        make_judged_study()
        assert client.get(f"{DOWNLOAD}?study=none&format=csv").status_code == 404
        assert client.get(f"{DOWNLOAD}?study=judged&format=xlsx").status_code == 404

    def test_of_the_configuration_is_a_file(self, client: Client, admin: User) -> None:
        response = client.get(CONFIG)
        assert response["Content-Disposition"] == 'attachment; filename="label-studio-config.xml"'
        assert b'<Choice value="unsure"' in response.content


class TestImport:
    def test_shows_first_and_stores_then(self, client: Client, admin: User, tmp_path: Path) -> None:
        study = make_judged_study()
        before, content = everything(), exported(study)
        forget_labels()
        looked = send(client, content + b'{"response": 0, "verdict": "correct"}\n')
        page = looked.content.decode()
        assert "<b>8</b> new labels" in page
        assert "The study has no finished answer 0." in page
        assert not Label.objects.exists()
        done = send(client, None, kept=ticket_of(looked), action="import").content.decode()
        assert "<b>8</b> labels imported" in done
        assert everything() == before
        assert list((tmp_path / "label-files").iterdir()) == []

    def test_keeps_the_file_where_it_is_to_be_read_otherwise(self, client: Client, admin: User) -> None:
        content = exported(make_judged_study(), Format.CSV)
        refused = send(client, content, "mine.csv", file_format="jsonl")
        assert refused.status_code == 400
        assert "Choose the format that the file has" in refused.content.decode()
        assert "mine.csv is kept" in refused.content.decode()
        again = send(client, None, kept=ticket_of(refused), file_format="csv")
        assert "<b>8</b> here already" in again.content.decode()

    def test_keeps_the_file_where_the_study_is_missing(self, client: Client, admin: User) -> None:
        content = exported(make_judged_study())
        refused = send(client, content, study="")
        assert "Choose the study whose answers were judged." in refused.content.decode()
        assert "<b>8</b> here already" in send(client, None, kept=ticket_of(refused)).content.decode()

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"", "The file is empty."), (None, "Choose a file."), (b"\xff\xfer\x00", "UTF-16"), (b"PK", "say which one")],
    )
    def test_says_what_is_wrong_with_a_file(
        self, client: Client, admin: User, content: bytes | None, words: str
    ) -> None:
        make_judged_study()
        refused = send(client, content, file_format="csv" if content and content.startswith(b"\xff") else "")
        assert refused.status_code == 400
        assert words in refused.content.decode()

    def test_gives_a_kept_file_to_nobody_else(self, client: Client, admin: User) -> None:
        ticket = ticket_of(send(client, exported(make_judged_study())))
        other = make.make_user()
        grant_role(user=other, role=Role.ADMIN)
        client.force_login(other)
        assert "Choose a file." in send(client, None, kept=ticket).content.decode()
        assert "Choose a file." in send(client, None, kept="../../etc/passwd").content.decode()

    def test_asks_for_a_file_that_was_imported_already(self, client: Client, admin: User) -> None:
        ticket = ticket_of(send(client, exported(make_judged_study())))
        send(client, None, kept=ticket, action="import")
        assert "Choose it again." in send(client, None, kept=ticket, action="import").content.decode()

    def test_makes_people_where_that_is_ticked(self, client: Client, admin: User) -> None:
        number = make_judged_study().responses.order_by("pk")[3].pk
        content = json.dumps({"response": number, "verdict": "correct", "annotator": "zoe"}).encode()
        assert "There is nobody named &#x27;zoe&#x27; here." in send(client, content).content.decode()
        looked = send(client, content, make_annotators="on")
        assert "People who would be made and cannot sign in: zoe." in looked.content.decode()
        assert not User.objects.filter(username="zoe").exists()
        assert 'name="make_annotators" value="on"' in looked.content.decode()

    def test_names_of_files_and_fields_stay_text(self, client: Client, admin: User) -> None:
        make_judged_study()
        page = send(client, b'{"response": "<u>1</u>", "verdict": "correct"}', "<i>.jsonl").content.decode()
        assert "&lt;u&gt;1&lt;/u&gt;" in page
        assert "<u>" not in page
        assert "<i>" not in page

    def test_asks_the_database_little(
        self, client: Client, admin: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        make_judged_study()
        with django_assert_num_queries(6):  # session, person, two of permissions, studies, notices
            client.get(PAGE)


class TestKeptFiles:
    def test_go_after_a_day(self, tmp_path: Path) -> None:
        now = timezone.now()
        name = keep(directory=tmp_path, blocks=[b"a", b"b"], now=now)
        assert (tmp_path / name).read_bytes() == b"ab"
        old = (now - timedelta(hours=25)).timestamp()
        os.utime(tmp_path / name, (old, old))
        other = keep(directory=tmp_path, blocks=[b"c"], now=now)
        assert [path.name for path in tmp_path.iterdir()] == [other]
        drop(directory=tmp_path, name=other)
        assert list(tmp_path.iterdir()) == []
