"""The command that voids labels, as a person at the command line sees it."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from benchmarks.models import Response
from greenllm.models import User
from labeling.models import Correction, Guideline, Label
from tests import factories as make
from tests.labeling.queues import make_annotator, make_answers

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("void_labels", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def ada() -> User:
    return make_annotator("ada")


@pytest.fixture
def answers(ada: User) -> list[Response]:
    """Two answers of one study, in math, both judged by ada."""
    answers = make_answers(2, study=make.make_study("demo"))
    for answer in answers:
        make.make_label(answer, labeler=ada)
    return answers


class TestVoidLabels:
    def test_says_what_it_does_and_how_to_undo_it(self, answers: list[Response]) -> None:
        said = run("--annotator", "ada", "--reason", "Slips.")
        correction = Correction.objects.get()
        assert "2 labels of 1 people on 2 answers. Verdicts: 2 lost, 0 turned" in said
        assert f"Correction {correction.pk}: 2 labels are void." in said
        assert (correction.made_by, correction.reason) == (None, "Slips.")
        assert "2 labels count again." in run("--undo", str(correction.pk))
        assert Label.objects.current().count() == 2

    def test_dry_changes_nothing_and_needs_no_reason(self, answers: list[Response]) -> None:
        assert "Nothing was changed" in run("--annotator", "ada", "--dry-run")
        assert Label.objects.current().count() == 2

    def test_narrows_to_a_study_a_category_and_a_time(self, ada: User, answers: list[Response]) -> None:
        (elsewhere,) = make_answers(1, study=make.make_study("elsewhere"), category="code")
        make.make_label(elsewhere, labeler=ada)
        for option, value in (("--study", "elsewhere"), ("--category", "code")):
            assert "1 labels of" in run("--annotator", "ada", option, value, "--dry-run")
        assert "0 labels of" in run("--annotator", "ada", "--until", "2020-01-01", "--dry-run")
        assert "3 labels of" in run("--annotator", "ada", "--since", "2020-01-01T12:00", "--dry-run")

    def test_finds_the_version_of_a_category_before_the_general_one(self, answers: list[Response]) -> None:
        for category in (answers[0].prompt.category, None):
            Guideline.objects.create(category=category, version=3, text="Be kind.")
        Label.objects.update(guideline=Guideline.objects.get(category__isnull=False))
        with pytest.raises(CommandError, match="version 3 exists for math, every category. Say which by --category"):
            run("--guideline", "3", "--dry-run")
        assert "2 labels of" in run("--guideline", "3", "--category", "math", "--dry-run")

    def test_says_what_stays_out_after_undoing(self, ada: User, answers: list[Response]) -> None:
        run("--annotator", "ada", "--reason", "Slips.")
        make.make_label(answers[0], "incorrect", labeler=ada)
        number = str(Correction.objects.get().pk)
        assert (
            f"1 stay out: their judges have judged these answers anew meanwhile (/label/corrections/{number}/"
            in run("--undo", number)
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), "Name whose labels"),
            (("--annotator", "ada"), "Say why"),
            (("--annotator", "eve", "--reason", "x"), "--annotator: there is nobody named 'eve'"),
            (("--annotator", "ada", "--category", "law"), "--category: there is no 'law'. There are: math"),
            (("--annotator", "ada", "--study", "none"), "There is no study 'none'"),
            (("--guideline", "9"), "--guideline: there is no version 9"),
            (("--annotator", "ada", "--since", "soon"), "--since"),
            (("--annotator", "ada", "--reason", "x", "--until", "2020-01-01"), "there is nothing to void"),
            (("--undo", "77"), "There is no correction 77"),
        ],
    )
    def test_refuses_what_it_cannot_do(self, answers: list[Response], arguments: tuple[str, ...], said: str) -> None:
        with pytest.raises(CommandError, match=said):
            run(*arguments)
        assert Label.objects.current().count() == 2
