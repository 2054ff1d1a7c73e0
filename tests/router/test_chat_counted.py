"""What is counted for Prometheus of an answer on the chat page."""

import pytest
from django.test import Client

from benchmarks.inference.scripted import Fault, FaultKind
from router.models import GatewayRequest
from tests import factories as make
from tests.router.endpoint import LIKE_MATH, Endpoint, OpenEndpoint
from tests.scraping import Counted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class TestChatPage:
    def test_counts_as_a_page_without_a_key(self, endpoint: Endpoint, client: Client) -> None:
        client.force_login(make.make_user())
        counted = self.counting(client)
        assert client.post("/chat/send/", {"prompt": LIKE_MATH}).status_code == 302
        assert counted("greenllm_requests_total", surface="page", state="answered", model="small") == 1
        attempt = GatewayRequest.objects.get().attempts.get()
        assert counted("greenllm_tokens_total", model="small", kind="output") == attempt.output_token_count > 0
        assert counted("greenllm_predicted_gco2e_count", model="small") == 1
        assert counted("greenllm_saved_gco2e_count", model="small") == 1
        assert counted("greenllm_decision_seconds_count", part="search") == 1
        assert counted("greenllm_first_token_seconds_count", model="small") == 1
        assert counted("greenllm_request_seconds_count", model="small") == 1
        assert counted("greenllm_key_requests_total") == 0

    def test_counts_what_failed(self, open_endpoint: OpenEndpoint, client: Client) -> None:
        open_endpoint(Fault(FaultKind.CUT, model="small"))
        client.force_login(make.make_user())
        counted = self.counting(client)
        client.post("/chat/send/", {"prompt": LIKE_MATH})
        assert counted("greenllm_requests_total", surface="page", state="failed", model="small") == 1
        assert counted("greenllm_predicted_gco2e_count") == 0

    def counting(self, client: Client) -> Counted:
        def read() -> str:
            return str(client.get("/metrics").content.decode())

        return Counted(read)
