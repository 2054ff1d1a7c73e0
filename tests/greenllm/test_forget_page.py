"""The page on which a person has all deleted that they wrote."""

import django_rq
import pytest
from django.test import Client
from playwright.sync_api import expect
from pytest_django import DjangoCaptureOnCommitCallbacks

from greenllm.embedded.supervisor import Supervisor
from router.models import Conversation, GatewayRequest
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.router.standins import make_federation
from tests.router.test_keeping import kept

pytestmark = pytest.mark.slow

PAGE = "/account/forget/"
_JOB = "router.erasing_jobs.drop_forgotten_vectors"


@pytest.fixture(autouse=True)
def no_job_waits(services: Supervisor) -> None:
    """Begin with an empty queue: Valkey keeps what other tests of the same process put there."""
    django_rq.get_queue("default").empty()


def waiting_jobs() -> list[str]:
    return [job.func_name for job in django_rq.get_queue("default").jobs]


@pytest.mark.django_db
class TestThePage:
    def test_asks_first_and_deletes_ones_own(self, client: Client) -> None:
        ada = make.make_user("ada")
        client.force_login(ada)
        make.make_message(make.make_conversation(owner=ada))
        others = make.make_conversation(owner=make.make_user())
        assert PAGE in client.get("/account/").content.decode()
        page = client.get(PAGE).content.decode()
        assert "1 conversations, texts of 0 requests, 0 kept prompts, 0 comments and reasons" in page
        assert Conversation.objects.count() == 2
        assert client.post(PAGE)["Location"] == "/account/"
        assert list(Conversation.objects.all()) == [others]
        assert _JOB not in waiting_jobs()

    def test_has_the_worker_take_vectors_out_of_the_index(
        self, client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        ada = make.make_user("ada")
        client.force_login(ada)
        answer = kept(make_federation())
        assert answer is not None
        GatewayRequest.objects.filter(public_id=answer.gateway_request_public_id).update(user=ada)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                assert client.post(PAGE).status_code == 302
            assert _JOB in waiting_jobs()
        finally:
            django_rq.get_queue("default").empty()

    def test_is_for_people_who_signed_in_and_meant_it(self) -> None:
        assert Client().post(PAGE)["Location"].startswith("/account/sign-in/")
        careful = Client(enforce_csrf_checks=True)
        careful.force_login(make.make_user())
        assert careful.post(PAGE).status_code == 403


class TestInABrowser:
    pytestmark = BROWSING

    def test_is_reached_from_the_account_and_goes_back_there(self, site: Site) -> None:
        ada = make.make_user("ada")
        make.make_message(make.make_conversation(owner=ada))
        page = site.open("/account/", user=ada)
        page.get_by_role("link", name="Delete what you wrote…").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.get_by_role("status")).to_contain_text("Deleted: 1 conversations")
        assert not Conversation.objects.exists()
        assert site.complaints == []

    def test_reads_well_in_every_light(self, site: Site) -> None:
        check_page(site, PAGE, user=make.make_user())
        check_page(site, "/account/", user=make.make_user())
