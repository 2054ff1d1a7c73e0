"""Import prompts from a CSV or JSONL file."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from benchmarks.importing import import_prompts
from benchmarks.management.telling import TellingCommand


class Command(TellingCommand):
    help = (
        "Import prompts from FILE (.csv with a header, or .jsonl) into a data set: all of the file, or nothing of it. "
        "Fields: prompt (required), id, position, role, item, reference, checks, category."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dataset", required=True, help="Name of the data set; made where it is new.")
        parser.add_argument("--category", help="Task category of every prompt of the file.")
        parser.add_argument("--licence", default="", help="Licence of the data set, kept with it.")
        parser.add_argument("--source-url", default="", help="Where the data set is from, kept with it.")

    def handle(self, *args: Any, **options: Any) -> None:
        imported = import_prompts(
            path=options["file"],
            dataset_name=options["dataset"],
            category_name=options["category"],
            licence=options["licence"],
            source_url=options["source_url"],
        )
        self.stdout.write(
            f"{imported.dataset}: {imported.created_count} prompts imported, {imported.unchanged_count} were there."
        )
