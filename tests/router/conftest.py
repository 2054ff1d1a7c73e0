import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, ScriptedModel, ScriptedOllama
from router import metrics, observing
from router.keys import create_key
from router.observing import Observer
from tests import factories as make
from tests.browsing import served
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS, make_federation

if TYPE_CHECKING:  # it sets up the application, which every process would pay before its first test
    from tests.router.endpoint import Endpoint, OpenEndpoint


@pytest.fixture(autouse=True)
def unseen_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let names be labels of metrics, however many the process has seen in earlier tests."""
    for kind in ("models", "keys", "servers"):
        monkeypatch.setattr(metrics, kind, metrics.Names())


@pytest.fixture
def open_endpoint(
    transactional_db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator["OpenEndpoint"]:
    from tests.router.endpoint import LIKE_CODE, LIKE_MATH, Endpoint

    with ExitStack() as servers:

        def opening(
            *faults: Fault, answers: Any = None, models: Sequence[ScriptedModel] = SCRIPTED_MODELS
        ) -> "Endpoint":
            script = answers or {LIKE_MATH: "Five.", LIKE_CODE: "pass"}
            server = servers.enter_context(ScriptedOllama(models, answers=script, faults=faults))
            federation = make_federation(server.base_url)
            settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
            monkeypatch.setattr("router.wiring.vector_store", lambda: federation.store)
            made = create_key(owner_id=make.make_user().pk, name="test")
            return Endpoint(federation, server, made.key, made.secret)

        yield opening


@pytest.fixture
def endpoint(open_endpoint: "OpenEndpoint") -> "Endpoint":
    return open_endpoint()


@pytest.fixture
def address() -> Iterator[str]:
    """The application served; a test that changes what it reads asks for that first."""
    with served() as address:
        yield address
    connections.close_all()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a scripted answer waits for; it is open at the end, so that nobody waits on."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def tell_also() -> Iterator[Callable[[Observer], None]]:
    """Tell another observer of the requests of the test."""
    with ExitStack() as ending:

        def telling(observer: Observer) -> None:
            ending.callback(observing.tell_also(observer))

        yield telling
