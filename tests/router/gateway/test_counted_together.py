"""Several web processes that count into one folder."""

from pathlib import Path

import httpx
import pytest

from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint
from tests.router.gateway.process import WebServer, own_process
from tests.scraping import Counted

pytestmark = [COMMITTED, pytest.mark.slow]


class TestSeveralProcesses:
    def test_count_together_whoever_is_scraped(
        self, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "counts"))  # it is made
        with own_process() as first, own_process() as second:
            for server in (first, second, second):
                self.ask(server, endpoint)
            for server in (first, second):
                counted = self.read(server)
                assert counted("greenllm_requests_total", state="answered", model="small") == 3
                assert counted("greenllm_first_token_seconds_count", model="small") == 3
                assert counted("greenllm_server_requests", state="asked") == 0
            assert self.live_files(tmp_path) == 2
            second.kill()
            assert self.read(first)("greenllm_requests_total", state="answered", model="small") == 3
            assert self.live_files(tmp_path) == 1

    def ask(self, server: WebServer, endpoint: Endpoint) -> None:
        body = {"model": "small", "messages": [{"role": "user", "content": LIKE_MATH}]}
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        assert httpx.post(server.address + CHAT, json=body, headers=headers, timeout=20).status_code == 200

    def read(self, server: WebServer) -> Counted:
        """Return what a process tells, from the beginning on."""
        texts = ["", httpx.get(f"{server.address}/metrics", timeout=20).text]
        return Counted(lambda: texts.pop(0) if len(texts) > 1 else texts[0])

    def live_files(self, folder: Path) -> int:
        return len(list((folder / "counts").glob("gauge_livesum_*.db")))
