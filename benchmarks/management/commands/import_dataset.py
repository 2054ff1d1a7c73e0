"""Import one of the published data sets."""

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.datasets import DATASETS, PublishedDataset
from benchmarks.datasets.databases import DatabaseFileError
from benchmarks.datasets.downloading import DownloadError, download_raw
from benchmarks.importing import DatabaseFolders, ImportedDataset, import_dataset
from benchmarks.management.telling import TellingCommand


class Command(TellingCommand):
    help = (
        "Import a published data set, from the folder of its raw file or from its official home: prompts 1-50 for "
        "training, 51-55 for validation, the others unused."
    )
    told: ClassVar[tuple[type[Exception], ...]] = (DownloadError, DatabaseFileError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=list(DATASETS))
        parser.add_argument("--from", type=Path, metavar="DIR", help="Folder of the raw file; downloaded where absent.")
        parser.add_argument("--limit", type=_at_least_one, metavar="N", help="Only the first N prompts.")
        parser.add_argument("--databases", type=Path, metavar="DIR", help="Folder of the SQLite databases of petsql.")

    def handle(self, *args: Any, **options: Any) -> None:
        published = DATASETS[options["name"]]
        databases = None
        if options["databases"] is not None:
            databases = DatabaseFolders(options["databases"], settings.VAR_DIR / "databases" / published.name)
        imported = import_dataset(
            published=published,
            folder=options["from"] or self._download(published),
            limit=options["limit"],
            databases=databases,
        )
        self._tell(published, imported)

    def _download(self, published: PublishedDataset) -> Path:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        try:
            with Progress(*columns, disable=not self.stdout.isatty()) as bar:
                task = bar.add_task(published.name, total=None)
                return download_raw(
                    dataset=published,
                    into=settings.VAR_DIR / "downloads",
                    report=lambda done, total: bar.update(task, completed=done, total=total),
                )
        except KeyboardInterrupt as stop:
            raise CommandError("Stopped; nothing was imported.", returncode=130) from stop

    def _tell(self, published: PublishedDataset, imported: ImportedDataset) -> None:
        prompts = imported.prompts
        self.stdout.write(
            f"{prompts.dataset}: {prompts.created_count} prompts imported, {prompts.unchanged_count} were there."
        )
        if published.databases is not None and imported.created_database_count is None:
            self.stdout.write("Its checks run on databases, which were not brought: see --databases.")
        if imported.created_database_count is not None:
            self.stdout.write(
                f"{imported.created_database_count} databases copied, {imported.unchanged_database_count} were there."
            )
        self.stdout.write(f"Read from {imported.path} ({imported.version}).")
        if imported.version != published.known_version:
            self.stdout.write(f"This is not the version that GreenLLM knows ({published.known_version}).")
        self.stdout.write(f"Licence: {published.licence}")
        self.stdout.write(f"Source: {published.source_url}. {published.attribution}")


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
