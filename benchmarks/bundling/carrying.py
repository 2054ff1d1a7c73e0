"""Carry a study out of one installation and into another, whole or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO
from uuid import UUID

from django.db import IntegrityError, transaction

from benchmarks.bundling.answers import ACCOMPANYING, ANSWERS, STUDY
from benchmarks.bundling.archive import Bundle, BundleError, Manifest, Origin, open_bundle, write_bundle
from benchmarks.bundling.catalogue import CATALOGUE_BEFORE_STUDY, CATALOGUE_OF_STUDY
from benchmarks.bundling.members import Incoming, Member, Outgoing
from benchmarks.models import Study
from benchmarks.one_moment import one_moment
from benchmarks.study_plan import StudyError, check_name

STUDY_MEMBERS: tuple[Member, ...] = (*CATALOGUE_BEFORE_STUDY, *STUDY, *CATALOGUE_OF_STUDY, *ANSWERS)
ACCOMPANYING_MEMBERS: tuple[Member, ...] = ACCOMPANYING  # which older bundles lack


@dataclass(frozen=True)
class Imported:
    """The study that was made of a bundle, how many rows of each kind it has, and what a person should know."""

    study: Study
    counts: dict[str, int]
    notes: tuple[str, ...]


def export_study(
    *,
    study: Study,
    file: IO[bytes],
    members: Sequence[Member],
    product_version: str,
    now: datetime,
    on_row: Callable[[str, int], None] | None = None,
) -> Manifest:
    """Write a study as a bundle into a seekable file, as it was at one moment; nothing of it is held in memory.

    Raises:
        BundleError: the study runs.
    """
    with one_moment():
        study = Study.objects.select_related("machine").get(pk=study.pk)
        if study.state == Study.State.RUNNING:
            raise BundleError(f"The study {study} is running; pause it or wait for its end before exporting it.")
        outgoing = _outgoing(study)
        origin = Origin(
            product_version=product_version,
            created_at=now.astimezone(UTC).isoformat(),
            study_name=study.name,
            study_uuid=str(study.uuid),
            machine=study.machine.name if study.machine is not None else "",
        )
        return write_bundle(
            file,
            origin=origin,
            members=((member.name, member.write(outgoing)) for member in members),
            on_row=on_row,
        )


def _outgoing(study: Study) -> Outgoing:
    outgoing = Outgoing(study)
    for pk, measurement_id in study.responses.in_order().values_list("pk", "measurement_id").iterator():
        outgoing.response_ids.append(pk)
        if measurement_id is not None:
            outgoing.measurement_ids.append(measurement_id)
    for pk, measurement_id in study.own_measurements.order_by("pk").values_list("pk", "measurement_id"):
        outgoing.accompanying_ids.append(pk)
        outgoing.measurement_ids.append(measurement_id)
    return outgoing


def import_study(
    *,
    file: IO[bytes],
    members: Sequence[Member],
    max_bytes: int,
    now: datetime,
    name: str | None = None,
    on_member: Callable[[str, int], None] | None = None,
) -> Imported:
    """Check a whole bundle, then make its study in one transaction: all of it or nothing.

    `name` is the study's name here, its own where None; `max_bytes` bounds what the bundle unpacks to. `on_member`
    hears of each member and its number of lines before it is read.

    Raises:
        BundleError: the bundle is damaged, foreign, there already, or does not fit what is here.
    """
    bundle = open_bundle(file, member_names=[member.name for member in members], max_bytes=max_bytes)
    origin = bundle.manifest.origin
    incoming = Incoming(study_name=name if name is not None else origin.study_name, now=now)
    with transaction.atomic():
        _require_new(bundle.manifest, incoming.study_name)
        try:
            study = _read_members(bundle, members, incoming, on_member)
        except IntegrityError as error:  # two imports at once: the later one finds the study made
            raise BundleError(f"The study cannot be stored: {str(error).splitlines()[0]}") from error
    return Imported(study, bundle.manifest.counts, tuple(incoming.notes))


def _require_new(manifest: Manifest, name: str) -> None:
    try:
        check_name(name)
    except StudyError as error:
        raise BundleError(f"{error} Choose one with --as NAME.") from error
    known = Study.objects.filter(uuid=_uuid_or_none(manifest)).first()
    if known is not None:
        raise BundleError(f"The study of this bundle is here already, as {known}. Nothing was imported.")
    if Study.objects.filter(name=name).exists():
        raise BundleError(f"Another study is named {name!r} here. Choose a name for this one with --as NAME.")


def _uuid_or_none(manifest: Manifest) -> str:
    try:
        return str(UUID(manifest.origin.study_uuid))
    except ValueError as error:
        raise BundleError(f"manifest.json: study_uuid cannot be {manifest.origin.study_uuid!r}.") from error


def _read_members(
    bundle: Bundle, members: Sequence[Member], incoming: Incoming, on_member: Callable[[str, int], None] | None
) -> Study:
    line_counts = {member.name: member.line_count for member in bundle.manifest.members}
    for member in members:
        if on_member is not None:
            on_member(member.name, line_counts.get(member.name, 0))
        if member.name in line_counts:
            member.read(incoming, bundle.lines(member.name))
        elif member in STUDY_MEMBERS:
            raise BundleError(f"The bundle lacks {member.name}; export it again.")
        if member in STUDY and incoming.study is None:
            raise BundleError(f"{member.name} holds no study.")
    study, origin = incoming.made, bundle.manifest.origin
    if str(study.uuid) != origin.study_uuid:
        raise BundleError("The study is another one than the manifest says.")
    study.imported_from = {**vars(origin), "notes": incoming.notes, **incoming.kept}
    study.save(update_fields=["imported_from"])
    study.refresh_from_db()
    return study
