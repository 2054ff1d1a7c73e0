"""What became of generated input: how many, what broke, what hung; one row of the table each."""

import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

HANG_S = 5.0  # of processor time for one input: a busy machine is no hang
_SHOWN_FAULTS = 3
_BATCH = 10_000
_BATCH_S = 60.0  # of processor time; a second is usual


class Hung(BaseException):
    """One input took more processor time than any may; no handler of the product's errors catches it."""


@dataclass
class Tally:
    """What became of the inputs of one target; `faults` counts errors by the place that they come from."""

    name: str
    generated: int = 0
    refused: int = 0
    hangs: int = 0
    seconds: float = 0.0
    skipped: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not self.faults and not self.hangs

    def fault(self, error: BaseException, example: object) -> None:
        """Count an error that is none of those that the target may raise."""
        self.note(_place_of(error), example)

    def note(self, what: str, example: object) -> None:
        """Count a fault by what it is; of each kind the smallest example is kept."""
        self.faults[what] += 1
        told = repr(example)
        if what not in self.examples or len(told) < len(self.examples[what]):
            self.examples[what] = told


def record_of(tally: Tally) -> dict[str, Any]:
    """Return a tally as what JSON holds.

    Not by `asdict`: before Python 3.12 it makes a counter of the pairs of a counter.
    """
    return {**vars(tally), "faults": dict(tally.faults)}


def tally_of(told: Mapping[str, Any]) -> Tally:
    """Return the tally that another process wrote as JSON."""
    return Tally(**{**told, "faults": Counter(told["faults"])})


def _place_of(error: BaseException) -> str:
    """Return the error with the innermost place in the product, so that one fault counts as one."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/tests/" not in one.filename]
    ours = [
        one
        for one in frames
        if any(f"/{app}/" in one.filename for app in ("benchmarks", "labeling", "router", "greenllm"))
    ]
    last = (ours or frames or traceback.extract_tb(error.__traceback__))[-1]
    return f"{type(error).__name__} at {last.filename.rpartition('/')[2]}:{last.lineno}: {str(error)[:100]}"


@contextmanager
def limited(seconds: float = HANG_S) -> Iterator[None]:
    """Raise `Hung` where the block takes so much processor time of this process; main thread only."""

    def ended(_signal: int, _frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGVTALRM, ended)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def each(tally: Tally, count: int, one: Callable[[int], None]) -> Tally:
    """Call `one` with 0, 1, ... `count` - 1; a batch that takes far too long is a hang, after which the target ends."""
    with timed(tally):
        for begin in range(0, count, _BATCH):
            try:
                with limited(_BATCH_S):
                    for number in range(begin, min(begin + _BATCH, count)):
                        tally.generated += 1
                        one(number)
            except Hung:
                tally.hangs += 1
                tally.examples["hang"] = f"after {tally.generated:,} inputs"
                break
    return tally


@contextmanager
def timed(tally: Tally) -> Iterator[Tally]:
    """Add the time of the block to the tally."""
    began = time.monotonic()
    try:
        yield tally
    finally:
        tally.seconds += time.monotonic() - began


def is_count_reached(tallies: Sequence[Tally], wanted: int) -> bool:
    """Print how many requests there were in all, and tell whether these are as many as were wanted."""
    made = sum(one.generated for one in tallies)
    result = "" if made >= wanted else ": MISSED"
    print(f"{'requests in all':44} {made:>10,} of {wanted:,} wanted{result}")  # noqa: T201
    return made >= wanted


def print_table(tallies: list[Tally]) -> None:
    """Print a row for each target, and beneath what broke."""
    print(f"{'what':44} {'generated':>10} {'refused':>10} {'500s':>5} {'hangs':>5} {'seconds':>8}")  # noqa: T201
    for one in tallies:
        if one.skipped:
            print(f"{one.name:44} SKIPPED: {one.skipped}")  # noqa: T201
            continue
        figures = f"{one.generated:>10,} {one.refused:>10,} {sum(one.faults.values()):>5} {one.hangs:>5}"
        print(f"{one.name:44} {figures} {one.seconds:>8.1f}")  # noqa: T201
    for one in tallies:
        for what, count in one.faults.most_common(_SHOWN_FAULTS):
            print(f"\n{one.name}: {count} x {what}\n    {one.examples[what][:600]}")  # noqa: T201
