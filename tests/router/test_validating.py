"""Validation prompts through every model and through the router: the two studies, each made once and alike."""

import pytest

from benchmarks.models import Deployment, InferenceServer, ParameterSet, Prompt, Study
from benchmarks.studying import StudyError
from router.validating import router_study, validation_study
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine_study() -> Study:
    """A study of two models on three prompts to learn from, cooled and sampled in its own way."""
    study = make.make_study("first", state=Study.State.FINISHED, sampling_period_ms=20, repeats=2, control_every=5)
    Study.objects.filter(pk=study.pk).update(cooldown_limit_c=44.0, carbon_intensity_gco2e_per_kwh=123.0)
    study.refresh_from_db()
    ParameterSet.objects.filter(study=study).update(seed=7, num_predict=64)
    for position, name in enumerate(("small", "large"), start=1):
        study.targets.create(deployment=make.make_deployment(name), position=position)
    for position in (1, 2, 3):
        study.tasks.create(prompt=make.make_prompt(), position=position)
    return study


def make_router() -> Deployment:
    server = make.make_server(base_url="http://127.0.0.1:8000")
    InferenceServer.objects.filter(pk=server.pk).update(is_router=True, kind="openai")
    server.refresh_from_db()
    return make.make_deployment("auto", server=server, state="candidate")


def models_study(study: Study, *, limit: int | None = None) -> Study:
    return validation_study(study=study, limit=limit, versions={})


class TestStudyOfTheModels:
    def test_is_the_study_itself_where_it_has_validation_prompts(self, machine_study: Study) -> None:
        machine_study.tasks.create(prompt=make.make_prompt(role=Prompt.Role.VALIDATION), position=9)
        assert models_study(machine_study) == machine_study

    def test_is_made_beside_it_else_and_made_once(self, machine_study: Study) -> None:
        asked = [make.make_prompt(role=Prompt.Role.VALIDATION, category=name) for name in ("math", "code")]
        make.make_prompt(role=Prompt.Role.UNUSED)
        made = models_study(machine_study)
        assert made.name == "first-validation"
        assert set(made.prompts.all()) == set(asked)
        assert [one.deployment.language_model.name for one in made.targets.order_by("position")] == ["small", "large"]
        assert models_study(machine_study) == made

    def test_is_measured_alike(self, machine_study: Study) -> None:
        make.make_prompt(role=Prompt.Role.VALIDATION)
        made = models_study(machine_study)
        parameters = made.parameter_sets.get()
        assert (parameters.seed, parameters.num_predict, parameters.num_ctx) == (7, 64, 2048)
        assert (made.sampling_period_ms, made.repeats, made.control_every) == (20, 2, 5)
        assert (made.cooldown_limit_c, made.carbon_intensity_gco2e_per_kwh) == (44.0, 123.0)
        assert made.machine == machine_study.machine

    def test_takes_at_most_so_many_of_each_category(self, machine_study: Study) -> None:
        for _ in range(3):
            make.make_prompt(role=Prompt.Role.VALIDATION, category="math")
            make.make_prompt(role=Prompt.Role.VALIDATION, category="code")
        assert models_study(machine_study, limit=2).prompts.count() == 4

    def test_leaves_retired_models_out(self, machine_study: Study) -> None:
        make.make_prompt(role=Prompt.Role.VALIDATION)
        Deployment.objects.filter(language_model__name="small").update(state="retired")
        assert [one.deployment.language_model.name for one in models_study(machine_study).targets.all()] == ["large"]

    def test_wants_validation_prompts(self, machine_study: Study) -> None:
        with pytest.raises(StudyError, match=r"The data sets of first \(test\) have no validation prompts"):
            models_study(machine_study)

    def test_wants_a_study_that_was_measured_here(self) -> None:
        imported = make.make_study("elsewhere", kind=Study.Kind.IMPORTED, machine=None)
        with pytest.raises(StudyError, match="none of models that were measured here"):
            models_study(imported)


class TestStudyOfTheRouter:
    def test_asks_the_same_validation_prompts_alike_and_is_made_once(self, machine_study: Study) -> None:
        asked = make.make_prompt(role=Prompt.Role.VALIDATION)
        machine_study.tasks.create(prompt=asked, position=9)
        router = make_router()
        made = router_study(base=machine_study, router=router, versions={})
        assert (made.name, made.kind, list(made.prompts.all())) == ("first-router", "router", [asked])
        parameters = made.parameter_sets.get()
        assert (parameters.seed, parameters.num_predict, parameters.num_ctx) == (7, 64, None)
        assert made.control_every == 0
        assert made.carbon_intensity_gco2e_per_kwh == 123.0
        assert router_study(base=machine_study, router=router, versions={}) == made

    def test_refuses_a_sweep_and_a_name_that_is_taken(self, machine_study: Study) -> None:
        machine_study.tasks.create(prompt=make.make_prompt(role=Prompt.Role.VALIDATION), position=9)
        router = make_router()
        taken = make.make_study("first-router")
        with pytest.raises(StudyError, match="'first-router' already, and not of the router"):
            router_study(base=machine_study, router=router, versions={})
        taken.delete()
        ParameterSet.objects.create(study=machine_study, name="warm", temperature=1.0)
        with pytest.raises(StudyError, match="is a sweep"):
            router_study(base=machine_study, router=router, versions={})
