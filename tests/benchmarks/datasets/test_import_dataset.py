from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from benchmarks.datasets import DATASETS
from benchmarks.datasets.base import PromptFileError
from benchmarks.datasets.databases import DatabaseFileError
from benchmarks.datasets.published import Download, version_of
from benchmarks.importing import DatabaseFolders, ImportedDataset, import_dataset, import_prompts
from benchmarks.models import Category, Dataset, Prompt
from tests.benchmarks.datasets.raw_files import (
    GSM8K_RECORDS,
    PETSQL_RECORDS,
    WMT18_PAIRS,
    small,
    write_array,
    write_lines,
    write_pairs,
)
from tests.benchmarks.datasets.raw_server import RawServer, running
from tests.benchmarks.datasets.test_databases import make_database

pytestmark = pytest.mark.django_db


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Return a folder with the small raw files of three data sets, and the databases of one."""
    folder = tmp_path / "raw"
    folder.mkdir()
    write_lines(folder / "test.jsonl", GSM8K_RECORDS)
    write_array(folder / "ppl_dev.json", PETSQL_RECORDS)
    write_pairs(folder, WMT18_PAIRS)
    for name in ("harbour_1", "harbour_2"):
        make_database(folder / "databases" / f"{name}.sqlite", "boat", "crew")
    return folder


@pytest.fixture
def folders(raw: Path, tmp_path: Path) -> DatabaseFolders:
    return DatabaseFolders(raw / "databases", tmp_path / "databases" / "petsql")


@pytest.fixture
def home(raw: Path) -> Iterator[RawServer]:
    with running(RawServer((raw / "test.jsonl").read_bytes())) as server:
        yield server


@pytest.fixture
def small_sets(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path, home: RawServer) -> None:
    """Have the command know data sets of three items, the first at a home of this machine."""
    settings.VAR_DIR = tmp_path / "var"
    version = version_of(home.content)
    gsm8k = small(
        "gsm8k", 3, known_version=version, download=lambda: Download(home.url, "test.jsonl", known_hash=version)
    )
    for dataset in (gsm8k, small("petsql", 3), small("wmt18", 3)):
        monkeypatch.setitem(DATASETS, dataset.name, dataset)


def bring(raw: Path, name: str = "gsm8k", **options: Any) -> ImportedDataset:
    return import_dataset(published=small(name, 3), folder=raw, **options)


def counts(imported: ImportedDataset) -> tuple[int, int]:
    return imported.prompts.created_count, imported.prompts.unchanged_count


def run(*arguments: object) -> str:
    said = StringIO()
    call_command("import_dataset", *map(str, arguments), stdout=said)
    return said.getvalue()


def is_empty() -> bool:
    return not (Dataset.objects.exists() or Category.objects.exists() or Prompt.objects.exists())


class TestImportDataset:
    def test_stores_every_prompt(self, raw: Path) -> None:
        assert counts(bring(raw)) == (3, 0)

        prompt = Prompt.objects.get(external_id="gsm8k-test-0002")
        assert (prompt.dataset.name, prompt.category.name, prompt.position, prompt.role) == (
            "gsm8k",
            "math",
            2,
            "train",
        )
        assert prompt.item_text == GSM8K_RECORDS[1]["question"]
        assert prompt.text.startswith(prompt.item_text + "\n\nSolve the problem")
        assert (prompt.reference, prompt.checks["value"]) == ("2400", "2400")
        assert prompt.source_fields == {"answer": GSM8K_RECORDS[1]["answer"]}

    def test_keeps_licence_source_attribution_and_version(self, raw: Path) -> None:
        imported = bring(raw)

        row = Dataset.objects.get()
        assert (row.title, row.licence) == ("GSM8K, test", "MIT")
        assert row.source_url == "https://github.com/openai/grade-school-math"
        assert row.attribution.startswith("Cobbe et al.")
        assert row.version == imported.version == version_of((raw / "test.jsonl").read_bytes())

    @pytest.mark.parametrize("name", ["gsm8k", "petsql", "wmt18"])
    def test_again_changes_nothing(self, raw: Path, name: str) -> None:
        bring(raw, name)
        before = list(Prompt.objects.order_by("pk").values())

        assert counts(bring(raw, name)) == (0, 3)

        assert list(Prompt.objects.order_by("pk").values()) == before

    def test_with_a_larger_limit_adds_the_rest(self, raw: Path) -> None:
        assert counts(bring(raw, limit=2)) == (2, 0)
        assert counts(bring(raw, limit=10)) == (1, 2)

    def test_reads_the_whole_file_whatever_the_limit(self, raw: Path) -> None:
        write_lines(raw / "test.jsonl", [*GSM8K_RECORDS[:2], {"question": "?"}])

        with pytest.raises(PromptFileError, match="line 3, answer: it is missing"):
            bring(raw, limit=1)

        assert is_empty()

    def test_refuses_to_mix_two_versions_of_the_file(self, raw: Path) -> None:
        bring(raw, limit=2)
        write_lines(raw / "test.jsonl", [*GSM8K_RECORDS[:2], {"question": "What is 1+1?", "answer": "#### 2"}])

        with pytest.raises(PromptFileError, match="file, version: gsm8k holds prompts of sha256:"):
            bring(raw)

        assert Prompt.objects.count() == 2

    def test_names_the_line_of_a_prompt_that_is_another_one_now(self, raw: Path) -> None:
        bring(raw)
        write_lines(raw / "test.jsonl", [*GSM8K_RECORDS[:2], {"question": "What is 1+1?", "answer": "#### 2"}])

        with pytest.raises(PromptFileError, match="line 3, id: 'gsm8k-test-0003' is in gsm8k with another text, item"):
            bring(raw)


class TestOwnPrompts:
    def own(self, folder: Path) -> None:
        path = write_lines(folder / "own.jsonl", [{"id": "own-1", "prompt": "What is 1?"}])
        import_prompts(path=path, dataset_name="gsm8k", category_name="sums")

    def test_are_not_mixed_into_a_published_data_set(self, raw: Path) -> None:
        bring(raw)

        with pytest.raises(PromptFileError, match="file, version: gsm8k holds prompts of sha256:"):
            self.own(raw)

        assert Prompt.objects.count() == 3

    def test_do_not_get_a_published_data_set_added(self, raw: Path) -> None:
        self.own(raw)

        with pytest.raises(PromptFileError, match="gsm8k holds prompts of no published version"):
            bring(raw)

        assert Dataset.objects.get().licence == ""


class TestDatabases:
    def test_come_with_the_prompts(self, raw: Path, folders: DatabaseFolders) -> None:
        imported = bring(raw, "petsql", databases=folders)

        assert (imported.created_database_count, imported.unchanged_database_count) == (2, 0)
        assert sorted(path.name for path in folders.target.iterdir()) == ["harbour_1.sqlite", "harbour_2.sqlite"]

    def test_can_follow_later(self, raw: Path, folders: DatabaseFolders) -> None:
        assert bring(raw, "petsql").created_database_count is None

        imported = bring(raw, "petsql", databases=folders)

        assert (counts(imported), imported.created_database_count) == ((0, 3), 2)

    def test_are_only_those_of_the_prompts_within_the_limit(self, raw: Path, folders: DatabaseFolders) -> None:
        (folders.source / "harbour_2.sqlite").unlink()

        assert bring(raw, "petsql", databases=folders, limit=2).created_database_count == 1

    def test_that_are_missing_are_named_and_nothing_is_imported(self, raw: Path, folders: DatabaseFolders) -> None:
        (folders.source / "harbour_2.sqlite").unlink()

        with pytest.raises(DatabaseFileError, match=r"harbour_2.sqlite: it is missing; .* needs it is 3"):
            bring(raw, "petsql", databases=folders)

        assert is_empty()
        assert list(folders.target.parent.iterdir()) == []

    def test_that_cannot_be_put_in_place_leave_no_prompts(self, raw: Path, folders: DatabaseFolders) -> None:
        folders.target.parent.mkdir()
        folders.target.write_text("a file", encoding="utf-8")

        with pytest.raises(DatabaseFileError, match="the folder cannot be written"):
            bring(raw, "petsql", databases=folders)

        assert is_empty()

    def test_are_not_put_in_place_for_prompts_that_are_refused(self, raw: Path, folders: DatabaseFolders) -> None:
        bring(raw, "petsql")
        Prompt.objects.filter(position=1).update(reference="SELECT 1")

        with pytest.raises(PromptFileError, match="another reference"):
            bring(raw, "petsql", databases=folders)

        assert list(folders.target.parent.iterdir()) == []

    def test_are_refused_for_a_data_set_without_any(self, raw: Path, folders: DatabaseFolders) -> None:
        with pytest.raises(DatabaseFileError, match="gsm8k has no databases; leave them out"):
            bring(raw, databases=folders)

        assert is_empty()


@pytest.mark.usefixtures("small_sets")
class TestCommand:
    def test_tells_what_it_did_and_under_which_licence(self, raw: Path) -> None:
        said = run("gsm8k", "--from", raw, "--limit", "2")

        assert said.startswith("gsm8k: 2 prompts imported, 0 were there.\n")
        assert f"Read from {raw / 'test.jsonl'} (sha256:" in said
        assert "Licence: MIT\nSource: https://github.com/openai/grade-school-math. Cobbe" in said
        assert "not the version" not in said

    def test_tells_that_wmt18_is_for_research_only(self, raw: Path) -> None:
        assert "Licence: Research use only: " in run("wmt18", "--from", raw)

    def test_tells_where_the_file_is_of_another_version(self, raw: Path) -> None:
        assert "This is not the version that GreenLLM knows (sha256:" in run("wmt18", "--from", raw)

    @pytest.mark.slow
    def test_downloads_where_no_folder_is_named(self, home: RawServer, settings: Settings) -> None:
        said = run("gsm8k")

        assert said.startswith("gsm8k: 3 prompts imported")
        assert (settings.VAR_DIR / "downloads" / "gsm8k" / "test.jsonl").read_bytes() == home.content

    def test_says_that_a_download_failed_and_what_to_do(self, home: RawServer) -> None:
        home.status = 404

        with pytest.raises(CommandError, match="answered 404 Not Found. Nothing was imported. Try again later, or"):
            run("gsm8k")

        assert is_empty()

    def test_stops_cleanly_while_it_downloads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt() -> NoReturn:
            raise KeyboardInterrupt

        monkeypatch.setitem(DATASETS, "gsm8k", small("gsm8k", 3, download=interrupt))

        with pytest.raises(CommandError, match="Stopped; nothing was imported") as caught:
            run("gsm8k")

        assert caught.value.returncode == 130

    def test_brings_databases_into_the_folder_of_data(self, raw: Path, settings: Settings) -> None:
        said = run("petsql", "--from", raw, "--databases", raw / "databases")

        assert "2 databases copied, 0 were there.\n" in said
        assert (settings.VAR_DIR / "databases" / "petsql" / "harbour_1.sqlite").is_file()

    def test_reminds_of_databases_that_were_not_brought(self, raw: Path) -> None:
        assert "which were not brought: see --databases" in run("petsql", "--from", raw)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            pytest.param(("nope",), "invalid choice: 'nope'", id="unknown data set"),
            pytest.param(("gsm8k", "--limit", "0"), "'0' is not a whole number from 1", id="limit 0"),
            pytest.param(("gsm8k", "--limit", "few"), "'few' is not a whole number from 1", id="limit in words"),
            pytest.param(("gsm8k", "--from", "/nowhere"), "it is not a folder", id="no folder"),
        ],
    )
    def test_refuses_what_it_cannot_do(self, arguments: tuple[str, ...], said: str) -> None:
        with pytest.raises(CommandError, match=said):
            run(*arguments)

        assert is_empty()
