"""Taking an import of outcomes back: all of it where nothing came on top, else without what people said."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from benchmarks.models import (
    Dataset,
    Deployment,
    InferenceServer,
    LanguageModel,
    Measurement,
    ParameterSet,
    Prompt,
    Response,
    Study,
    StudyDeployment,
    StudyPrompt,
)
from labeling.models import Correction, Flag, GoldAnswer, Label, Skip
from labeling.verdicts import verdicts_of
from labeling.withdrawing import foresee_withdrawal, withdraw_outcomes
from tests import factories as make
from tests.benchmarks.outcome_files import OUTCOMES, write_outcomes

pytestmark = pytest.mark.django_db
_TABLES = (
    Dataset, Deployment, InferenceServer, LanguageModel, Measurement, ParameterSet, Prompt, Response, Study,
    StudyDeployment, StudyPrompt, Label,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _intensity() -> None:
    make.make_intensity(gco2e_per_kwh=360)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return imported(tmp_path, "mine")


def imported(folder: Path, name: str, *options: str) -> Study:
    path = write_outcomes(folder / name)
    call_command("import_outcomes", str(path), "--name", name, *options, stdout=StringIO(), stderr=StringIO())
    return Study.objects.get(name=name)


def withdraw(*options: str) -> str:
    out = StringIO()
    call_command("withdraw_outcomes", *options, stdout=out)
    return out.getvalue()


def counts() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in _TABLES}


def flag(response: Response) -> None:
    Flag.objects.create(response=response, person=make.make_user(), reason="It is cut off.", created_at=make.NOW)


def skip(response: Response) -> None:
    Skip.objects.create(response=response, annotator=make.make_user(), skipped_at=make.NOW)


def gild(response: Response) -> None:
    GoldAnswer.objects.create(response=response, verdict="correct", reason="It is right.", set_by=make.make_user())


def void_imported(response: Response) -> None:
    label = response.labels.get()
    label.voided_at, label.void_reason = make.NOW, "The file was wrong here."
    label.save()


class TestWhole:
    def test_leaves_everything_as_it_was_before(self, tmp_path: Path) -> None:
        make.make_response(make.make_prompt("mine", category="math"), make.make_deployment("small"), verdict="correct")
        before = counts()
        study = imported(tmp_path, "mine")
        assert counts() != before
        done = withdraw_outcomes(study=study, now=make.NOW)
        assert (done.is_whole, done.answer_count, done.label_count) == (True, len(OUTCOMES) - 1, len(OUTCOMES) - 1)
        assert counts() == before

    @pytest.mark.slow
    def test_may_be_imported_again(self, tmp_path: Path, study: Study) -> None:
        told = withdraw("mine")
        assert "6 answers with their costs and 6 imported labels go" in told
        assert "the study goes" in told
        assert imported(tmp_path, "mine").responses.count() == 6

    def test_leaves_prompts_that_another_study_has(self, tmp_path: Path) -> None:
        imported(tmp_path, "first", "--models", "small")
        second = imported(tmp_path, "second", "--models", "large")
        assert "3 prompts stay" in withdraw("first")
        assert second.prompts.count() == second.responses.count() == Prompt.objects.count() == 3


class TestOnTop:
    def test_loses_no_label_of_a_person(self, study: Study) -> None:
        judged = study.responses.filter(labels__verdict="correct").first()
        assert judged is not None
        label = make.make_label(judged, "incorrect", comment="It adds wrongly.")
        told = withdraw("mine")
        assert "5 answers with their costs and 5 imported labels go" in told
        assert "The study stays, with 1 answers" in told
        assert list(Response.objects.all()) == [judged]
        assert set(Label.objects.current()) == {label}
        [void] = Label.objects.exclude(pk=label.pk)
        assert (void.source, void.void_reason) == ("imported", "The import of these outcomes was taken back.")
        assert verdicts_of([judged.pk])[judged.pk].is_correct is False
        assert (Study.objects.count(), Measurement.objects.count(), Prompt.objects.count()) == (1, 1, 3)

    @pytest.mark.slow
    @pytest.mark.parametrize("said", [flag, skip, gild, void_imported])
    def test_keeps_an_answer_of_which_something_was_said(self, study: Study, said: Callable[[Response], None]) -> None:
        first = study.responses.order_by("pk")[0]
        said(first)
        found = withdraw_outcomes(study=study, now=make.NOW)
        assert (found.is_whole, found.kept_answer_count, found.answer_count) == (False, 1, 5)
        assert list(study.responses.all()) == [first]

    def test_takes_the_rest_the_second_time_as_the_first(self, study: Study) -> None:
        make.make_label(study.responses.order_by("pk")[0])
        withdraw("mine")
        before = counts()
        assert "0 answers with their costs and 0 imported labels go" in withdraw("mine")
        assert counts() == before

    def test_keeps_a_study_that_a_correction_names(self, study: Study) -> None:
        Correction.objects.create(
            study=study, annotator=make.make_user(), reason="A check.", until=make.NOW, created_at=make.NOW
        )
        found = withdraw_outcomes(study=study, now=make.NOW)
        assert (found.is_whole, found.correction_count, study.responses.count()) == (False, 1, 0)
        assert Study.objects.filter(pk=study.pk).exists()


class TestForeseeing:
    def test_tells_what_happens_then(self, study: Study) -> None:
        make.make_label(study.responses.order_by("pk")[0])
        before, foreseen = counts(), foresee_withdrawal(study=study)
        assert "Nothing was changed" in withdraw("mine", "--dry-run")
        assert counts() == before
        assert withdraw_outcomes(study=study, now=make.NOW) == foreseen
        assert (foreseen.kept_label_count, foreseen.voided_label_count) == (1, 1)

    def test_refuses_a_study_of_another_kind(self) -> None:
        make.make_study(name="measured")
        with pytest.raises(CommandError, match="was not made by import_outcomes"):
            withdraw("measured")
        with pytest.raises(CommandError, match="There is no study 'none'"):
            withdraw("none")
