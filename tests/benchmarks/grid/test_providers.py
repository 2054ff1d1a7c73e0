"""Both clients against the twin, which speaks their wires, and what goes wrong with either."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.grid.base import (
    IntensityProvider,
    KeyRefused,
    ProviderBusy,
    ProviderUnreachable,
    UnknownZone,
    UnusableAnswer,
)
from benchmarks.grid.connecting import OFFICIAL_URLS, UnknownProviderKind, provider_for
from benchmarks.grid.great_britain import region_of
from benchmarks.grid.scripted import GridFault, GridScript, ScriptedGrid
from tests.benchmarks.grid.twins import KEY, script
from tests.environment import free_port

pytestmark = pytest.mark.slow

KINDS = ("electricity_maps", "great_britain")
ZONES = {"electricity_maps": "DE", "great_britain": "GB"}


def client(kind: str, url: str, *, key: str = KEY, timeout_s: float = 5.0) -> IntensityProvider:
    return provider_for(kind, base_url=url, key_variable="A_KEY", environment={"A_KEY": key}, timeout_s=timeout_s)


@contextmanager
def asked(kind: str, *, key: str = KEY, timeout_s: float = 5.0, **facts: Any) -> Iterator[IntensityProvider]:
    with ScriptedGrid(script(**facts)) as grid:
        yield client(kind, grid.url, key=key, timeout_s=timeout_s)


class TestElectricityMaps:
    def test_tells_the_intensity_of_the_latest_hour(self) -> None:
        with asked("electricity_maps") as provider:
            told = provider.latest("DE")

        assert (told.zone, told.gco2e_per_kwh, told.is_estimated) == ("DE", 310.5, False)
        assert told.valid_from == datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
        assert told.source == "Electricity Maps API, lifecycle emission factors, under the terms of the key's plan"

    def test_asks_with_the_zone_and_the_key(self) -> None:
        played = script()
        with ScriptedGrid(played) as grid:
            client("electricity_maps", f"{grid.url}/").latest("DE")

        assert played.paths == ["/carbon-intensity/latest?zone=DE"]

    def test_says_that_a_figure_is_estimated(self) -> None:
        with asked("electricity_maps", is_metered=False) as provider:
            assert provider.latest("DE").is_estimated

    def test_names_direct_emission_factors(self) -> None:
        with asked("electricity_maps", replaced={"emissionFactorType": "direct"}) as provider:
            assert "direct emission factors" in provider.latest("DE").source

    @pytest.mark.parametrize("key", ["", "another", "wört", "two\nlines"])
    def test_tells_a_refused_key_from_all_else(self, key: str) -> None:
        with asked("electricity_maps", key=key) as provider, pytest.raises(KeyRefused) as caught:
            provider.latest("DE")
        assert not key or key not in str(caught.value)

    def test_sends_nothing_without_a_key(self) -> None:
        played = script()
        with ScriptedGrid(played) as grid, pytest.raises(KeyRefused, match="A_KEY holds no key"):
            client("electricity_maps", grid.url, key=" ").latest("DE")
        assert played.paths == []

    def test_keeps_the_key_out_of_its_own_description(self) -> None:
        assert KEY not in repr(client("electricity_maps", "http://127.0.0.1:1"))

    def test_tells_an_unknown_zone(self) -> None:
        with asked("electricity_maps") as provider, pytest.raises(UnknownZone, match="'XX'"):
            provider.latest("XX")

    @pytest.mark.parametrize(
        "replaced",
        [
            {"zone": "FR"},
            {"carbonIntensity": None},
            {"carbonIntensity": "310"},
            {"carbonIntensity": True},
            {"carbonIntensity": -1},
            {"carbonIntensity": 310_000},
            {"carbonIntensity": float("nan")},
            {"datetime": None},
            {"datetime": "yesterday"},
            {"datetime": "2026-01-02T03:00"},
            {"emissionFactorType": "marginal"},
        ],
        ids=str,
    )
    def test_refuses_an_answer_that_is_no_intensity(self, replaced: dict[str, Any]) -> None:
        with asked("electricity_maps", replaced=replaced) as provider, pytest.raises(UnusableAnswer):
            provider.latest("DE")


class TestGreatBritain:
    def test_tells_what_was_metered_in_the_nation(self) -> None:
        with asked("great_britain") as provider:
            told = provider.latest("GB")

        assert (told.gco2e_per_kwh, told.is_estimated) == (120, False)
        assert told.valid_from == datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
        assert "CC BY 4.0" in told.source

    def test_takes_the_forecast_until_it_is_metered(self) -> None:
        with asked("great_britain", is_metered=False) as provider:
            told = provider.latest("GB")

        assert (told.gco2e_per_kwh, told.is_estimated) == (120, True)

    @pytest.mark.parametrize("zone", ["13", "GB-13"])
    def test_tells_the_forecast_of_a_region(self, zone: str) -> None:
        with asked("great_britain") as provider:
            told = provider.latest(zone)

        assert (told.zone, told.gco2e_per_kwh, told.is_estimated) == (zone, 95, True)

    @pytest.mark.parametrize("zone", ["", "DE", "0", "18", "GB-", "GB-99", "\uff11\uff13", "13/../.."])
    def test_sends_nothing_about_a_zone_that_it_cannot_know(self, zone: str) -> None:
        played = script()
        with ScriptedGrid(played) as grid, pytest.raises(UnknownZone, match="neither GB nor the number of a region"):
            client("great_britain", grid.url).latest(zone)
        assert played.paths == []

    def test_tells_a_region_that_the_service_refuses(self) -> None:
        with asked("great_britain") as provider, pytest.raises(UnknownZone, match=r"'12' \(400\)"):
            provider.latest("12")

    def test_knows_every_region(self) -> None:
        assert [region_of(f"GB-{number}") for number in range(1, 18)] == list(range(1, 18))

    @pytest.mark.parametrize(
        "replaced",
        [
            {"intensity": None},
            {"intensity": {}},
            {"intensity": {"forecast": None, "actual": None}},
            {"intensity": {"forecast": 100, "actual": -5}},
            {"from": 5},
            {"from": "2026-01-02T03:00"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("zone", ["GB", "13"])
    def test_refuses_an_answer_that_is_no_intensity(self, zone: str, replaced: dict[str, Any]) -> None:
        with asked("great_britain", replaced=replaced) as provider, pytest.raises(UnusableAnswer):
            provider.latest(zone)


@pytest.mark.parametrize("kind", KINDS)
class TestEither:
    def test_is_known_for_simulated_by_the_twin(self, kind: str) -> None:
        with asked(kind) as provider:
            assert provider.latest(ZONES[kind]).is_simulated

    @pytest.mark.parametrize(
        ("fault", "error", "told"),
        [
            (GridFault.CUT, ProviderUnreachable, "cannot be reached"),
            (GridFault.GARBAGE, UnusableAnswer, "no JSON"),
            (GridFault.HUGE, UnusableAnswer, "more than 1048576 bytes"),
            (GridFault.BUSY, ProviderBusy, "429"),
            (GridFault.BROKEN, ProviderBusy, "500"),
            (GridFault.MOVED, UnusableAnswer, "302"),
            (GridFault.REFUSED, KeyRefused, "does not cover the zone"),
        ],
    )
    def test_tells_failures_apart(self, kind: str, fault: GridFault, error: type[Exception], told: str) -> None:
        with asked(kind, fault=fault) as provider, pytest.raises(error, match=told):
            provider.latest(ZONES[kind])

    def test_gives_up_on_silence_in_time(self, kind: str) -> None:
        silent = asked(kind, fault=GridFault.SILENT, timeout_s=0.1)
        with silent as provider, pytest.raises(ProviderUnreachable, match=r"within 0\.1 s"):
            provider.latest(ZONES[kind])

    def test_tells_that_nobody_is_there(self, kind: str) -> None:
        with pytest.raises(ProviderUnreachable, match="cannot be reached"):
            client(kind, f"http://127.0.0.1:{free_port()}").latest(ZONES[kind])

    def test_tells_that_the_address_is_none(self, kind: str) -> None:
        with pytest.raises(ProviderUnreachable, match="cannot be reached"):
            client(kind, "nowhere").latest(ZONES[kind])

    @pytest.mark.parametrize("body", [b"[]", b"3", b"null", b'{"data": []}', b'{"data": [7]}', b"[" * 100_000])
    def test_refuses_json_of_another_shape(self, kind: str, body: bytes) -> None:
        with answering(body) as url, pytest.raises(UnusableAnswer):
            client(kind, url).latest(ZONES[kind])

    def test_takes_an_answer_of_another_server_for_real(self, kind: str) -> None:
        body = (
            b'{"zone": "DE", "carbonIntensity": 322, "datetime": "2019-05-21T00:00:00.000Z", "isEstimated": false}'
            if kind == "electricity_maps"
            else b'{"data": [{"from": "2018-01-20T12:00Z", "to": "2018-01-20T12:30Z", '
            b'"intensity": {"forecast": 266, "actual": 263, "index": "moderate"}}]}'
        )
        with answering(body) as url:
            told = client(kind, url).latest(ZONES[kind])

        assert told.gco2e_per_kwh in {322, 263}
        assert not told.is_simulated


class TestProviderFor:
    def test_takes_the_official_address_where_none_is_given(self) -> None:
        made = provider_for("great_britain", base_url="", key_variable="", environment={}, timeout_s=1)

        assert made.base_url == OFFICIAL_URLS["great_britain"] == "https://api.carbonintensity.org.uk"  # type: ignore[attr-defined]  # of one kind

    def test_takes_the_usual_variable_where_none_is_given(self) -> None:
        made = provider_for("electricity_maps", base_url="", key_variable="", environment={}, timeout_s=1)

        with pytest.raises(KeyRefused, match="ELECTRICITY_MAPS_API_KEY"):
            made.latest("DE")

    def test_knows_no_other_kind(self) -> None:
        with pytest.raises(UnknownProviderKind, match="electricity_maps, great_britain"):
            provider_for("watt_time", base_url="", key_variable="", environment={}, timeout_s=1)


class TestScriptedGrid:
    def test_answers_nothing_on_other_paths(self) -> None:
        played: GridScript = script()
        with ScriptedGrid(played) as grid, pytest.raises(UnknownZone):
            client("electricity_maps", f"{grid.url}/v9").latest("DE")
        assert played.paths == ["/v9/carbon-intensity/latest?zone=DE"]


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """Serve one answer without saying who serves."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + body)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join()
