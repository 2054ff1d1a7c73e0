"""Services for the tests: Postgres and Valkey for all that need them, Chroma and the LLM server where asked for."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from greenllm.embedded.catalog import embedded_services
from greenllm.embedded.supervisor import Supervisor
from tests.browsing import browser, site

__all__ = ["browser", "site"]


def pytest_configure() -> None:
    """Spare the tests what costs time by design: a slow password hash, and a look at every static file per client."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.SERVESTATIC_USE_FINDERS = settings.SERVESTATIC_USE_STATIC_ROOT = False  # tests.browsing serves them
    list(finders.get_finders())  # kept for good, and a test with `available_apps` would have them know these alone


@pytest.fixture(scope="session")
def services() -> Iterator[Supervisor]:
    """Run Postgres and Valkey for the session; further services can be added."""
    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"])) as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def django_db_modify_db_settings(services: Supervisor) -> None:
    """Have Postgres running before pytest-django makes its database."""


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
