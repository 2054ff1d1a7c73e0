"""Pages of other sites that call the endpoint from a browser."""

import pytest
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from tests.router.endpoint import COMMITTED, Endpoint
from tests.router.gateway.test_surfaces import PATHS, ask

pytestmark = [COMMITTED, pytest.mark.slow]
HERE, ELSEWHERE = "https://app.example.org", "https://evil.example.org"
READS = ["/v1/models", "/v1/greenllm/key", "/api/tags", "/v1/health", "/health"]


def preflight(endpoint: Endpoint, path: str, origin: str = HERE) -> HttpResponse:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    return endpoint.send("OPTIONS", path, secret=None, headers=headers)


@pytest.fixture
def shared(endpoint: Endpoint, settings: Settings) -> Endpoint:
    settings.CORS_ORIGINS = [HERE]
    return endpoint


class TestShared:
    @pytest.mark.parametrize("path", [*PATHS, *READS])
    def test_answers_a_preflight_without_a_key(self, shared: Endpoint, path: str) -> None:
        response = preflight(shared, path)
        assert (response.status_code, response.content) == (204, b"")
        assert response["Access-Control-Allow-Origin"] == HERE
        assert "POST" in response["Access-Control-Allow-Methods"]
        assert response["Access-Control-Allow-Headers"] == "authorization,content-type,x-stainless-lang"

    @pytest.mark.parametrize("path", READS)
    def test_lets_a_known_page_read_what_django_serves(self, shared: Endpoint, path: str) -> None:
        response = shared.send("GET", path, headers={"Origin": HERE})
        assert (response.status_code, response["Access-Control-Allow-Origin"]) == (200, HERE)
        assert response["Access-Control-Expose-Headers"] == "*"
        assert "Access-Control-Allow-Credentials" not in response

    @pytest.mark.parametrize("path", PATHS)
    def test_lets_a_known_page_read_answers_and_errors(self, shared: Endpoint, path: str) -> None:
        for model, status in (("auto", 200), ("nobody", 404)):
            response = ask(shared, path, model=model, headers={"Origin": HERE})
            assert (response.status_code, response["Access-Control-Allow-Origin"]) == (status, HERE)

    def test_tells_an_unknown_page_nothing(self, shared: Endpoint) -> None:
        for path in (PATHS[0], "/v1/models"):
            assert "Access-Control-Allow-Origin" not in preflight(shared, path, ELSEWHERE)
        response = shared.send("GET", "/v1/models", headers={"Origin": ELSEWHERE})
        assert "Access-Control-Allow-Origin" not in response
        assert "Origin" in response["Vary"]

    def test_is_for_the_endpoint_alone(self, shared: Endpoint) -> None:
        response = shared.send("GET", "/studies/", headers={"Origin": HERE})
        assert (response.status_code, "Access-Control-Allow-Origin" in response) == (302, False)

    def test_may_be_for_every_page(self, shared: Endpoint, settings: Settings) -> None:
        settings.CORS_ORIGINS = ["*"]
        assert preflight(shared, PATHS[0], ELSEWHERE)["Access-Control-Allow-Origin"] == ELSEWHERE


class TestByDefault:
    def test_is_off(self, endpoint: Endpoint) -> None:
        for path in (PATHS[0], "/v1/models"):
            response = preflight(endpoint, path)
            assert (response.status_code == 204, "Access-Control-Allow-Origin" in response) == (False, False)
        assert "Access-Control-Allow-Origin" not in ask(endpoint, PATHS[0], headers={"Origin": HERE})
