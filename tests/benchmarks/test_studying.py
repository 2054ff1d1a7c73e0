import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.inference.base import UnsupportedParameter
from benchmarks.models import CarbonIntensity, Deployment, Prompt, Response, Study
from benchmarks.studying import (
    Parameters,
    Progress,
    StudyError,
    cancel,
    create_study,
    finish_if_done,
    generation_parameters_of,
    intensity_for,
    pause,
    progress_of,
    start,
)
from tests.factories import NOW, make_deployment, make_machine, make_prompt, make_server

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def deployments() -> list[Deployment]:
    make_machine()
    return [make_deployment("small"), make_deployment("large")]


@pytest.fixture
def prompts() -> list[Prompt]:
    return [make_prompt("One?"), make_prompt("Two?"), make_prompt("Three?")]


@pytest.fixture
def study(deployments: list[Deployment], prompts: list[Prompt]) -> Study:
    return create(deployments, prompts)


def create(deployments: list[Deployment], prompts: list[Prompt], **options: Any) -> Study:
    values: dict[str, Any] = {"name": "first", "machine": make_machine(), "parameters": Parameters()}
    return create_study(deployments=deployments, prompts=prompts, **{**values, **options})


def order_of(study: Study) -> list[tuple[str, str, int]]:
    fields = ("deployment__language_model__name", "prompt__text", "repeat")
    return list(study.responses.in_order().values_list(*fields))


def become(study: Study, *states: str) -> None:
    """Set the states of a study's responses, in their order."""
    for response, state in zip(study.responses.in_order(), states, strict=False):
        response.state = state
        response.error = "broken" if state == "failed" else ""
        response.finished_at = NOW if state == "finished" else None
        response.save()


def states_of(study: Study) -> list[str]:
    return list(study.responses.in_order().values_list("state", flat=True))


class TestCreateStudy:
    def test_makes_a_place_for_each_response_grouped_by_model(self, study: Study) -> None:
        assert order_of(study) == [
            ("small", "One?", 1), ("small", "Two?", 1), ("small", "Three?", 1),
            ("large", "One?", 1), ("large", "Two?", 1), ("large", "Three?", 1),
        ]  # fmt: skip
        assert set(states_of(study)) == {"pending"}
        assert (study.state, study.started_at) == ("draft", None)

    def test_repeats_all_prompts_of_a_model_before_the_next_loads(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        study = create(deployments, prompts[:1], repeats=2)

        assert order_of(study) == [
            ("small", "One?", 1), ("small", "One?", 2), ("large", "One?", 1), ("large", "One?", 2),
        ]  # fmt: skip

    def test_groups_by_set_of_parameters_within_a_model(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        points = [Parameters(temperature=0.0, name="cold"), Parameters(temperature=1.0, name="hot")]
        study = create(deployments, prompts[:2], parameters=points)

        order = study.responses.in_order().values_list("deployment__language_model__name", "parameter_set__name")
        assert list(order) == [
            ("small", "cold"), ("small", "cold"), ("small", "hot"), ("small", "hot"),
            ("large", "cold"), ("large", "cold"), ("large", "hot"), ("large", "hot"),
        ]  # fmt: skip

    def test_refuses_sets_that_cannot_be_told_apart_or_are_none(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        with pytest.raises(StudyError, match="Two sets of parameters have the name 'default'"):
            create(deployments, prompts, parameters=[Parameters(), Parameters(seed=1)])
        with pytest.raises(StudyError, match="at least one set"):
            create(deployments, prompts, parameters=[])

    def test_refuses_a_bad_number_in_any_set(self, deployments: list[Deployment], prompts: list[Prompt]) -> None:
        with pytest.raises(StudyError, match="top_p must be"):
            create(deployments, prompts, parameters=[Parameters(), Parameters(top_p=2, name="wrong")])

    def test_interleaves_by_a_seed(self, deployments: list[Deployment], prompts: list[Prompt]) -> None:
        first = create(deployments, prompts, name="a", order="interleaved", order_seed=7, repeats=3)
        again = create(deployments, prompts, name="b", order="interleaved", order_seed=7, repeats=3)
        other = create(deployments, prompts, name="c", order="interleaved", order_seed=8, repeats=3)

        assert order_of(first) == order_of(again)
        assert order_of(first) != order_of(other)
        assert sorted(order_of(first)) == sorted(order_of(other))

    def test_keeps_the_parameters_and_fixes_the_intensity(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        study = create(deployments, prompts, parameters=Parameters(seed=1, top_k=5, extras={"min_p": 0.1}))
        CarbonIntensity.objects.update(gco2e_per_kwh=1)

        kept = generation_parameters_of(study.parameter_sets.get())
        assert (kept.seed, kept.temperature, kept.num_ctx, kept.num_predict) == (1, 0.0, 2048, 256)
        assert (kept.top_k, kept.top_p, kept.extras) == (5, None, {"min_p": 0.1})
        assert study.carbon_intensity_gco2e_per_kwh == 385
        assert study.carbon_intensity_source == "DE 2022: test"

    def test_needs_prompts_and_models(self, deployments: list[Deployment], prompts: list[Prompt]) -> None:
        with pytest.raises(StudyError, match="has no prompts; import some"):
            create(deployments, [])
        with pytest.raises(StudyError, match="has no models; add some"):
            create([], prompts)
        assert not Study.objects.exists()

    def test_refuses_a_retired_model(self, deployments: list[Deployment], prompts: list[Prompt]) -> None:
        deployments[1].state = "retired"

        with pytest.raises(StudyError, match="^large on .* was retired"):
            create(deployments, prompts)

    def test_refuses_a_model_on_another_machine(self, prompts: list[Prompt]) -> None:
        elsewhere = make_deployment(server=make_server(make_machine("other")))

        with pytest.raises(StudyError, match="not on the machine test"):
            create([elsewhere], prompts)

    def test_refuses_a_model_or_prompt_named_twice(self, deployments: list[Deployment], prompts: list[Prompt]) -> None:
        with pytest.raises(StudyError, match="names a model more than once: small on"):
            create([*deployments, deployments[0]], prompts)
        with pytest.raises(StudyError, match="names a prompt more than once"):
            create(deployments, [*prompts, prompts[2]])

    def test_refuses_a_name_that_is_taken(
        self, study: Study, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        with pytest.raises(StudyError, match="There is a study 'first' already"):
            create(deployments, prompts)

    def test_refuses_a_name_that_is_an_address_of_the_pages(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        with pytest.raises(StudyError, match="'new' is an address of the pages") as refused:
            create(deployments, prompts, name="new")
        assert refused.value.field == "name"

    def test_refuses_more_responses_than_anybody_means(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        with pytest.raises(StudyError, match="would have 120,000 responses, at most 100,000"):
            create(deployments, prompts, repeats=20_000)
        assert not Study.objects.exists()

    @pytest.mark.parametrize("name", ["", "two words", "ä", "x" * 81, "a/b"])
    def test_refuses_what_is_no_name(self, deployments: list[Deployment], prompts: list[Prompt], name: str) -> None:
        with pytest.raises(StudyError, match="is not a name"):
            create(deployments, prompts, name=name)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("num_ctx", 0), ("num_predict", -1), ("temperature", -0.1), ("temperature", math.nan),
            ("temperature", math.inf), ("top_p", 1.1), ("top_k", -1), ("seed", 2**63), ("num_ctx", 2**31),
        ],
    )  # fmt: skip
    def test_refuses_a_parameter_out_of_its_range(
        self, deployments: list[Deployment], prompts: list[Prompt], field: str, value: Any
    ) -> None:
        with pytest.raises(StudyError, match=f"^{field} must be from"):
            create(deployments, prompts, parameters=replace(Parameters(), **{field: value}))
        assert not Study.objects.exists()

    @pytest.mark.parametrize(
        "options", [{"repeats": 0}, {"repeats": 40_000}, {"sampling_period_ms": 5}, {"order_seed": 2**63}]
    )
    def test_refuses_a_number_out_of_its_range(
        self, deployments: list[Deployment], prompts: list[Prompt], options: dict[str, int]
    ) -> None:
        with pytest.raises(StudyError, match=f"^{next(iter(options))} must be from"):
            create(deployments, prompts, **options)

    def test_refuses_a_parameter_that_no_server_of_today_has(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        with pytest.raises(UnsupportedParameter, match="does not support tfs_z"):
            create(deployments, prompts, parameters=Parameters(extras={"tfs_z": 0.5}))
        assert not Study.objects.exists()

    def test_takes_a_parameter_that_the_servers_version_still_has(
        self, deployments: list[Deployment], prompts: list[Prompt]
    ) -> None:
        versions = {deployment.server_id: "0.5.1" for deployment in deployments}

        study = create(deployments, prompts, parameters=Parameters(extras={"tfs_z": 0.5}), server_versions=versions)

        assert study.parameter_sets.get().extras == {"tfs_z": 0.5}


class TestIntensityFor:
    def test_takes_the_latest_year_of_the_zone(self) -> None:
        machine = make_machine("paris", zone="FR")
        CarbonIntensity.objects.create(zone="FR", gco2e_per_kwh=44, source="test", year=2024)
        CarbonIntensity.objects.create(zone="FR", gco2e_per_kwh=1, source="test", kind="live_average", valid_from=NOW)

        assert intensity_for(machine).gco2e_per_kwh == 44

    def test_never_makes_one_up(self) -> None:
        machine = make_machine()
        CarbonIntensity.objects.all().delete()

        with pytest.raises(StudyError, match="No carbon intensity is known for the zone 'DE'"):
            intensity_for(machine)


class TestStart:
    def test_sets_a_study_going_with_a_picture_of_its_machine(self, study: Study) -> None:
        start(study=study, now=NOW)

        assert (study.state, study.started_at) == ("running", NOW)
        assert study.machine_snapshot["name"] == "test"
        assert study.machine_snapshot["total_embodied_emissions_gco2e"] == 574_100

    def test_goes_on_after_a_pause_with_what_it_had_begun(self, study: Study) -> None:
        start(study=study, now=NOW)
        pause(study=study)

        start(study=study, now=LATER)

        assert (study.state, study.started_at) == ("running", NOW)

    def test_twice_does_no_harm(self, study: Study) -> None:
        start(study=study, now=NOW)
        become(study, "finished", "running")

        start(study=study, now=LATER)

        assert (study.state, study.started_at) == ("running", NOW)
        assert states_of(study)[:3] == ["finished", "running", "pending"]

    def test_tries_failed_responses_again_and_leaves_the_others(self, study: Study) -> None:
        start(study=study, now=NOW)
        become(study, "finished", "failed", *["finished"] * 4)
        finish_if_done(study_id=study.pk, now=NOW)

        start(study=study, now=LATER)

        assert (study.state, study.finished_at) == ("running", None)
        assert states_of(study) == ["finished", "pending", *["finished"] * 4]
        assert study.responses.get(state="pending").error == ""

    def test_of_a_finished_study_changes_nothing(self, study: Study) -> None:
        start(study=study, now=NOW)
        become(study, *["finished"] * 6)
        finish_if_done(study_id=study.pk, now=NOW)

        start(study=study, now=LATER)

        assert (study.state, study.finished_at) == ("finished", NOW)

    def test_finishes_a_study_that_was_paused_after_its_last_response(self, study: Study) -> None:
        start(study=study, now=NOW)
        pause(study=study)
        become(study, *["finished"] * 6)

        start(study=study, now=LATER)

        assert (study.state, study.finished_at) == ("finished", LATER)

    def test_refuses_a_cancelled_study(self, study: Study) -> None:
        cancel(study=study, now=NOW)

        with pytest.raises(StudyError, match="was cancelled; make a new one"):
            start(study=study, now=LATER)

    def test_refuses_a_study_without_responses(self, study: Study) -> None:
        study.responses.all().delete()

        with pytest.raises(StudyError, match="nothing can be measured"):
            start(study=study, now=NOW)


class TestPause:
    def test_stops_a_running_study(self, study: Study) -> None:
        start(study=study, now=NOW)

        pause(study=study)

        assert study.state == "paused"

    @pytest.mark.parametrize("state", ["draft", "paused", "finished", "cancelled"])
    def test_refuses_a_study_that_does_not_run(self, study: Study, state: str) -> None:
        Study.objects.update(state=state)

        with pytest.raises(StudyError, match="is not running, so it cannot be paused"):
            pause(study=study)
        assert Study.objects.get().state == state


class TestCancel:
    @pytest.mark.parametrize("state", ["draft", "running", "paused"])
    def test_gives_up_what_is_not_measured_and_keeps_what_is(self, study: Study, state: str) -> None:
        Study.objects.update(state=state)
        become(study, "finished", "failed", "running")

        cancel(study=study, now=LATER)

        assert (study.state, study.finished_at) == ("cancelled", LATER)
        assert states_of(study) == ["finished", "failed", "running", *["cancelled"] * 3]

    @pytest.mark.parametrize("state", ["finished", "cancelled"])
    def test_refuses_a_study_that_is_over(self, study: Study, state: str) -> None:
        Study.objects.update(state=state)

        with pytest.raises(StudyError, match=f"is {state} already"):
            cancel(study=study, now=LATER)


class TestFinishIfDone:
    def test_finishes_a_study_with_nothing_left(self, study: Study) -> None:
        start(study=study, now=NOW)
        become(study, *["finished"] * 5, "failed")

        assert finish_if_done(study_id=study.pk, now=LATER)

        study.refresh_from_db()
        assert (study.state, study.finished_at) == ("finished", LATER)

    @pytest.mark.parametrize("state", ["pending", "running"])
    def test_waits_for_the_last_response(self, study: Study, state: str) -> None:
        start(study=study, now=NOW)
        become(study, *["finished"] * 5, state)

        assert not finish_if_done(study_id=study.pk, now=LATER)
        assert Study.objects.get().state == "running"

    @pytest.mark.parametrize("state", ["paused", "cancelled", "finished"])
    def test_leaves_a_study_alone_that_does_not_run(self, study: Study, state: str) -> None:
        become(study, *["finished"] * 6)
        Study.objects.update(state=state)

        assert not finish_if_done(study_id=study.pk, now=LATER)
        assert Study.objects.get().state == state


class TestProgressOf:
    def test_counts_what_became_of_the_responses(self, study: Study) -> None:
        become(study, "finished", "finished", "failed", "cancelled", "running")

        progress = progress_of(study=study)

        assert progress == Progress(total=6, finished=2, failed=1, cancelled=1)
        assert progress.remaining == 2

    def test_of_an_empty_study_is_nothing(self, study: Study) -> None:
        Response.objects.all().delete()

        assert progress_of(study=study) == Progress(0, 0, 0, 0)
