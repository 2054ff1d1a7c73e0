"""A study written for other programs: which there are, and the files that each of them reads."""

import csv
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db.models import Q

from benchmarks.models import Dataset, Measurement, Response, Study
from benchmarks.one_moment import one_moment
from greenllm.exports import codecarbon, green_metrics
from greenllm.exports.boamps import boamps_reports
from greenllm.exports.card import CardFacts, CardTable, dataset_card
from greenllm.exports.tables import tables_of
from greenllm.parquet import write_parquet


class ExportError(Exception):
    """The study cannot be written so."""


@dataclass(frozen=True)
class Kind:
    """A program or place that reads what is written; `write` gives back the files."""

    name: str
    title: str
    told: str
    write: Callable[[Study, Path, datetime], list[Path]]


def write_export(*, study: Study, kind: str, folder: Path, now: datetime) -> list[Path]:
    """Write a study into a folder that appears only when it is whole, and return its files.

    Raises:
        ExportError: the folder holds something already or cannot be written, or there is nothing to write.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is there already and not an empty folder; choose another one, or empty it.")
    if not Response.objects.finished().filter(study=study).exists():
        raise ExportError(f"The study {study} has no finished answer yet, so there is nothing to write.")
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as made:
            draft = Path(made) / "whole"
            draft.mkdir()
            with one_moment():  # no label of an answer that another table does not have yet
                files = KINDS[kind].write(study, draft, now)
            draft.replace(folder)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return [folder / file.relative_to(draft) for file in files]


def _write_codecarbon(study: Study, folder: Path, _now: datetime) -> list[Path]:
    return [_write_csv(folder / "emissions.csv", codecarbon.COLUMNS, codecarbon.codecarbon_rows(study))]


def _write_green_metrics(study: Study, folder: Path, _now: datetime) -> list[Path]:
    return [_write_csv(folder / "phase_stats.csv", green_metrics.COLUMNS, green_metrics.green_metrics_rows(study))]


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file)  # lines end as RFC 4180 has it; only then is a lone carriage return quoted
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def _write_boamps(study: Study, folder: Path, now: datetime) -> list[Path]:
    files = []
    for number, (deployment, report) in enumerate(boamps_reports(study=study, now=now), start=1):
        name = re.sub(r"[^A-Za-z0-9.]+", "-", deployment.language_model.name).strip("-.")
        path = folder / f"boamps-{number}-{name}.json"
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
        files.append(path)
    if not files:
        raise ExportError(f"No energy of the study {study} is known, and BoAmps has no report without one.")
    return files


def _write_dataset(study: Study, folder: Path, now: datetime) -> list[Path]:
    (folder / "data").mkdir()
    about = {"study": study.name, "study_uuid": str(study.uuid)}
    files, told = [], []
    for table in tables_of(study):
        path = folder / "data" / f"{table.name}.parquet"
        with path.open("wb") as file:
            count = write_parquet(file=file, columns=table.columns, rows=table.rows, about=about)
        files.append(path)
        told.append(CardTable(table.name, f"data/{table.name}.parquet", count, table.told))
    card = folder / "README.md"
    card.write_text(dataset_card(_card_facts(study, now), told), encoding="utf8")
    return [card, *files]


def _card_facts(study: Study, now: datetime) -> CardFacts:
    answers = Response.objects.finished().filter(study=study)
    datasets = Dataset.objects.filter(prompts__in=answers.values("prompt")).distinct().order_by("name")
    measured = Measurement.objects.filter(response__in=answers)
    return CardFacts(
        study=study.name,
        title=study.title,
        made_on=f"{now:%Y-%m-%d}",
        models=list(
            study.targets.order_by("position").values_list("deployment__language_model__name", flat=True),
        ),
        qualities=list(measured.values_list("quality", flat=True).distinct().order_by("quality")),
        licences=list(datasets.values_list("name", "licence")),
        missing_count=answers.filter(Q(measurement=None) | Q(measurement__energy_j=None)).count(),
    )


KINDS = {
    kind.name: kind
    for kind in (
        Kind("codecarbon", "CodeCarbon", "emissions.csv, a run for each answer, in kWh and kg", _write_codecarbon),
        Kind("boamps", "BoAmps", "a JSON report for each model, as Boavizta's schema wants it", _write_boamps),
        Kind(
            "gmt", "Green Metrics Tool", "phase_stats.csv, a phase for each answer, in µJ and µg", _write_green_metrics
        ),
        Kind("huggingface", "Hugging Face", "a dataset of four Parquet tables with its card", _write_dataset),
    )
}
