"""`manage.py tune_router`: a version chosen on prompts that are not reported, and the way back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import ScriptedOllama
from router.models import Evaluation, PolicyVersion
from router.policy_versions import NotAProposal, NothingToRestore, put_into_force, roll_back
from tests.factories import NOW, make_deployment, make_user
from tests.router.judged import judged_study
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS, make_federation
from tests.router.test_commands import told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def embedding(settings: Settings, tmp_path: Path, db: None) -> Iterator[None]:
    with ScriptedOllama(SCRIPTED_MODELS, answers={}) as server:
        make_federation(server.base_url, policy=None)
        settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
        settings.VAR_DIR = tmp_path / "var"
        yield


@pytest.mark.slow
class TestTuning:
    def test_stores_a_version_that_says_on_what_it_was_chosen(self) -> None:
        study = judged_study(name="judged")
        said = told("tune_router", study="judged", loss=2.0, seed=3)
        version = PolicyVersion.objects.get()
        assert (version.policy, version.neighbour_count, version.estimator) == ("knn", None, "regression")
        assert version.sci_price > 0
        assert "Tuned on judged for a loss of at most 2 points, on 36 prompts" in version.note
        assert "seed 3" in version.note
        assert version.tuning.study == study
        assert "48 prompts (48 different), split by text from seed 3: 60 % and 15 % to choose on, 25 % held out" in said
        assert "On the held-out prompts: accuracy +0.00 points" in said
        assert "The router's own energy is missing" in said

    @pytest.mark.parametrize("policy", ["category", "floor"])
    def test_tunes_other_policies(self, policy: str) -> None:
        study = judged_study()
        if policy == "category":  # of one category only: one model for all, so that half may go wrong
            told("tune_router", study=study.name, policy=policy, loss=60.0)
            assert PolicyVersion.objects.get().sci_price > 0
        else:
            told("tune_router", study=study.name, policy=policy)
            assert 0 < PolicyVersion.objects.get().accuracy_floor < 1

    def test_estimates_by_neighbours_where_asked(self) -> None:
        told("tune_router", study=judged_study().name, loss=2.0, estimates="neighbours")
        assert PolicyVersion.objects.get().estimator == "neighbours"

    def test_takes_the_latest_study_where_none_is_named(self) -> None:
        study = judged_study()
        assert told("tune_router", dry_run=True).startswith(f"{study}: ")

    def test_leaves_everything_alone_when_dry(self) -> None:
        said = told("tune_router", study=judged_study().name, dry_run=True)
        assert "Nothing was put into force" in said
        assert not PolicyVersion.objects.exists()
        assert not Evaluation.objects.exists()

    def test_where_nothing_can_be_saved_says_so(self) -> None:
        study = judged_study()  # of one category: only the dear model keeps to the loss
        with pytest.raises(CommandError, match="Nothing that was tried for category saves anything"):
            told("tune_router", study=study.name, policy="category", loss=1.0)


class TestRefusals:
    def test_of_too_small_a_study(self) -> None:
        with pytest.raises(CommandError, match="prompts: 20 different ones are too few to split"):
            told("tune_router", study=judged_study(count=20).name)
        assert not PolicyVersion.objects.exists()

    @pytest.mark.parametrize(("option", "value"), [("loss", -1.0), ("loss", 101.0), ("seed", -1)])
    def test_of_what_makes_no_sense(self, option: str, value: float) -> None:
        with pytest.raises(CommandError, match=f"{option}: .* is not between"):
            told("tune_router", study="any", **{option: value})

    def test_without_a_study(self) -> None:
        with pytest.raises(CommandError, match="no finished measured study to tune on; name one with --study"):
            told("tune_router")


class TestRollback:
    def test_makes_the_former_version_the_latest_again(self) -> None:
        fallback = make_deployment("former")
        PolicyVersion.objects.create(policy="guarded", caution=0.7, fallback=fallback, note="by hand")
        PolicyVersion.objects.create(policy="knn", sci_price=3.0)
        said = told("tune_router", rollback=0)
        latest = PolicyVersion.objects.latest()
        assert (latest.policy, latest.caution, latest.fallback, latest.sci_price) == ("guarded", 0.7, fallback, 0.0)
        assert "Back to version" in latest.note
        assert "by hand" in latest.note
        assert PolicyVersion.objects.count() == 3
        assert f"In force: version {latest.pk}: guarded" in said

    def test_takes_a_version_by_its_number(self) -> None:
        first, *_ = [PolicyVersion.objects.create(policy="knn", sci_price=float(price)) for price in (1, 2, 3)]
        told("tune_router", rollback=first.pk)
        assert PolicyVersion.objects.latest().sci_price == 1.0

    def test_without_a_former_version_says_so(self) -> None:
        with pytest.raises(CommandError, match="no earlier policy version to go back to. There is none yet"):
            told("tune_router", rollback=0)
        PolicyVersion.objects.create(policy="knn")
        with pytest.raises(NothingToRestore, match="only version"):
            roll_back(version_id=None, made_by_id=None)

    def test_of_a_number_that_is_none_says_so(self) -> None:
        with pytest.raises(CommandError, match="no policy version 999"):
            told("tune_router", rollback=999)

    def test_keeps_a_long_note_within_its_bounds(self) -> None:
        PolicyVersion.objects.create(policy="knn", note="x" * 200)
        PolicyVersion.objects.create(policy="knn")
        assert len(roll_back(version_id=None, made_by_id=make_user().pk).note) == 200


class TestPutIntoForce:
    def finished(self, outcomes: str = "judged") -> Evaluation:
        tuning = {"policy": "floor", "parameter": "accuracy_floor", "value": 0.8, "loss": 1.0, "prompt_count": 40}
        report = {"format": 2, "seed": 7, "tuning": tuning}
        return Evaluation.objects.create(
            kind="tuning", outcomes=outcomes, state="finished", report=report, created_at=NOW
        )

    def test_makes_one_version_however_often(self) -> None:
        person, tuning = make_user(), self.finished()
        made = [put_into_force(evaluation_id=tuning.pk, made_by_id=person.pk) for _ in range(2)]
        assert made[0] == made[1] == PolicyVersion.objects.get()
        assert (made[0].accuracy_floor, made[0].made_by) == (0.8, person)

    def test_keeps_what_the_tuning_says_nothing_of(self) -> None:
        kept = {"is_open": False, "most_sci_price": 3.0, "least_accuracy_floor": 0.2}
        kept |= {"is_intensity_live": True, "prompts_per_load": 4}
        PolicyVersion.objects.create(policy="knn", sci_price=2.0, **kept)
        made = put_into_force(evaluation_id=self.finished().pk, made_by_id=None)
        assert {name: getattr(made, name) for name in kept} == kept
        assert (made.policy, made.sci_price) == ("floor", 0.0)

    def test_fits_its_note_to_a_long_name(self) -> None:
        note = put_into_force(evaluation_id=self.finished("n" * 200).pk, made_by_id=None).note
        assert len(note) == 200
        assert note.endswith("(train and calibration, each left out once; seed 7); tuning " + note.split()[-1])

    def test_refuses_what_is_no_finished_tuning(self) -> None:
        for facts in ({"kind": "tuning"}, {"kind": "evaluation", "state": "finished", "report": {}}):
            made = Evaluation.objects.create(outcomes="judged", created_at=NOW, **facts)
            with pytest.raises(NotAProposal, match="no finished tuning"):
                put_into_force(evaluation_id=made.pk, made_by_id=None)
