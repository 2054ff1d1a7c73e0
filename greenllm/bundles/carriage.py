"""Study bundles of the whole application: the study's own members and the judgements'."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

from benchmarks.bundling.archive import BundleError, Manifest
from benchmarks.bundling.carrying import ACCOMPANYING_MEMBERS, STUDY_MEMBERS, Imported, export_study, import_study
from benchmarks.bundling.members import Member
from benchmarks.models import Measurement, Prompt, Response, Study
from benchmarks.planner import tell_planner
from greenllm import VERSION
from labeling.bundling import judgement_members
from labeling.models import Grade, Label

MEBIBYTE = 1024 * 1024
_TIMES_UNPACKED = 50  # real bundles unpack to 5 to 20 times their size


def all_members(*, with_names: bool = False) -> tuple[Member, ...]:
    """Return every member of a bundle, in the order of writing and reading."""
    return (*STUDY_MEMBERS, *ACCOMPANYING_MEMBERS, *judgement_members(with_names=with_names))


def pack_study(
    *,
    study: Study,
    file: IO[bytes],
    now: datetime,
    with_names: bool = False,
    on_row: Callable[[str, int], None] | None = None,
) -> Manifest:
    """Write a study with its judgements into a seekable file; raises `BundleError` where it cannot be exported."""
    members = all_members(with_names=with_names)
    return export_study(study=study, file=file, members=members, product_version=VERSION, now=now, on_row=on_row)


def pack_study_at(
    *,
    study: Study,
    path: Path,
    now: datetime,
    with_names: bool = False,
    on_row: Callable[[str, int], None] | None = None,
) -> Manifest:
    """Write a study into a new file that appears only when it is whole.

    Raises:
        BundleError: there is such a file, it cannot be written, or the study cannot be exported.
    """
    if path.exists():
        raise BundleError(f"{path} exists already; choose another name, or remove it.")
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with draft.open("xb") as file:
            manifest = pack_study(study=study, file=file, now=now, with_names=with_names, on_row=on_row)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def unpack_study(
    *,
    file: IO[bytes],
    now: datetime,
    name: str | None = None,
    max_bytes: int | None = None,
    on_member: Callable[[str, int], None] | None = None,
) -> Imported:
    """Make a study of a bundle, whole or not at all; `max_bytes` bounds it unpacked, by its own size where None.

    Raises:
        BundleError: the bundle is damaged, foreign, there already, or does not fit what is here.
    """
    if max_bytes is None:
        max_bytes = max(64 * MEBIBYTE, file.seek(0, os.SEEK_END) * _TIMES_UNPACKED)
        file.seek(0)
    imported = import_study(
        file=file, members=all_members(), max_bytes=max_bytes, now=now, name=name, on_member=on_member
    )
    tell_planner(Prompt, Response, Measurement, Grade, Label)
    return imported
