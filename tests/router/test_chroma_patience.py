"""Chroma that takes its time: a decision waits a moment for it, and those after it not at all."""

import socket
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from router.chroma_patience import BUILDING_S, REST_S, Silence, bound, impatience, is_silence
from router.index import IndexStoreError, VectorStore
from tests.router.test_vectors import unit_rows


@pytest.fixture
def hanging() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def read_timeout_s(request: httpx.Request) -> float:
    return float(request.extensions["timeout"]["read"])


class TestBound:
    def test_gives_a_request_the_patience_of_who_asks(self) -> None:
        request = httpx.Request("GET", "http://chroma/")
        bound(request)
        assert read_timeout_s(request) == BUILDING_S
        with impatience(0.5):
            bound(request)
        assert read_timeout_s(request) == 0.5

    def test_holds_for_whatever_a_client_sends(self, hanging: socket.socket) -> None:
        address = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        with (
            httpx.Client(timeout=None, event_hooks={"request": [bound]}) as client,
            impatience(0.05),
            pytest.raises(httpx.ReadTimeout),
        ):
            client.get(address)


def test_an_error_that_is_worded_anew_is_still_of_silence() -> None:
    error = ValueError("could not connect to the tenant")
    error.__context__ = httpx.ReadTimeout("")  # as Chroma's client raises it
    assert is_silence(error)
    assert not is_silence(ValueError("another"))


def test_silence_lasts_for_a_while() -> None:
    now = 100.0
    silence = Silence(lambda: now)
    assert not silence.lasts
    silence.note()
    assert silence.lasts
    now += REST_S
    assert not silence.lasts


@pytest.mark.slow
@pytest.mark.parametrize("exact_limit", [0, 100], ids=["searched by Chroma", "held in memory"])
def test_a_decision_gives_up_on_a_hanging_server_and_the_next_at_once(
    hanging: socket.socket, tmp_path: Path, exact_limit: int
) -> None:
    url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
    store = VectorStore(chroma_url=url, cache_dir=tmp_path, exact_limit=exact_limit)
    with patch("router.index.impatience", lambda: impatience(0.1)), pytest.raises(IndexStoreError, match="ReadTimeout"):
        store.nearest("index", unit_rows(1, seed=1)[0], 3, 10)
    with patch.object(httpx, "get", side_effect=AssertionError), pytest.raises(IndexStoreError, match="a moment ago"):
        store.nearest("index", unit_rows(1, seed=1)[0], 3, 10)
