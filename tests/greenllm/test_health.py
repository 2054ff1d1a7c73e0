from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.environment import free_port


class Unreachable(OSError):
    """Stands for whatever a part raises that is away."""


def fail() -> None:
    raise Unreachable


def succeed() -> None:
    pass


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the probes of all parts; those named are away."""

    def setting(*away: str) -> None:
        monkeypatch.setattr("greenllm.health._postgres", fail if "postgres" in away else succeed)
        monkeypatch.setattr("greenllm.health._queue", fail if "queue" in away else succeed)
        monkeypatch.setattr(
            "greenllm.health._reach",
            lambda address: fail if ("chroma" if "chroma" in address else "inference") in away else succeed,
        )

    return setting


@pytest.fixture
def addresses(settings: Settings) -> None:
    settings.CHROMA_URL, settings.OLLAMA_HOST = "http://chroma:1", "http://inference:1"


@pytest.mark.usefixtures("addresses")
class TestHealth:
    @pytest.mark.parametrize(
        ("away", "status", "said"),
        [
            pytest.param([], 200, "ok", id="all well"),
            pytest.param(["chroma"], 200, "degraded", id="no Chroma"),
            pytest.param(["queue", "inference"], 200, "degraded", id="no queue, no inference"),
            pytest.param(["postgres"], 503, "degraded", id="no Postgres"),
            pytest.param(["postgres", "queue", "chroma", "inference"], 503, "degraded", id="nothing"),
        ],
    )
    def test_tells_each_part(
        self, client: Client, parts: Callable[..., None], away: list[str], status: int, said: str
    ) -> None:
        parts(*away)
        response = client.get("/health")
        assert (response.status_code, response.json()["status"]) == (status, said)
        assert response.json()["parts"] == {
            name: "unreachable (Unreachable)" if name in away else "ok"
            for name in ("postgres", "queue", "chroma", "inference")
        }

    def test_answers_a_head_and_refuses_a_post(self, client: Client, parts: Callable[..., None]) -> None:
        parts()
        assert client.head("/health").status_code == 200
        assert client.post("/health").status_code == 405


@pytest.mark.django_db
class TestProbes:
    def test_find_the_services_that_run_and_those_that_do_not(self, client: Client, settings: Settings) -> None:
        settings.CHROMA_URL = settings.OLLAMA_HOST = f"http://127.0.0.1:{free_port()}"
        parts = client.get("/health").json()["parts"]
        assert parts == {
            "postgres": "ok",
            "queue": "ok",
            "chroma": "unreachable (ConnectionRefusedError)",
            "inference": "unreachable (ConnectionRefusedError)",
        }
