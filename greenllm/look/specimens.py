"""What the page of the design system shows in its components: made-up things, and numbers that say so. Pure."""

from dataclasses import dataclass

from greenllm.charts import PALETTE, SYMBOLS, Chart

QUALITIES = ("measured", "component", "estimated", "simulated", "missing")


@dataclass(frozen=True)
class Row:
    """A row of the specimen table; a missing figure is None and never zero."""

    name: str
    state: str
    accuracy: float | None
    sci_mg: float | None
    quality: str


ROWS = (
    Row("birch:1b", "active", 71, 2.32, "measured"),
    Row("elm:3b", "active", 83, 6.10, "measured"),
    Row("hazel:0.5b", "active", 37, 0.94, "component"),
    Row("larch:7b", "candidate", None, None, "missing"),
    Row("maple:14b", "retired", 88, 24.5, "estimated"),
    Row("oak:32b", "labeling", 92, 61.0, "simulated"),
    Row("rowan:2b", "active", 64, 3.75, "measured"),
)


def specimen_chart() -> Chart:
    """Return the chart of the page: every colour and sign of the palette once."""
    points = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [number + 1],
            "y": [20 + 12 * number],
            "error_y": {"type": "data", "array": [8], "arrayminus": [5]},
            "marker": {"color": colour, "symbol": SYMBOLS[number], "size": 11},
        }
        for number, (name, colour) in enumerate(zip("ABCDEF", PALETTE, strict=True))
    ]
    layout = {"xaxis": {"title": {"text": "Mean SCI (mgCO₂e)"}}, "yaxis": {"title": {"text": "Accuracy (%)"}}}
    return Chart(
        "specimen",
        "The palette: six colours, each with a sign of its own",
        "Six made-up points from the lower left to the upper right, each with an interval.",
        {"data": points, "layout": layout},
    )
