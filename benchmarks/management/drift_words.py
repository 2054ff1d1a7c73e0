"""What the control workload of a study says, in the words of a terminal."""

from benchmarks.controlling import CONTROL_TOKENS
from benchmarks.drifting import ControlReport

DRIFTED = "The machine drifted while it measured: early and late answers are not alike."


def told_control(report: ControlReport) -> str:
    """Return runs, mean, variation and drift in a sentence or two."""
    told = (
        f"Control workload ({report.model}, at most {CONTROL_TOKENS} tokens): {len(report.runs)} of "
        f"{report.due_count} runs, {report.missing_count} without energy"
    )
    if report.spread is None:
        return f"{told}; nothing can be said of a drift."
    variation = report.spread.variation
    told += f", mean {report.spread.mean:.4g} J" + ("" if variation is None else f", variation {variation:.2%}")
    if report.is_mixed:
        return f"{told}; its energies are of several qualities ({', '.join(report.qualities)}), which tell no drift."
    if report.change is not None:
        told += f", last against first {report.change:+.2%}"
    if report.drift is None:
        return f"{told}; fewer than three runs tell no drift per hour. Quality: {', '.join(report.qualities)}."
    drift = report.drift
    told += (
        f", {drift.share_per_hour:+.2%} per hour (95 % interval {drift.low:+.2%} to {drift.high:+.2%}, n = {drift.n}) "
        f"as seen within {report.span_s / 60:.1f} min. "
        f"Quality: {', '.join(report.qualities)}."
    )
    return f"{told} {DRIFTED}" if report.has_drifted else told
