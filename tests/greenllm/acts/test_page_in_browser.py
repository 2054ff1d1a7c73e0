from django.test import Client

from tests import factories as make
from tests.browsing import BROWSING, Site, check_page

pytestmark = BROWSING


class TestPageInBrowser:
    def test_reads_light_dark_wide_and_on_a_phone(self, site: Site) -> None:
        admin = make.make_user("ada", is_staff=True, is_superuser=True)
        client = Client(REMOTE_ADDR="203.0.113.7")
        client.force_login(admin)
        client.post("/account/people/add/", {"username": "new"})
        client.post("/account/keys/give/", {"username": "new", "name": "a key for the build", "requests_per_minute": 5})
        check_page(site, "/account/acts/", user=admin)
