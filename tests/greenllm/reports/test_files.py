import csv
import io
import json
import re
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from benchmarks.models import LanguageModel
from greenllm.roles import Role, grant_role
from tests import factories as make
from tests.greenllm.reports.studies import make_known_study

pytestmark = pytest.mark.django_db

PAGE = "/studies/known/report/"
FILES = [f"{PAGE}file.{name}" for name in ("html", "md", "csv", "json")]


def signed_in(role: Role = Role.RESEARCHER) -> Client:
    user = make.make_user()
    grant_role(user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def text_of(response: Any) -> str:  # Django's test client has a type of its own for every kind of answer
    return str(response.content.decode())


def written(*options: str, study: str = "known") -> str:
    out = StringIO()
    call_command("report", "--study", study, *options, stdout=out)
    return out.getvalue()


class TestDoors:
    @pytest.mark.slow
    @pytest.mark.parametrize("path", [PAGE, *FILES])
    def test_are_for_those_who_may_see_results(self, path: str) -> None:
        make_known_study()
        assert Client().get(path)["Location"] == f"/account/sign-in/?next={quote(path)}"
        assert signed_in(Role.ANNOTATOR).get(path).status_code == 403
        client = signed_in()
        assert client.get(path).status_code == 200
        assert client.post(path).status_code == 405

    @pytest.mark.parametrize("path", ["/studies/none/report/", "/studies/none/report/file.csv", f"{PAGE}file.pdf"])
    def test_lead_nowhere_for_what_is_not_there(self, path: str) -> None:
        make_known_study()
        assert signed_in().get(path).status_code == 404


class TestPage:
    @pytest.mark.slow
    def test_is_linked_from_the_study_and_the_dashboards(self) -> None:
        make_known_study()
        client = signed_in()
        for path in ("/studies/known/", "/dashboards/?study=known"):
            assert f'href="{PAGE}"' in text_of(client.get(path))

    @pytest.mark.slow
    def test_leads_to_the_answers_that_a_figure_counts(self) -> None:
        make_known_study()
        client = signed_in()
        [url] = re.findall(r'href="([^"]*category=math&amp;verdict=correct[^"]*)"', text_of(client.get(PAGE)))[:1]
        listed = client.get(url.replace("&amp;", "&").partition("#")[0])
        assert listed.context["page"].count == 3

    @pytest.mark.slow
    def test_works_a_question_out_without_a_script(self) -> None:
        make_known_study()
        response = signed_in().get(PAGE, {"intensity": "0", "embodied": "0"})
        assert response.context["report"].what_if[0].rows[0][1][0].figure.value == 0

    def test_keeps_a_wrong_number_and_says_so(self) -> None:
        make_known_study()
        response = signed_in().get(PAGE, {"lifespan": "long"})
        assert response.status_code == 400
        assert "&#x27;long&#x27; is no number from 0.5 to 15" in text_of(response)
        assert 'value="long"' in text_of(response)

    @pytest.mark.slow
    @pytest.mark.parametrize(("pair", "said"), [("small", "is no pair"), ("small=gpt", "The paper has no model")])
    def test_says_what_is_wrong_with_a_pair(self, pair: str, said: str) -> None:
        make_known_study()
        response = signed_in().get(PAGE, {"pair": pair})
        assert response.status_code == 400
        assert said in text_of(response)


class TestSharedFile:
    @pytest.mark.slow
    def test_asks_for_nothing_from_elsewhere(self) -> None:
        make_known_study()
        file = written("--format", "html")
        assert not re.search(r"(?:src|href)=|@import|url\(", file)
        assert "<style>" in file
        assert file.count("<svg") == 2 * 5  # each for a wide page and for a narrow one

    @pytest.mark.slow
    def test_of_the_page_leads_back_to_the_site(self) -> None:
        make_known_study()
        file = text_of(signed_in().get(f"{PAGE}file.html"))
        links = re.findall(r'href="([^"]*)"', file)
        assert links
        assert all(link.startswith(("http://testserver/", "#table-2-title")) for link in links)
        assert 'id="table-2-title"' in file

    def test_bears_any_name_of_a_model(self) -> None:
        make_known_study()
        LanguageModel.objects.filter(name="small").update(name="</script><b>small|")
        assert "</script><b>small" not in written("--format", "html")
        assert "<b>" not in written("--format", "md")


class TestTexts:
    def test_of_csv_have_a_row_for_each_cell_with_its_unit(self) -> None:
        make_known_study()
        rows = list(csv.DictReader(io.StringIO(written("--format", "csv"))))
        [found] = [row for row in rows if (row["table"], row["row"], row["column"]) == ("table-4", "math", "large")]
        assert (found["value"], found["n"], found["of"], found["unit"]) == ("1.0", "3", "4", "share")
        [none] = [row for row in rows if (row["table"], row["row"], row["column"]) == ("table-3", "code", "small")]
        assert (none["value"], none["n"], none["note"]) == ("", "0", "no right answer with an SCI")

    @pytest.mark.slow
    def test_of_json_say_the_same_with_the_method(self) -> None:
        make_known_study()
        report = json.loads(written("--format", "json"))
        assert len(report["cells"]) == len(list(csv.DictReader(io.StringIO(written("--format", "csv")))))
        assert [one["heading"] for one in report["method"]][:3] == ["Functional unit (R)", "Boundary", "Quantification"]
        assert any("ISO/IEC 21031" in line for line in report["citation"])

    def test_of_markdown_have_every_table(self) -> None:
        make_known_study()
        text = written()
        for title in ("Table 1", "Table 2", "Table 3", "Table 4", "Table 5", "Figure 2"):
            assert f"\n## {title}: " in text
        assert "| math |" in text
        assert "missing" in text


class TestCommand:
    @pytest.mark.slow
    def test_writes_a_file(self, tmp_path: Path) -> None:
        make_known_study()
        path = tmp_path / "report.html"
        assert "12 training answers of known" in written("--format", "html", "--output", str(path))
        assert path.read_text(encoding="utf8").startswith("<!doctype html>")

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--pair", "small"), "is no pair"),
            (("--pair", "small=gpt"), "The paper has no model"),
            (("--lifespan", "0"), "is no number from 0.5 to 15"),
            (("--output", "/nowhere/report.md"), "cannot be written"),
        ],
    )
    def test_tells_what_is_wrong(self, options: tuple[str, ...], said: str) -> None:
        make_known_study()
        with pytest.raises(CommandError, match=said):
            written(*options)

    @pytest.mark.slow
    def test_knows_which_studies_there_are(self) -> None:
        make_known_study()
        with pytest.raises(CommandError, match="There are: known"):
            written(study="none")
