from pathlib import Path

import pytest

from benchmarks.meters.base import Boundary
from benchmarks.meters.powercap import find_zones, plan_channels, without_mirrors
from tests.benchmarks.meters.powercap_tree import Tree

DESKTOP = {
    "intel-rapl:0": "package-0",
    "intel-rapl:0:0": "core",
    "intel-rapl:0:1": "uncore",
    "intel-rapl:0:2": "dram",
    "intel-rapl:1": "psys",
}


def tree_of(root: Path, zones: dict[str, str], *, is_nested: bool = False) -> Tree:
    tree = Tree(root, is_nested=is_nested)
    for place, name in zones.items():
        tree.add(place, name)
    return tree


def counted(root: Path, *, is_psys_preferred: bool = False) -> list[str]:
    planned = plan_channels(find_zones(root), is_psys_preferred=is_psys_preferred)
    return [one.channel for one in planned if one.boundary is Boundary.COMPONENT]


class TestFindZones:
    @pytest.mark.parametrize("is_nested", [False, True], ids=["flat", "nested"])
    def test_tells_zones_by_their_names(self, tmp_path: Path, is_nested: bool) -> None:
        tree_of(tmp_path / "powercap", DESKTOP, is_nested=is_nested)

        assert {zone.place: zone.name for zone in find_zones(tmp_path / "powercap")} == DESKTOP

    def test_finds_a_zone_once_that_is_shown_flat_and_nested(self, tmp_path: Path) -> None:
        """As in /sys/class/powercap, where each zone is a link to its nested folder."""
        devices = tree_of(tmp_path / "devices", DESKTOP, is_nested=True)
        (tmp_path / "class").mkdir()
        for place in ("intel-rapl", *DESKTOP):
            target = devices.root / place if place == "intel-rapl" else devices.folder(place)
            (tmp_path / "class" / place).symlink_to(target)

        assert [zone.place for zone in find_zones(tmp_path / "class")] == list(DESKTOP)

    def test_leaves_out_the_copies_over_mmio(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", {**DESKTOP, "intel-rapl-mmio:0": "package-0", "intel-rapl-mmio:0:0": "dram"})

        assert {zone.place for zone in find_zones(tmp_path / "powercap")} == set(DESKTOP)

    def test_takes_mmio_where_nothing_else_is_there(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", {"intel-rapl-mmio:0": "package-0"})

        assert counted(tmp_path / "powercap") == ["cpu-package-0"]

    def test_leaves_other_power_caps_alone(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", {"intel-rapl:0": "package-0", "dtpm:0": "soc"})

        assert [zone.name for zone in find_zones(tmp_path / "powercap")] == ["package-0"]

    def test_of_no_tree_finds_nothing(self, tmp_path: Path) -> None:
        assert find_zones(tmp_path / "powercap") == []


class TestPlanChannels:
    @pytest.mark.parametrize(
        ("zones", "expected"),
        [
            ({"intel-rapl:0": "package-0"}, ["cpu-package-0"]),
            (DESKTOP, ["cpu-package-0", "cpu-package-0-dram"]),
            (
                {
                    "intel-rapl:0": "package-0",
                    "intel-rapl:0:0": "dram",
                    "intel-rapl:1": "package-1",
                    "intel-rapl:1:0": "dram",
                },
                ["cpu-package-0", "cpu-package-0-dram", "cpu-package-1", "cpu-package-1-dram"],
            ),
            ({"intel-rapl:0": "psys"}, ["psys"]),
            ({"amd-rapl:0": "package-0", "amd-rapl:0:0": "core"}, ["cpu-package-0"]),
            ({"intel-rapl:0": "something-new"}, []),
        ],
        ids=["package", "desktop", "two sockets", "psys alone", "amd", "unknown"],
    )
    def test_adds_packages_and_their_memory_up(
        self, tmp_path: Path, zones: dict[str, str], expected: list[str]
    ) -> None:
        tree_of(tmp_path / "powercap", zones)

        assert counted(tmp_path / "powercap") == expected

    def test_takes_psys_alone_where_it_is_preferred(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", DESKTOP)

        assert counted(tmp_path / "powercap", is_psys_preferred=True) == ["psys"]

    def test_prefers_no_psys_that_is_not_there(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", {"intel-rapl:0": "package-0"})

        assert counted(tmp_path / "powercap", is_psys_preferred=True) == ["cpu-package-0"]

    def test_gives_zones_of_the_same_name_channels_apart(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", {"intel-rapl:0": "package-0", "intel-rapl:1": "package-0"})

        assert counted(tmp_path / "powercap") == ["cpu-package-0", "cpu-package-0-intel-rapl-1"]

    def test_names_a_channel_so_that_it_can_be_one(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", {"intel-rapl:0": "package-0", "intel-rapl:0:0": "a zone/with signs"})

        planned = plan_channels(find_zones(tmp_path / "powercap"))

        assert [one.channel for one in planned] == ["cpu-package-0", "cpu-package-0-a-zone-with-signs"]


class TestWithoutMirrors:
    DIES = {
        "intel-rapl:0": "package-0-die-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:1": "package-0-die-1",
        "intel-rapl:1:0": "core",
    }

    @pytest.mark.parametrize(
        ("second_uj", "kept"),
        [(70_000_000_900, 2), (70_900_000_000, 4), (0, 4)],
        ids=["the same counter", "a counter of its own", "a counter that stands at 0"],
    )
    def test_leaves_out_a_die_that_shows_the_package_again(self, tmp_path: Path, second_uj: int, kept: int) -> None:
        tree_of(tmp_path / "powercap", self.DIES)
        values_uj = {"intel-rapl:0": 70_000_000_000, "intel-rapl:1": second_uj}

        assert len(without_mirrors(find_zones(tmp_path / "powercap"), values_uj)) == kept

    def test_keeps_two_sockets_whatever_they_show(self, tmp_path: Path) -> None:
        tree_of(tmp_path / "powercap", {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1"})

        zones = without_mirrors(find_zones(tmp_path / "powercap"), {"intel-rapl:0": 5, "intel-rapl:1": 5})

        assert len(zones) == 2
