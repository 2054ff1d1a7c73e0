"""Schemathesis asks every address of `/v1/openapi.json` for what its schema allows, and for what it does not."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pytest_django.fixtures import Settings

from router.models import GatewayRequest
from router.wires.document import openapi_document
from tests.clients.served import CLIENTS
from tests.router.endpoint import EVERY_APP, Endpoint
from tests.router.standins import EMBEDDER_NAME

pytestmark = [EVERY_APP, *CLIENTS[1:]]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
COMMAND = """
import sys
from schemathesis.cli import schemathesis
schemathesis(prog_name="schemathesis")
"""


@pytest.mark.timeout(300)
def test_every_address_keeps_to_the_document(endpoint: Endpoint, address: str, tmp_path: Path) -> None:
    document = openapi_document()
    any_model = document["components"]["schemas"]["OllamaName"]["properties"]["model"]
    names = {"enum": ["auto", "small", EMBEDDER_NAME, "nobody"]}  # most of them are there, so that there are answers
    told = json.dumps(document).replace(json.dumps(any_model), json.dumps(names))
    (tmp_path / "openapi.json").write_text(told)
    run = subprocess.run(
        [
            sys.executable, "-c", COMMAND, "run", "openapi.json", "--url", address,
            "--checks", CHECKS, "--phases", "examples,fuzzing", "--max-examples", "12", "--seed", "1",
            "--request-timeout", "20", "--no-color", "--generation-database", "none",
            "--exclude-path-regex", "health$",
            "-H", f"Authorization: Bearer {endpoint.secret}",
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=280,
    )  # fmt: skip
    assert "22 passed" in run.stdout, run.stdout[-15000:]
    assert GatewayRequest.objects.filter(state=GatewayRequest.State.ANSWERED).exists()
    assert run.returncode == 0, run.stdout[-15000:] + run.stderr[-3000:]


def test_anyone_may_read_it(endpoint: Endpoint, address: str, settings: Settings) -> None:
    answer = httpx.get(f"{address}/v1/openapi.json")
    assert (answer.status_code, answer.json()) == (200, openapi_document())
