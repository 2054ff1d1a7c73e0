from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.test import Client
from playwright.sync_api import expect

from greenllm.acts.programs import acts_noted, noting_job
from greenllm.models import AdminAct, User
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page

pytestmark = BROWSING


def act(admin: User) -> None:
    """Do something as an admin; in a thread of its own, because Playwright runs an event loop in the test's."""
    client = Client(REMOTE_ADDR="203.0.113.7")
    client.force_login(admin)
    client.post("/account/people/add/", {"username": "new"})
    client.post("/account/keys/give/", {"username": "new", "name": "a key for the build", "requests_per_minute": 5})
    with acts_noted(place=AdminAct.Place.SHELL, program="create_key", os_user="greenllm (sudo by ada)"):
        make.make_machine("a machine made at the shell")
    with noting_job("router.erasing_jobs.erase_texts_of_requests"):
        make.make_gateway_request()
    connection.close()


class TestPageInBrowser:
    def test_reads_light_dark_wide_and_on_a_phone(self, site: Site) -> None:
        admin = make.make_user("ada", is_staff=True, is_superuser=True)
        with ThreadPoolExecutor(1) as beside:
            beside.submit(act, admin).result()
        check_page(site, "/account/acts/", user=admin)
        page = site.open("/account/acts/?sort=-when", user=admin, width="phone")
        page.get_by_text("Sort by When (UTC), descending").click()
        page.get_by_role("listitem").get_by_role("link", name="Who").click()
        expect(page).to_have_url(f"{site.address}/account/acts/?sort=who")
        expect(page.get_by_text("gateway requests: 1 added")).to_be_visible()
        assert "router_gatewayrequest" not in page.inner_text("main")
        expect(page.locator("td:empty:visible")).to_have_count(0)  # what has no address is no line without one
