"""Bring published tables of yearly carbon intensities into the database, from their home or from a file."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from benchmarks.datasets.downloading import Report, retrieve
from benchmarks.datasets.published import Download
from benchmarks.grid.yearly import PublishedTable, TableError, YearlyIntensity, read_table
from benchmarks.models import CarbonIntensity

_REMEDY = "fetch the table in another way and name its file with --from FILE"


@dataclass(frozen=True)
class ImportedTable:
    """What an import made of a table."""

    created_count: int
    changed_count: int
    unchanged_count: int
    zone_count: int
    first_year: int
    last_year: int
    other_codes: tuple[str, ...]
    empty_count: int


def download_table(*, table: PublishedTable, url: str, into: Path, report: Report) -> Path:
    """Fetch a table anew, because its home adds years and corrects them under the same address.

    Raises:
        DownloadError: the home cannot be reached, refuses or breaks off.
    """
    wanted = Download(url, f"{table.name}.csv", known_hash=None, remedy=_REMEDY)
    folder = into / "intensity"
    (folder / wanted.file_name).unlink(missing_ok=True)
    return retrieve(wanted=wanted, folder=folder, report=report)


def import_table(*, table: PublishedTable, path: Path, zones: Collection[str] = ()) -> ImportedTable:
    """Store every year of every country, or of some zones; a figure that was corrected takes the old one's place.

    Studies keep the figure that they were made with.

    Raises:
        TableError: the file holds mistakes, or nothing of a wanted zone; nothing was imported.
    """
    read = read_table(path=path, table=table)
    rows = [row for row in read.rows if not zones or row.zone in zones]
    absent = sorted(set(zones) - {row.zone for row in rows})
    if absent:
        raise TableError(path, [f"file: it holds no intensity of the zone {zone!r}" for zone in absent])
    created, changed = _store(table, rows)
    years = [row.year for row in rows]
    return ImportedTable(
        created_count=created,
        changed_count=changed,
        unchanged_count=len(rows) - created - changed,
        zone_count=len({row.zone for row in rows}),
        first_year=min(years),
        last_year=max(years),
        other_codes=read.other_codes,
        empty_count=read.empty_count,
    )


def _store(table: PublishedTable, rows: list[YearlyIntensity]) -> tuple[int, int]:
    kind = CarbonIntensity.Kind.YEARLY_AVERAGE
    with transaction.atomic():
        known = {
            (one.zone, one.year): one
            for one in CarbonIntensity.objects.select_for_update().filter(
                kind=kind, source=table.source, valid_from=None
            )
        }
        created = [
            CarbonIntensity(
                zone=row.zone, year=row.year, gco2e_per_kwh=row.gco2e_per_kwh, kind=kind, source=table.source
            )
            for row in rows
            if (row.zone, row.year) not in known
        ]
        changed = []
        for row in rows:
            one = known.get((row.zone, row.year))
            if one is not None and one.gco2e_per_kwh != row.gco2e_per_kwh:
                one.gco2e_per_kwh = row.gco2e_per_kwh
                changed.append(one)
        CarbonIntensity.objects.bulk_create(created, batch_size=1000)
        CarbonIntensity.objects.bulk_update(changed, ["gco2e_per_kwh"], batch_size=1000)
    return len(created), len(changed)
