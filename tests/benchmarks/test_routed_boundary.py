import pytest

from benchmarks.boundary import BoundedEnergy
from benchmarks.routed_boundary import Hop, is_loopback, with_router

AT_THE_WALL = BoundedEnergy(10.0, "measured", "whole machine, by mcp (machine)", frozenset({"machine"}), False, "")
LOOPBACK = Hop(is_loopback=True, byte_count=5000)


class TestIsLoopback:
    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8000", "http://localhost/v1", "http://[::1]:8000", "http://127.1.2.3"]
    )
    def test_is_this_machine(self, url: str) -> None:
        assert is_loopback(url)

    @pytest.mark.parametrize("url", ["http://10.0.0.2:8000", "https://router.example/v1", "http://localhost.example"])
    def test_is_not_a_machine_beyond_a_network(self, url: str) -> None:
        assert not is_loopback(url)


class TestWithRouter:
    def test_finds_loopback_inside_what_the_meter_saw(self) -> None:
        found = with_router(AT_THE_WALL, hop=LOOPBACK)
        assert (found.energy_j, found.quality) == (10.0, "measured")
        assert found.boundary == "router: classifier + network + chosen model; whole machine, by mcp (machine)"

    def test_adds_the_network_beyond_the_machine_as_an_estimate(self) -> None:
        # 1 MB at 0.06 kWh/GB is 0.00006 kWh, which is 216 J
        found = with_router(AT_THE_WALL, hop=Hop(is_loopback=False, byte_count=1_000_000, kwh_per_gb=0.06))
        assert found.energy_j == pytest.approx(226.0)
        assert found.quality == "estimated"
        assert "network + chosen model (1000000 bytes at 0.06 kWh/GB); whole machine" in found.boundary

    @pytest.mark.parametrize(
        ("hop", "reason"),
        [
            (Hop(is_loopback=False, byte_count=1000), "no figure of the network"),
            (Hop(is_loopback=False, kwh_per_gb=0.06), "were not counted"),
        ],
    )
    def test_has_no_energy_where_the_network_is_not_known(self, hop: Hop, reason: str) -> None:
        found = with_router(AT_THE_WALL, hop=hop)
        assert (found.energy_j, found.quality) == (None, "missing")
        assert reason in found.missing_reason

    def test_has_no_energy_where_another_machine_answered(self) -> None:
        found = with_router(AT_THE_WALL, hop=LOOPBACK, unseen="The router chose a model on another machine.")
        assert (found.energy_j, found.missing_reason) == (None, "The router chose a model on another machine.")

    def test_keeps_the_reason_of_a_gap(self) -> None:
        gap = BoundedEnergy(None, "missing", "whole machine", frozenset({"machine"}), False, "machine: a gap")
        assert with_router(gap, hop=Hop(is_loopback=False)).missing_reason == "machine: a gap"

    def test_makes_nothing_better_than_it_is(self) -> None:
        simulated = BoundedEnergy(1.0, "simulated", "", frozenset(), False, "")
        hop = Hop(is_loopback=False, byte_count=1, kwh_per_gb=0.06)
        assert with_router(simulated, hop=hop).quality == "simulated"

    def test_has_words_that_fit_the_row(self) -> None:
        long = BoundedEnergy(1.0, "component", "x" * 200, frozenset(), False, "")
        assert len(with_router(long, hop=LOOPBACK).boundary) == 200
