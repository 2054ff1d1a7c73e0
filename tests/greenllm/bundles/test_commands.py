import io
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from benchmarks.models import Study
from tests.greenllm.bundles.rich_studies import make_rich_study, rich_bundle, rows_of, wipe

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


class TestExportStudy:
    @pytest.mark.slow
    def test_writes_a_bundle_that_can_be_imported(self, tmp_path: Path) -> None:
        make_rich_study()
        path = tmp_path / "rich.zip"
        said = run("export_study", "rich", str(path))
        assert "study rich, 12 responses, 10 energy traces, 33 labels" in said
        assert list(tmp_path.iterdir()) == [path]
        wipe()
        assert "Study rich of the machine lab: 12 responses, 33 labels" in run("import_study", str(path))
        assert Study.objects.get().name == "rich"

    @pytest.mark.slow
    def test_keeps_names_where_asked(self, tmp_path: Path) -> None:
        make_rich_study()
        path = tmp_path / "rich.zip"
        run("export_study", "rich", str(path), "--with-names")
        assert {row["judge"] for row in rows_of(io.BytesIO(path.read_bytes()), "labels")} == {None, "ada", "bert"}

    def test_overwrites_nothing(self, tmp_path: Path) -> None:
        make_rich_study()
        path = tmp_path / "rich.zip"
        path.write_text("precious")
        with pytest.raises(CommandError, match="exists already; choose another name"):
            run("export_study", "rich", str(path))
        assert path.read_text() == "precious"

    def test_leaves_nothing_where_the_study_runs(self, tmp_path: Path) -> None:
        Study.objects.filter(pk=make_rich_study().pk).update(state="running")
        with pytest.raises(CommandError, match="is running; pause it"):
            run("export_study", "rich", str(tmp_path / "rich.zip"))
        assert list(tmp_path.iterdir()) == []

    def test_tells_of_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        make_rich_study()
        with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
            run("export_study", "rich", str(tmp_path / "nowhere" / "rich.zip"))

    def test_tells_of_a_study_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="There is no study 'x'"):
            run("export_study", "x", str(tmp_path / "x.zip"))


class TestImportStudy:
    def test_takes_another_name(self, tmp_path: Path) -> None:
        path = tmp_path / "rich.zip"
        path.write_bytes(rich_bundle().getvalue())
        assert "Study from-lab of the machine lab" in run("import_study", str(path), "--as", "from-lab")

    def test_tells_what_a_person_should_know(self, tmp_path: Path) -> None:
        from tests import factories as make

        path = tmp_path / "rich.zip"
        path.write_bytes(rich_bundle().getvalue())
        make.make_machine("lab", cpu_model="Other")
        assert "Note: A machine lab is here with other facts" in run("import_study", str(path))

    def test_refuses_a_truncated_file(self, tmp_path: Path) -> None:
        path = tmp_path / "half.zip"
        path.write_bytes(rich_bundle().getvalue()[:2000])
        with pytest.raises(CommandError, match="no whole bundle"):
            run("import_study", str(path))

    def test_tells_of_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="cannot be read: No such file"):
            run("import_study", str(tmp_path / "x.zip"))


class TestWrittenFile:
    @pytest.mark.slow
    def test_opens_with_any_zip_program(self, tmp_path: Path) -> None:
        make_rich_study()
        path = tmp_path / "rich.zip"
        run("export_study", "rich", str(path))
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
