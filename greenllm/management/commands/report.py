"""Write the report of a study."""

from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.telling import TellingCommand, study_named
from greenllm.reports.against_paper import UnknownPair
from greenllm.reports.files import FORMATS
from greenllm.reports.links import Links
from greenllm.reports.pairing import WrongPair, read_pairs
from greenllm.reports.reporting import study_report
from greenllm.reports.what_if import BOUNDS


class Command(TellingCommand):
    help = "Write the report of a study: the paper's tables and Figure 2 from its data, and how they came about."
    told: ClassVar[tuple[type[Exception], ...]] = (UnknownPair, WrongPair)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, metavar="NAME")
        parser.add_argument("--format", choices=list(FORMATS), default="md")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Else it goes to standard output.")
        parser.add_argument(
            "--site", metavar="URL", help="Where this GreenLLM is reached: figures then link to their answers there."
        )

        parser.add_argument(
            "--pair", action="append", default=[], metavar="OURS=PAPER",
            help="A model of the study stands for one of the paper's; models of like name do so anyhow.",
        )  # fmt: skip
        parser.add_argument("--intensity", default="", help="What if the grid had this intensity, in gCO2e/kWh?")
        parser.add_argument("--lifespan", default="", help="What if the machine lived so many years?")
        parser.add_argument("--embodied", default="", help="What if making the machine took so many kgCO2e?")

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        site = options["site"].rstrip("/") if options["site"] else None
        report = study_report(
            study=study,
            links=Links(study, site),
            asked={name: options[name] for name in BOUNDS},
            paired=read_pairs(options["pair"]),
            most_prompts=None,
        )
        if report.errors:
            raise CommandError(" ".join(report.errors))
        _, made = FORMATS[options["format"]]
        path: Path | None = options["output"]
        if path is None:
            self.stdout.write(made(report), ending="")
            return
        try:
            path.write_text(made(report), encoding="utf8", newline="")
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
        self.stdout.write(f"{path}: {report.answer_count:,} training answers of {study}.")
