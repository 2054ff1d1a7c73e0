"""Make an installation of a backup."""

from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandParser

from greenllm.acts.programs import note_run
from greenllm.backup.archive import BackupError
from greenllm.backup.restoring import restore_backup
from router.management.telling import RouterCommand
from router.wiring import vector_store


class Command(RouterCommand):
    help = (
        "Restore what manage.py backup wrote into an empty database, whole or not at all, and bring it up to this "
        "version. A dump is SQL: restore only backups that you trust."
    )
    told: ClassVar[tuple[type[Exception], ...]] = (*RouterCommand.told, BackupError)
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="The archive.")
        parser.add_argument("--replace", action="store_true", help="Throw away what the database holds.")

    def handle(self, *args: Any, **options: Any) -> None:
        restored = restore_backup(
            path=options["file"],
            store=vector_store(),
            scratch_dir=settings.VAR_DIR / "index",
            is_replacing=options["replace"],
            tell=self.stdout.write,
        )
        note_run("restore")  # the acts of before are those of the backup now
        manifest = restored.manifest
        for note in restored.notes:
            self.stdout.write(f"Note: {note}")
        self.stdout.write(
            f"Restored {sum(manifest.row_counts.values()):,} rows of {manifest.created_at} by GreenLLM "
            f"{manifest.product_version}. Everybody signs in anew. Check it: manage.py verify"
        )
