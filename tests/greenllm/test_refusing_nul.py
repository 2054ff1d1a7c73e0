import pytest
from django.test import Client

from tests import factories as make
from tests.greenllm.hostile_places import make_admin

pytestmark = pytest.mark.django_db


class TestNul:
    @pytest.fixture
    def signed_in(self, client: Client) -> Client:
        client.force_login(make_admin())
        client.raise_request_exception = False
        return client

    @pytest.mark.parametrize("path", ["/studies/some/?category=a%00b", "/label/?category=%00", "/studies/a%00b/"])
    def test_in_an_address_is_refused(self, signed_in: Client, path: str) -> None:
        make.make_study("some")
        answer = signed_in.get(path)

        assert answer.status_code == 400
        assert b"holds a NUL character" in answer.content

    def test_is_the_endpoints_own_matter(self, signed_in: Client) -> None:
        answer = signed_in.get("/v1/models/a%00b")

        assert answer.status_code in {401, 404}
        assert answer["Content-Type"] == "application/json"
