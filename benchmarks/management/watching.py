"""Show how a study goes on, with a bar on a terminal and a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks.models import Study
from benchmarks.studying import progress_of

_PERIOD_S = 0.5
_LINE_EVERY_S = 15.0


def watch_study(
    *,
    study: Study,
    write: Callable[[str], object],
    is_terminal: bool,
    on_step: Callable[[], None] = lambda: None,
) -> None:
    """Return once a study does not run any more; `on_step` is called about twice a second."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    latest_line = 0.0
    with Progress(*columns, disable=not is_terminal) as bar:
        task = bar.add_task(str(study), total=None)
        while True:
            on_step()
            study.refresh_from_db()
            progress = progress_of(study=study)
            done = progress.total - progress.remaining
            bar.update(task, completed=done, total=progress.total)
            if not is_terminal and time.monotonic() - latest_line > _LINE_EVERY_S:
                latest_line = time.monotonic()
                write(f"{study}: {done} of {progress.total} responses")
                sys.stdout.flush()
            if study.state != Study.State.RUNNING:
                break
            time.sleep(_PERIOD_S)
    failed = f", {progress.failed} failed" if progress.failed else ""
    write(f"{study}: {study.get_state_display().lower()}, {progress.finished} of {progress.total} responses{failed}")
