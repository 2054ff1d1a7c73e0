from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, ScriptedOllama
from router.keys import create_key
from tests import factories as make
from tests.router.endpoint import LIKE_CODE, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS, make_federation


@pytest.fixture
def open_endpoint(
    transactional_db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenEndpoint]:
    with ExitStack() as servers:

        def opening(*faults: Fault, answers: Any = None) -> Endpoint:
            script = answers or {LIKE_MATH: "Five.", LIKE_CODE: "pass"}
            server = servers.enter_context(ScriptedOllama(SCRIPTED_MODELS, answers=script, faults=faults))
            federation = make_federation(server.base_url)
            settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
            monkeypatch.setattr("router.wiring.vector_store", lambda: federation.store)
            made = create_key(owner_id=make.make_user().pk, name="test")
            return Endpoint(federation, server, made.key, made.secret)

        yield opening


@pytest.fixture
def endpoint(open_endpoint: OpenEndpoint) -> Endpoint:
    return open_endpoint()
