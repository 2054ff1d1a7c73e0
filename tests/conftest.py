"""Services for the tests: Postgres and Valkey for all that need them, Chroma and the LLM server where asked for."""

import gc
from collections.abc import Generator, Iterator

import pytest
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.test import TransactionTestCase
from django.test.client import ClientHandler
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from xdist.remote import Producer

from greenllm.embedded.catalog import embedded_services
from greenllm.embedded.supervisor import Supervisor
from tests.browsing import browser, site
from tests.emptying import empty_database
from tests.migrated import put_cluster
from tests.scheduling import LongestFirst, put_longest_first

__all__ = ["browser", "site"]

_ON_THE_LOOP = {"greenllm.static_files.StaticFiles", "greenllm.page_turns.PageTurns"}


def pytest_configure() -> None:
    """Spare the tests what costs time by design: slow hashes, a look at every static file per client, new tables."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.SERVESTATIC_USE_FINDERS = settings.SERVESTATIC_USE_STATIC_ROOT = False  # tests.browsing serves them
    settings.WATCHES_PARTS = False  # most parts are away in a test, which pages of admins would tell
    settings.WRONG_KEYS_PER_MINUTE = 0  # all tests come from one address
    hypothesis_settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.load_profile("any-machine")  # a slow machine is no fault
    TransactionTestCase._fixture_teardown = empty_database  # type: ignore[attr-defined]
    ClientHandler.load_middleware = load_middleware_of_client  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is there after the collection out of each later search for garbage: some tests make one themselves.

    Twelve thousand tests and all modules are most of what such a search looks through, and nothing of it ever goes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)  # after pytest-django has put those that commit behind the others of their file
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    put_longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LongestFirst | None:
    """Share out files by `tests.scheduling`, where files are to be kept together."""
    return LongestFirst(config, log) if config.getvalue("dist") == "loadfile" else None


def load_middleware_of_client(handler: ClientHandler, is_async: bool = False) -> None:
    """Leave middleware that needs an event loop out of the test client where there are no static files to serve.

    Django starts a thread and a loop for it at each request: half the time of most pages.
    """
    whole = settings.MIDDLEWARE
    if not (settings.SERVESTATIC_USE_FINDERS or settings.SERVESTATIC_USE_STATIC_ROOT):
        settings.MIDDLEWARE = [one for one in whole if one not in _ON_THE_LOOP]
    try:
        BaseHandler.load_middleware(handler, is_async)
    finally:
        settings.MIDDLEWARE = whole


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config, django_db_blocker: DjangoDbBlocker) -> Iterator[Supervisor]:
    """Run Postgres and Valkey for the session; further services can be added."""
    with django_db_blocker.unblock():
        put_cluster(settings.EMBEDDED, pytestconfig.rootpath / ".pytest_cache" / "clusters")
    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"])) as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def django_db_modify_db_settings(services: Supervisor) -> None:
    """Have Postgres running before pytest-django makes its database."""


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Have pytest-django take the database that is in the cluster."""
    return True


@pytest.fixture(scope="session")
def chroma(services: Supervisor) -> str:
    """Run the Chroma server for the session; return its address."""
    services.add(*embedded_services(settings.EMBEDDED, ["chroma"]))
    services.wait_ready("chroma")
    return str(settings.CHROMA_URL)


@pytest.fixture(scope="session")
def llm_server(services: Supervisor) -> str:
    """Run the embedded LLM server for the session; return its address."""
    services.add(*embedded_services(settings.EMBEDDED, ["llm"]))
    services.wait_ready("llm")
    return str(settings.OLLAMA_HOST)
