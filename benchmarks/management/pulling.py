"""Show how the fetching of a model goes on, with a bar for each layer on a terminal and a line a step elsewhere."""

from collections.abc import Callable, Iterable

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.inference.base import PullProgress


def watch_pull(*, news: Iterable[PullProgress], write: Callable[[str], object], is_terminal: bool) -> None:
    """Return once a model has been fetched."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    step = ""
    with Progress(*columns, disable=not is_terminal) as bar:
        task = bar.add_task("")
        for progress in news:
            if progress.step != step:
                step = progress.step
                if not bar.tasks[-1].finished:
                    bar.remove_task(task)  # it fetched nothing, so there is no bar to keep
                task = bar.add_task(step, total=progress.total_bytes)
                if not is_terminal:
                    write(step)
            bar.update(task, completed=progress.done_bytes or 0)
        if not bar.tasks[-1].finished:
            bar.remove_task(task)
