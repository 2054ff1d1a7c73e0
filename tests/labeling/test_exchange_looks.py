"""How the page of labels as files looks and works in a browser."""

from pathlib import Path

import pytest
from django.conf import LazySettings
from playwright.sync_api import Page, expect

from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.exchanging.formats import Format
from labeling.models import Label
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.labeling.exchanges import everything, exported, forget_labels, make_judged_study

pytestmark = BROWSING
PAGE = "/label/exchange/"


@pytest.fixture
def admin(site: Site, settings: LazySettings, tmp_path: Path) -> User:
    settings.VAR_DIR = tmp_path
    user = make.make_user("root")
    grant_role(user=user, role=Role.ADMIN)
    return user


def choose(page: Page, content: bytes) -> None:
    page.select_option("#id_study", "judged")
    page.set_input_files("#id_file", {"name": "labels.jsonl", "mimeType": "text/plain", "buffer": content})
    page.click("text=Look at it first")
    expect(page.locator("#report-title")).to_have_text("What would come in")


class TestPage:
    def test_is_accessible_empty_and_with_a_preview(self, site: Site, admin: User) -> None:
        check_page(site, PAGE, user=admin, picture="exchange-empty")
        study = make_judged_study()
        content = exported(study).replace(b'"verdict":"unsure"', b'"verdict":"perhaps"')
        forget_labels()
        content += b'{"response": 999999, "verdict": "correct", "annotator": "zoe", "mood": "good"}\nbroken\n'
        check_page(site, PAGE, user=admin, wait_for=lambda page: choose(page, content), picture="exchange-preview")
        assert not Label.objects.exists()

    @pytest.mark.parametrize("file_format", list(Format))
    def test_carries_labels_out_and_back(self, site: Site, admin: User, tmp_path: Path, file_format: Format) -> None:
        study = make_judged_study()
        before, path = everything(), tmp_path / f"labels{file_format.suffix}"
        page = site.open(PAGE, user=admin)
        page.select_option("#out-study", "judged")
        with page.expect_download() as downloading:
            page.click(f'button[value="{file_format.value}"]')
        downloading.value.save_as(path)
        assert downloading.value.suggested_filename == f"judged-{file_format.value}{file_format.suffix}"
        assert path.read_bytes() == exported(study, file_format)
        forget_labels()
        choose(page, path.read_bytes())
        page.click("text=Import 8 labels")
        expect(page.locator("#report-title")).to_have_text("What came in")
        assert everything() == before
