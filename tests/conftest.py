"""Services for the tests: Postgres and Valkey for all that need them, Chroma and the LLM server where asked for."""

from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg.conninfo import make_conninfo

from greenllm.embedded.addresses import DATABASE_NAME, DATABASE_USER
from greenllm.embedded.catalog import embedded_services
from greenllm.embedded.supervisor import Supervisor
from tests.browsing import browser, site
from tests.emptying import empty_database

__all__ = ["browser", "site"]


def pytest_configure() -> None:
    """Spare the tests what costs time by design: slow hashes, a look at every static file per client, new tables."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.SERVESTATIC_USE_FINDERS = settings.SERVESTATIC_USE_STATIC_ROOT = False  # tests.browsing serves them
    settings.WATCHES_PARTS = False  # most parts are away in a test, which pages of admins would tell
    settings.WRONG_KEYS_PER_MINUTE = 0  # all tests come from one address
    hypothesis_settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.load_profile("any-machine")  # a slow machine is no fault
    TransactionTestCase._fixture_teardown = empty_database  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def services() -> Iterator[Supervisor]:
    """Run Postgres and Valkey for the session; further services can be added."""
    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"])) as supervisor:
        where = make_conninfo(host=str(settings.EMBEDDED.postgres_socket_dir), user=DATABASE_USER, dbname=DATABASE_NAME)
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # this cluster need not outlive the machine
            connection.execute("SELECT pg_reload_conf()")
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
