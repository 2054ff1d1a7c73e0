"""Makes powercap trees of real files, as a kernel shows them."""

from pathlib import Path

RANGE_UJ = 262_143_328_850


class Tree:
    """A powercap tree, flat as in `/sys/class/powercap` or nested as in `/sys/devices/virtual/powercap`."""

    def __init__(self, root: Path, *, is_nested: bool = False) -> None:
        self.root = root
        self._is_nested = is_nested
        root.mkdir(exist_ok=True)

    def folder(self, place: str) -> Path:
        if not self._is_nested:
            return self.root / place
        control, *numbers = place.split(":")
        folder = self.root / control
        for depth in range(1, len(numbers) + 1):
            folder /= ":".join([control, *numbers[:depth]])
        return folder

    def add(self, place: str, name: str, energy_uj: int = 0, range_uj: int | None = RANGE_UJ) -> "Tree":
        folder = self.folder(place)
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "enabled").write_text("1\n")
        if range_uj is not None:
            (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.set(place, energy_uj)
        return self

    def set(self, place: str, energy_uj: int | str) -> None:
        """Let a zone's counter show a value, or rubbish."""
        (self.folder(place) / "energy_uj").write_text(f"{energy_uj}\n")

    def break_zone(self, place: str) -> None:
        """Let reading the counter fail, as a kernel does with EIO; a folder cannot be read like a file."""
        path = self.folder(place) / "energy_uj"
        path.unlink()
        path.mkdir()

    def mend_zone(self, place: str, energy_uj: int) -> None:
        (self.folder(place) / "energy_uj").rmdir()
        self.set(place, energy_uj)


class Clock:
    """A monotonic clock, and the time spent suspended, that move when told."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000
        self.slept_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def sleep_clock(self) -> int:
        return self.slept_ns

    def move(self, milliseconds: float) -> None:
        self.now_ns += round(milliseconds * 1_000_000)
