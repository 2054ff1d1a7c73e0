import pytest
from django.db import DataError
from django.http import HttpResponse
from django.test import Client, RequestFactory

from greenllm.refusing_nul import RefuseNul
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

    def test_in_a_form_that_fails_on_it_is_refused(self, signed_in: Client) -> None:
        answer = signed_in.post("/dashboards/compare", {"study": "so\x00me"})

        assert answer.status_code == 400
        assert b"The form holds a NUL character" in answer.content

    def test_is_the_endpoints_own_matter(self, signed_in: Client) -> None:
        answer = signed_in.get("/v1/models/a%00b")

        assert answer.status_code in {401, 404}
        assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "error", "is_refused"),
    [
        pytest.param({"name": "a\x00"}, DataError("NUL"), True, id="of Postgres"),
        pytest.param({"na\x00me": ""}, ValueError("embedded null byte"), True, id="of files, for a name"),
        pytest.param({"name": "a"}, ValueError("something else"), False, id="without a NUL"),
        pytest.param({"name": "a\x00"}, KeyError("a bug"), False, id="of another kind"),
    ],
)
def test_takes_failures_of_a_nul_alone(body: dict[str, str], error: Exception, is_refused: bool) -> None:
    request = RequestFactory().post("/", body)

    answer = RefuseNul(lambda _: HttpResponse()).process_exception(request, error)

    assert (answer is not None) == is_refused
