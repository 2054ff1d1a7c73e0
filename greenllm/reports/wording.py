"""How the figures of a report are written, on the page and in Markdown."""

from greenllm.reports.grids import Cell, Figure, Unit
from greenllm.templatetags.figures import NONE, milligrams, percent, significant

MISSING = "missing"
UNIT_NAMES = {Unit.SCI: "mgCO2e", Unit.ENERGY: "J"}


def value_of(figure: Figure) -> str:
    """Return the figure alone: SCI as a number of milligrams, a share in percent; `missing` where an energy is."""
    if figure.value is None:
        return MISSING if figure.unit in UNIT_NAMES and figure.of else NONE
    return _number(figure.value, figure.unit)


def interval_of(figure: Figure) -> str:
    """Return the 95 % interval of a figure, empty where it has none."""
    if figure.value is None or figure.low is None or figure.high is None:
        return ""
    if figure.unit is Unit.SHARE:
        return f"{100 * figure.low:.0f}\u2013{percent(figure.high)}"
    return f"{_number(figure.low, figure.unit)} to {_number(figure.high, figure.unit)}"


def behind(figure: Figure) -> str:
    """Return what a figure is made of: its n, of how many where those differ, and the quality of the energies."""
    return ", ".join([count_of(figure), *figure.qualities])


def count_of(figure: Figure) -> str:
    """Return how many answers a figure is made of, and of how many where those differ."""
    return f"n = {figure.n:,}" + (f" of {figure.of:,}" if figure.of != figure.n else "")


def written(cell: Cell) -> str:
    """Return a cell in one line."""
    if cell.figure is None:
        return cell.text or NONE
    figure = cell.figure
    interval = interval_of(figure)
    parts = [f"[{interval}]" if interval else "", f"({behind(figure)})", figure.why if figure.value is None else ""]
    return " ".join([value_of(figure), *(part for part in parts if part)])


def _number(value: float, unit: Unit) -> str:
    match unit:
        case Unit.SCI:
            return milligrams(value)
        case Unit.SHARE:
            return percent(value)
        case Unit.RATIO:
            return f"\u00d7\u00a0{significant(value)}"
        case Unit.RANK:
            return f"{value:.0f}"
        case _:
            return significant(value)
