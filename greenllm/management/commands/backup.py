"""Write the whole installation into one file."""

from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils import timezone

from greenllm.backup.archive import BackupError
from greenllm.backup.saving import save_backup
from router.management.telling import RouterCommand
from router.wiring import vector_store


class Command(RouterCommand):
    help = "Write all rows, the vectors of the index and the settings that matter into one new file; others may go on."
    told: ClassVar[tuple[type[Exception], ...]] = (*RouterCommand.told, BackupError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="The archive to make, for example greenllm.backup.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        manifest = save_backup(
            path=path,
            store=vector_store(),
            now=timezone.now(),
            tell=lambda text: self.stdout.write(f"Saving {text}"),
        )
        for part in manifest.parts:
            self.stdout.write(f"{part.name}: {part.byte_count:,} bytes, SHA-256 {part.sha256}")
        if manifest.index_note:
            self.stdout.write(f"Note: {manifest.index_note}")
        self.stdout.write(f"{path}: {path.stat().st_size:,} bytes. It holds what people wrote: keep it private.")
