"""Import a published table of yearly carbon intensities."""

from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.datasets.downloading import DownloadError
from benchmarks.grid.yearly import TABLES, PublishedTable, TableError
from benchmarks.management.telling import TellingCommand
from benchmarks.tabulating import ImportedTable, download_table, import_table


class Command(TellingCommand):
    help = (
        "Import the carbon intensity of each country and year from a published table, from its official home or a "
        "file: all of it or nothing. A second time adds new years and corrections; studies keep their figure."
    )
    told: ClassVar[tuple[type[Exception], ...]] = (DownloadError, TableError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("table", choices=list(TABLES))
        parser.add_argument(
            "--from", metavar="FILE", help="A file with the table's columns, or the http(s) address of a copy."
        )
        parser.add_argument(
            "--zone", action="append", default=[], help="Only this zone, such as DE; may be given several times."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        table = TABLES[options["table"]]
        place = options["from"] or table.url
        path = self._download(table, place) if place.startswith(("http://", "https://")) else Path(place)
        imported = import_table(table=table, path=path, zones=options["zone"])
        self._tell(table, place, imported)

    def _download(self, table: PublishedTable, url: str) -> Path:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        try:
            with Progress(*columns, disable=not self.stdout.isatty()) as bar:
                task = bar.add_task(table.name, total=None)
                return download_table(
                    table=table,
                    url=url,
                    into=settings.VAR_DIR / "downloads",
                    report=lambda done, total: bar.update(task, completed=done, total=total),
                )
        except KeyboardInterrupt as stop:
            raise CommandError("Stopped; nothing was imported.", returncode=130) from stop

    def _tell(self, table: PublishedTable, place: str, imported: ImportedTable) -> None:
        self.stdout.write(
            f"{table.title}: {imported.created_count} intensities imported, {imported.changed_count} corrected, "
            f"{imported.unchanged_count} were there; {imported.zone_count} zones, "
            f"{imported.first_year} to {imported.last_year}."
        )
        if imported.empty_count:
            self.stdout.write(f"{imported.empty_count} rows of countries have no intensity and were passed over.")
        if imported.other_codes:
            self.stdout.write(f"No country of today, passed over: {', '.join(imported.other_codes)}.")
        self.stdout.write(f"Read from {place}.")
        self.stdout.write(f"Licence: {table.licence}")
        self.stdout.write(f"Source: {table.attribution}")
