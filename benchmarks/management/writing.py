"""Commands that write CSV: to their output, or to a file that is there whole or not at all."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from benchmarks.spreadsheets import harmless_row


def write_csv(
    *, columns: Sequence[str], rows: Iterable[Sequence[object]], output: Any, path: Path | None
) -> int | None:  # Any: whatever csv writes to
    """Write rows to a file and return how many, or to a command's output where no file is named and return None.

    Raises:
        CommandError: the file cannot be written, or a person stopped it.
    """
    if path is None:
        _write(columns, rows, output)
        return None
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("w", encoding="utf8", newline="") as file:
            count = _write(columns, rows, file)
        unfinished.replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error
    except KeyboardInterrupt:
        raise CommandError("Stopped; nothing was written.") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _write(columns: Sequence[str], rows: Iterable[Sequence[object]], file: Any) -> int:
    writer = csv.writer(file)  # lines end as RFC 4180 has it; only then is a lone carriage return quoted
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow(harmless_row(row))
        count += 1
    return count
