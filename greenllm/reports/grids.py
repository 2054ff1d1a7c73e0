"""Tables of a report: cells with a figure each, the same for the page, Markdown, CSV and JSON. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape

from benchmarks.intervals import Interval


class Unit(Enum):
    """What a figure is counted in; the value names the unit of the stored number."""

    SCI = "gCO2e"
    ENERGY = "J"
    SHARE = "share"
    RATIO = "ratio"
    RANK = "rank"
    PLAIN = ""


@dataclass(frozen=True)
class Figure:
    """A figure as it is stored: its unit, its 95 % interval if it has one, and what it is made of.

    `n` of `of` answers are behind it; None is a figure that there is nothing to make of, `why` says what is lacking.
    """

    value: float | None
    unit: Unit
    n: int
    of: int
    low: float | None = None
    high: float | None = None
    qualities: tuple[str, ...] = ()
    why: str = ""

    @classmethod
    def of_interval(
        cls, interval: Interval | None, unit: Unit, *, of: int, qualities: tuple[str, ...] = (), why: str = ""
    ) -> "Figure":
        """Return a figure of an interval; of a single value the interval is not known.

        What is missing is of no quality, whatever other energies of the same answers are.
        """
        if interval is None:
            return cls(None, unit, 0, of, why=why)
        low, high = (interval.low, interval.high) if interval.n > 1 else (None, None)
        return cls(interval.value, unit, interval.n, of, low, high, qualities)


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table: a figure, or words; `url` leads to the answers behind it."""

    figure: Figure | None = None
    text: str = ""
    url: str = ""


@dataclass(frozen=True)
class Grid:
    """One table: its name in files, its title, what it says, and a row of cells for each name.

    `columns` are the heads after `corner`.
    """

    name: str
    title: str
    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    total: tuple[str, tuple[Cell, ...]] | None = None
    hints: tuple[str, ...] = ()

    @property
    def all_rows(self) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
        """Return the rows with the total as the last one."""
        return (*self.rows, self.total) if self.total else self.rows


FLAT_HEADER = ("table", "row", "column", "value", "low", "high", "unit", "n", "of", "quality", "note")
FlatRow = tuple[str | float | int | None, ...]


def flat_rows(grids: Sequence[Grid]) -> Iterator[FlatRow]:
    """Yield a row as `FLAT_HEADER` has them for each cell of the tables; what is not known is None, never 0."""
    for grid in grids:
        for name, cells in grid.all_rows:
            for column, cell in zip(grid.columns, cells, strict=True):
                yield (grid.name, name, column, *_flat(cell))


def _flat(cell: Cell) -> FlatRow:
    found = cell.figure
    if found is None:
        return (cell.text or None, None, None, None, None, None, None, None)
    return (
        found.value, found.low, found.high, found.unit.value, found.n, found.of, " ".join(found.qualities),
        (found.why or None) if found.value is None else None,
    )  # fmt: skip


def as_markdown(grid: Grid, written: Callable[[Cell], str]) -> str:
    """Return a table in Markdown, each cell as `written` has it."""
    lines = [f"| {' | '.join(map(_escaped, (grid.corner, *grid.columns)))} |"]
    lines.append(f"|{'---|' * (1 + len(grid.columns))}")
    for name, cells in grid.all_rows:
        lines.append(f"| {' | '.join([_escaped(name), *(_escaped(written(cell)) for cell in cells)])} |")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return " ".join(escape(text, quote=False).replace("\\", "\\\\").replace("|", "\\|").split())
