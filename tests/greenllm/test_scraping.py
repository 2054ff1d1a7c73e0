"""GET /metrics from outside: who may read it, and that Prometheus can."""

import gc

import django_rq
import pytest
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from pytest_django.fixtures import Settings

from tests.scraping import Counted, samples_of

ELSEWHERE = "203.0.113.7"
TOKEN = "a token of its own"

pytestmark = pytest.mark.usefixtures("services")


def scraped(client: Client) -> str:
    response = client.get("/metrics")
    assert response.status_code == 200
    return str(response.content.decode())


class TestDoor:
    def test_is_open_to_this_machine(self, client: Client) -> None:
        response = client.get("/metrics")
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain; version=")

    @pytest.mark.parametrize("anonymous", ["off", "loopback"])
    def test_is_shut_to_others_whoever_may_read_the_pages(
        self, client: Client, settings: Settings, anonymous: str
    ) -> None:
        settings.ANONYMOUS_ACCESS = anonymous
        refused = client.get("/metrics", REMOTE_ADDR=ELSEWHERE)
        assert (refused.status_code, b"GREENLLM_METRICS_TOKEN" in refused.content) == (403, True)
        assert b"greenllm_" not in refused.content

    @pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
    def test_is_shut_to_what_a_proxy_passes_on(self, client: Client, name: str) -> None:
        assert client.get("/metrics", headers={name: "for=127.0.0.1"}).status_code == 403

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (f"Bearer {TOKEN}", 200),
            (f"bearer {TOKEN}", 200),
            ("Bearer another", 403),
            (f"Bearer {TOKEN}s", 403),
            (TOKEN, 403),
            ("Bearer ", 403),
            ("Bearer t\xf6ken", 403),
        ],
    )
    def test_opens_to_others_by_the_token(self, client: Client, settings: Settings, sent: str, status: int) -> None:
        settings.METRICS_TOKEN = TOKEN
        headers = {"Authorization": sent, "X-Forwarded-For": ELSEWHERE}
        assert client.get("/metrics", headers=headers).status_code == status

    @pytest.mark.parametrize("sent", ["Bearer ", "Bearer", ""])
    def test_opens_to_nobody_without_a_token_in_the_settings(self, client: Client, sent: str) -> None:
        assert client.get("/metrics", REMOTE_ADDR=ELSEWHERE, headers={"Authorization": sent}).status_code == 403

    def test_takes_no_key_of_the_endpoint(self, client: Client, db: None) -> None:
        from router.keys import create_key
        from tests.factories import make_user

        secret = create_key(owner_id=make_user().pk, name="test").secret
        refused = client.get("/metrics", REMOTE_ADDR=ELSEWHERE, headers={"Authorization": f"Bearer {secret}"})
        assert refused.status_code == 403

    def test_only_reads(self, client: Client) -> None:
        assert client.head("/metrics").status_code == 200
        assert client.post("/metrics").status_code == 405


class TestText:
    def test_is_what_prometheus_reads(self, client: Client) -> None:
        names = {sample.name for sample in samples_of(scraped(client))}
        assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names

    def test_is_open_metrics_where_that_is_accepted(self, client: Client) -> None:
        response = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert response["Content-Type"].startswith("application/openmetrics-text")
        assert "process_open_fds" in {family.name for family in open_metrics(response.content.decode())}


class TestMemory:
    def test_in_use_grows_with_what_is_kept(self, client: Client) -> None:
        gc.collect()  # what earlier tests left would be freed in between
        counted = Counted(lambda: scraped(client))
        kept = [bytes(100) for _ in range(100_000)], bytes(50_000_000)
        assert counted("greenllm_python_blocks") > 90_000
        assert counted("greenllm_malloc_used_bytes") > 45_000_000
        del kept


class TestQueues:
    def test_are_counted_as_they_stand(self, client: Client) -> None:
        counted, queue = Counted(lambda: scraped(client)), django_rq.get_queue("default")
        job = queue.enqueue(len, [])
        try:
            assert counted("greenllm_jobs", queue="default", state="waiting") == 1
            assert counted("greenllm_jobs", queue="default", state="running") == 0
        finally:
            job.delete()
        assert counted("greenllm_jobs", queue="default", state="waiting") == 0

    def test_are_left_out_while_valkey_is_away(self, client: Client, settings: Settings) -> None:
        settings.REDIS_URL = "unix:///nowhere/valkey.sock"
        text = scraped(client)
        assert "greenllm_jobs" not in text
        assert "process_resident_memory_bytes" in text
