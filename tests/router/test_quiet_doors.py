"""No prompt in any log, whatever a server quotes and wherever a request fails."""

import io
import json

import pytest
from django.test import Client, override_settings

from benchmarks.inference.scripted import Fault, FaultKind
from tests.planting import PLANTED, log
from tests.router.endpoint import EVERY_APP, LIKE_MATH, OpenEndpoint

__all__ = ["log"]
pytestmark = [EVERY_APP, pytest.mark.slow]


class TestDoors:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault(FaultKind.STATUS, status=500, message=f"cannot do '{PLANTED}'"),
            Fault(FaultKind.STATUS, status=400, message=f"bad prompt: {PLANTED}"),
            Fault(FaultKind.STATUS, status=429, message=PLANTED),
            Fault(FaultKind.ERROR_LINE, message=PLANTED),
            Fault(FaultKind.GARBAGE),
            Fault(FaultKind.CUT),
        ],
        ids=lambda fault: f"{fault.kind} {fault.status}",
    )
    def test_of_the_endpoint_log_no_prompt_when_a_server_quotes_it(
        self,
        log: io.StringIO,
        open_endpoint: OpenEndpoint,
        fault: Fault,
    ) -> None:
        endpoint = open_endpoint(fault)
        for path, body in (
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": f"{PLANTED} {LIKE_MATH}"}]}),
            ("/v1/completions", {"prompt": f"{PLANTED} {LIKE_MATH}"}),
            ("/api/chat", {"messages": [{"role": "user", "content": f"{PLANTED} {LIKE_MATH}"}], "stream": True}),
            ("/api/generate", {"prompt": f"{PLANTED} {LIKE_MATH}", "stream": False}),
            ("/v1/embeddings", {"input": PLANTED, "encoding_format": PLANTED}),
            ("/v1/greenllm/route", {"prompt": PLANTED, "messages": PLANTED}),
        ):
            model = "nobody" if "embed" in path else "small"
            endpoint.send("POST", path, raw=json.dumps({"model": model, **body}).encode())
            endpoint.send("POST", path, raw=json.dumps({"model": model, **body}).encode()[:-3])

        assert PLANTED not in log.getvalue()

    def test_of_pages_log_no_prompt_where_a_view_fails(
        self, log: io.StringIO, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*_: object) -> None:
            raise ValueError(PLANTED)

        monkeypatch.setattr("greenllm.account.views.render", failing)
        client.raise_request_exception = False
        with override_settings(DEBUG=False):
            answer = client.post("/account/sign-in/", {"username": PLANTED, "password": PLANTED})
            missing = client.get(f"/nowhere/?prompt={PLANTED}")

        assert answer.status_code in {200, 500}
        assert missing.status_code == 404
        assert PLANTED not in log.getvalue()
