"""Files that were sent for a look and are kept until they are imported, or for a day."""

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from labeling.exchanging.entries import FileRefused

KEPT_FOR = timedelta(days=1)
_NAME = re.compile(r"[0-9a-f]{32}")


def keep(*, directory: Path, blocks: Iterable[bytes], now: datetime) -> str:
    """Write a file and return the name under which it is found again; drop those that were kept long enough."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in directory.iterdir():
        if old.stat().st_mtime < (now - KEPT_FOR).timestamp():
            old.unlink(missing_ok=True)
    name = secrets.token_hex(16)
    with (directory / name).open("xb") as file:
        for block in blocks:
            file.write(block)
    return name


def kept(*, directory: Path, name: str) -> Path:
    """Return where a kept file is.

    Raises:
        FileRefused: it is not there any more.
    """
    path = directory / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise FileRefused("The file is not kept here any more. Choose it again.")
    return path


def drop(*, directory: Path, name: str) -> None:
    """Keep a file no longer."""
    kept(directory=directory, name=name).unlink(missing_ok=True)
