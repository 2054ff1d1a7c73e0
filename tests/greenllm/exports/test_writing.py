"""Exports as files: the dataset for the hub, what is refused, and the command."""

import csv
import io
import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from markdown_it import MarkdownIt
from pyarrow import parquet
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Study
from greenllm.exports import answers
from greenllm.exports.card import CardFacts, CardTable, dataset_card
from greenllm.exports.writing import KINDS, Kind, write_export
from tests import factories as make
from tests.greenllm.exports.mixed import energies_of, make_mixed_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_mixed_study()


def written(study: Study, kind: str, folder: Path) -> list[str]:
    files = write_export(study=study, kind=kind, folder=folder, now=make.NOW)
    assert all(file.is_file() for file in files)
    return [str(file.relative_to(folder)) for file in files]


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(folder / "data" / f"{name}.parquet").to_pylist()
    return rows


@pytest.mark.django_db(transaction=True)
class TestMoment:
    def test_is_one_for_everything_that_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make.make_response(make.make_prompt(), make.make_deployment(), study=make.make_study("one"))
        seen = []

        def look(_: Study, folder: Path, __: datetime) -> list[Path]:
            with connection.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                seen.append(cursor.fetchone()[0])
            return []

        monkeypatch.setitem(KINDS, "look", Kind("look", "", "", look))
        write_export(study=Study.objects.get(), kind="look", folder=tmp_path / "out", now=make.NOW)
        assert seen == ["repeatable read"]


@pytest.mark.slow
class TestDataset:
    def test_adds_up_to_the_database_to_the_digit(self, study: Study, tmp_path: Path) -> None:
        written(study, "huggingface", tmp_path / "out")
        responses = table(tmp_path / "out", "responses")
        assert [row["energy_j"] for row in responses if row["energy_j"] is not None] == energies_of(study)
        energy = table(tmp_path / "out", "energy")
        assert math.fsum(row["energy_j"] for row in energy if row["energy_j"] is not None) == pytest.approx(71.874)
        for row in responses:
            parts = [one["energy_j"] for one in energy if one["response"] == row["response"]]
            assert (None in parts) == (row["energy_j"] is None)

    def test_keeps_texts_and_verdicts(self, study: Study, tmp_path: Path) -> None:
        written(study, "huggingface", tmp_path / "out")
        responses = table(tmp_path / "out", "responses")
        assert {row["text"] for row in responses} == {'Grüße,\n"42"'}
        assert [row["verdict"] for row in responses] == ["correct"] * 5 + ["disputed"]
        assert responses[2]["missing_reason"] == "a gap"
        assert responses[0]["finished_at"] == make.NOW
        prompts = {(row["dataset"], row["prompt"]) for row in table(tmp_path / "out", "prompts")}
        assert prompts == {(row["dataset"], row["prompt"]) for row in responses}

    def test_names_nobody(self, study: Study, tmp_path: Path) -> None:
        written(study, "huggingface", tmp_path / "out")
        labels = table(tmp_path / "out", "labels")
        assert {row["judge"] for row in labels} == {"annotator-1", "annotator-2"}
        assert len(labels) == 12
        card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
        said = repr([table(tmp_path / "out", name) for name in ("responses", "prompts", "labels", "energy")]) + card
        assert not [word for word in ("grace", "henry", "Grace") if word in said]

    def test_has_a_card_that_the_hub_can_read(self, study: Study, tmp_path: Path) -> None:
        written(study, "huggingface", tmp_path / "out")
        _, head, body = (tmp_path / "out" / "README.md").read_text(encoding="utf8").split("---\n", 2)
        assert f"pretty_name: {json.dumps(study.title, ensure_ascii=False)}" in head
        paths = [line.split(": ", 1)[1] for line in head.splitlines() if "data_files" in line]
        assert [json.loads(path) for path in paths] == [
            "data/responses.parquet", "data/prompts.parquet", "data/labels.parquet", "data/energy.parquet",
        ]  # fmt: skip
        assert "| `responses` | 6 |" in body
        assert "1 answers have no energy; it is null, never 0." in body
        assert "simulated" not in head
        assert MarkdownIt().enable("table").render(body).count("<tr>") == 5

    def test_says_what_is_simulated(self, tmp_path: Path) -> None:
        written(make_mixed_study(quality="simulated"), "huggingface", tmp_path / "out")
        card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
        assert "- simulated\n" in card
        assert "simulated: no device measured them" in card
        assert table(tmp_path / "out", "responses")[0]["quality"] == "simulated"


class TestWriting:
    @pytest.mark.slow
    def test_makes_the_files_of_each_program(self, study: Study, tmp_path: Path) -> None:
        assert {kind: written(study, kind, tmp_path / kind) for kind in KINDS} == {
            "codecarbon": ["emissions.csv"],
            "boamps": ["boamps-1-tiny.json", "boamps-2-HYPERLINK-1.json"],
            "gmt": ["phase_stats.csv"],
            "huggingface": [
                "README.md",
                *(f"data/{name}.parquet" for name in ("responses", "prompts", "labels", "energy")),
            ],
        }

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", KINDS)
    def test_asks_no_more_of_the_database_for_more_answers(
        self, study: Study, kind: str, tmp_path: Path, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with CaptureQueriesContext(connection) as one:
            written(study, kind, tmp_path / "one")
        for _ in range(3):
            make.make_response(make.make_prompt(), study.targets.order_by("position")[0].deployment, study=study)
        with django_assert_num_queries(len(one)):
            written(study, kind, tmp_path / "two")

    @pytest.mark.slow
    def test_reads_answers_in_chunks(self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written(study, "codecarbon", tmp_path / "whole")
        monkeypatch.setattr(answers, "_CHUNK", 2)
        sizes = [len(chunk) for chunk in answers.answers_in_chunks(study)]
        written(study, "codecarbon", tmp_path / "chunked")
        assert sizes == [2, 2, 2]
        whole, chunked = ((tmp_path / name / "emissions.csv").read_text() for name in ("whole", "chunked"))
        assert whole == chunked

    def test_never_writes_over_what_is_there(self, study: Study, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(CommandError, match="choose another one, or empty it"):
            call_command("export_for", "gmt", study=study.name, out=tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]

    def test_leaves_nothing_half_written(self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_study: Study) -> Iterator[tuple[object, ...]]:
            yield ("a row",)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("greenllm.exports.codecarbon.codecarbon_rows", broken)
        with pytest.raises(CommandError, match="cannot be written: No space left on device"):
            call_command("export_for", "codecarbon", study=study.name, out=tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_refuses_a_study_without_answers(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="no finished answer yet"):
            call_command("export_for", "gmt", study=make.make_study("empty").name, out=tmp_path / "out")

    def test_refuses_a_report_without_any_energy(self, tmp_path: Path) -> None:
        study = make.make_study("gaps")
        make.make_response(make.make_prompt(), make.make_deployment(), study=study, energy_j=None)
        with pytest.raises(CommandError, match="No energy of the study gaps is known"):
            call_command("export_for", "boamps", study="gaps", out=tmp_path / "out")

    def test_tells_what_was_written(self, study: Study, tmp_path: Path) -> None:
        told = io.StringIO()
        call_command("export_for", "codecarbon", study=study.name, out=tmp_path / "out", stdout=told)
        file = tmp_path / "out" / "emissions.csv"
        assert told.getvalue() == f"{file}: {file.stat().st_size:,} bytes\n"
        with file.open(newline="", encoding="utf8") as lines:
            assert len(list(csv.DictReader(lines))) == 6


class TestCard:
    def test_lets_no_text_break_out_of_its_line(self) -> None:
        facts = CardFacts("s", "a: b\n---\nlicense: mit", "2026-01-02", ["m\n# x"], ["measured"], [("d", "")], 0)
        card = dataset_card(facts, [CardTable("responses", "data/responses.parquet", 1_500, "an answer")])
        assert card.count("---\n") == 2
        assert "\nlicense: mit" not in card
        assert "- 1K<n<10K" in card
        assert "* d: not told" in card
