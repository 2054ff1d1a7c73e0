import pytest
from django.test import Client

from labeling.models import Guideline
from tests import factories as make
from tests.labeling.queues import make_answers

pytestmark = pytest.mark.django_db


class TestGuidelineAdmin:
    @pytest.fixture
    def guideline(self, client: Client) -> Guideline:
        client.force_login(make.make_user(is_staff=True, is_superuser=True))
        return Guideline.objects.create(version=1, text="As it was read.")

    def test_lets_a_version_be_edited_that_nobody_has_used(self, client: Client, guideline: Guideline) -> None:
        self.edit(client, guideline)
        assert Guideline.objects.get().text == "Other words."

    def test_keeps_a_version_that_a_label_points_to(self, client: Client, guideline: Guideline) -> None:
        make.make_label(make_answers(1)[0], guideline=guideline)
        self.edit(client, guideline)
        assert Guideline.objects.get().text == "As it was read."

    def edit(self, client: Client, guideline: Guideline) -> None:
        sent = {"category": "", "version": "1", "text": "Other words."}
        assert client.post(f"/admin/labeling/guideline/{guideline.pk}/change/", sent).status_code == 302
