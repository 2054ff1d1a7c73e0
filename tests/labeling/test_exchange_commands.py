"""manage.py export_labels and import_labels."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from labeling.exchanging.formats import Format
from labeling.models import Label
from tests.labeling.exchanges import everything, exported, forget_labels, make_judged_study

pytestmark = pytest.mark.django_db


def run(name: str, *arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


class TestCommands:
    @pytest.mark.slow
    @pytest.mark.parametrize("file_format", list(Format))
    def test_carry_labels_out_and_back(self, file_format: Format, tmp_path: Path) -> None:
        make_judged_study()
        before, path = everything(), tmp_path / f"labels{file_format.suffix}"
        told, _ = run("export_labels", "--study", "judged", "--format", file_format, "--output", str(path))
        assert told == f"{path}: {path.stat().st_size:,} bytes.\n"
        forget_labels()
        told, refused = run("import_labels", str(path), "--study", "judged")
        assert f"{file_format.name_shown}: 8 labels imported (1 grader, 1 imported, 6 person), 0 are here" in told
        assert refused == ""
        assert everything() == before

    @pytest.mark.slow
    def test_write_to_standard_output(self) -> None:
        study = make_judged_study()
        assert run("export_labels", "--study", "judged")[0].encode() == exported(study)

    @pytest.mark.slow
    def test_offer_unlabeled_answers_to_label_studio(self) -> None:
        make_judged_study()
        told, _ = run("export_labels", "--study", "judged", "--format", "label-studio", "--with-unlabeled")
        assert len(json.loads(told)) == 4
        with pytest.raises(CommandError, match="CSV has labels alone"):
            run("export_labels", "--study", "judged", "--format", "csv", "--with-unlabeled")

    def test_write_the_configuration_without_a_study(self) -> None:
        assert run("export_labels", "--label-config")[0].startswith("<View>")
        with pytest.raises(CommandError, match="--study NAME"):
            run("export_labels")

    @pytest.mark.slow
    def test_only_look_in_a_dry_run(self, tmp_path: Path) -> None:
        study = make_judged_study()
        path = tmp_path / "labels.jsonl"
        path.write_bytes(exported(study) + b'{"response": 0, "verdict": "correct"}\n')
        forget_labels()
        told, refused = run("import_labels", str(path), "--study", "judged", "--dry-run")
        assert "8 labels would be imported" in told
        assert refused.startswith("line 9: response: The study has no finished answer 0.")
        assert not Label.objects.exists()

    def test_fail_where_no_line_comes_in(self, tmp_path: Path) -> None:
        make_judged_study()
        path = tmp_path / "labels.csv"
        path.write_text("response,verdict\n1,fine\n")
        with pytest.raises(CommandError, match="No line could be imported"):
            run("import_labels", str(path), "--study", "judged")
        path.write_text("")
        with pytest.raises(CommandError, match="empty"):
            run("import_labels", str(path), "--study", "judged")
        with pytest.raises(CommandError, match="cannot be read"):
            run("import_labels", str(tmp_path / "none.csv"), "--study", "judged")
        with pytest.raises(CommandError, match="cannot be written"):
            run("export_labels", "--study", "judged", "--output", str(tmp_path / "none" / "labels.csv"))
