import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps

from benchmarks.bundling.archive import BundleError
from benchmarks.drifting import control_report
from benchmarks.models import (
    Dataset,
    Deployment,
    EnergyTrace,
    InferenceServer,
    Machine,
    Measurement,
    Prompt,
    Response,
    Study,
    StudyMeasurement,
)
from benchmarks.studying import StudyError, start
from benchmarks.traces import unpack
from greenllm.bundles.carriage import all_members
from greenllm.dashboards.queries import study_tables
from greenllm.models import User
from labeling.models import Guideline, Label
from labeling.verdicts import verdicts_of
from router.candidates import evidence_on
from tests import factories as make
from tests.greenllm.bundles.rich_studies import (
    OTHER_DAY,
    Row,
    activate_everything,
    edited,
    lacking,
    make_rich_study,
    members_of,
    packed,
    rich_bundle,
    rows_of,
    unpacked,
    wipe,
)
from tests.greenllm.studies.shown import add_control_runs
from tests.labeling.queues import make_rule
from tests.router.standins import MemoryStore, make_embedder, make_index

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TABLES = ("Study", "Response", "ResponseAttempt", "Measurement", "ChannelReading", "EnergyTrace", "Prompt", "Dataset",
          "LanguageModel", "Deployment", "Machine", "InferenceServer", "Category", "ParameterSet")  # fmt: skip


def row_counts() -> dict[str, int]:
    models = [apps.get_model("benchmarks", name) for name in TABLES]
    models += [apps.get_model("labeling", name) for name in ("GoldAnswer", "Label", "Grade", "Guideline")]
    return {model.__name__: model._default_manager.count() for model in [*models, User]}


def evidence() -> list[list[Any]]:
    ids = list(Prompt.objects.order_by("external_id").values_list("pk", flat=True))
    found = evidence_on(ids)
    return [
        [
            (one.model, one.sci_gco2e, one.quality, one.is_correct, one.response_count, one.sci_count)
            for one in found[pk]
        ]
        for pk in ids
    ]


class TestCarriage:
    def test_to_an_empty_installation_changes_no_figure(self) -> None:
        study = make_rich_study()
        file, tables, routed = packed(study), study_tables(study), evidence()
        uuid = study.uuid
        wipe()
        arrived = unpacked(file)
        activate_everything()
        assert arrived.uuid == uuid
        assert study_tables(arrived) == tables
        assert evidence() == routed
        assert members_of(packed(arrived)) == members_of(file)

    def test_keeps_every_row(self) -> None:
        file = packed(make_rich_study())
        before = row_counts()
        wipe()
        unpacked(file)
        assert row_counts() == before
        assert Measurement.objects.filter(energy_j__isnull=True).count() == 1
        assert EnergyTrace.objects.order_by("pk")[0].values == [41_000, None, 39_500, 2**31 - 1]
        (packed_trace,) = EnergyTrace.objects.filter(format_version=2)
        assert [reading.value for reading in unpack(packed_trace.packed())] == [40_000, 39_999, 39_998]

    def test_takes_idle_baselines_and_control_runs_along(self) -> None:
        study = make_rich_study()
        add_control_runs(study, 100.0, None, 102.0, 103.0)
        idle = make.make_measurement(150.0, quality="measured", seconds=30.0)
        StudyMeasurement.objects.create(study=study, measurement=idle, moment="before")
        Measurement.objects.filter(pk=idle.pk).update(purpose="idle_baseline")
        Measurement.objects.update(machine=study.machine)
        told, file = control_report(study=study), packed(study)
        wipe()
        arrived = unpacked(file)
        assert control_report(study=arrived) == told
        assert [one.mean_power_mw for one in arrived.own_measurements.filter(moment="before")] == [5_000.0]
        assert members_of(packed(arrived)) == members_of(file)

    def test_of_an_older_bundle_has_none_of_them(self) -> None:
        arrived = unpacked(lacking(rich_bundle(), "study_measurements"))
        assert not arrived.own_measurements.exists()

    def test_keeps_moments_and_the_history_of_labels(self) -> None:
        file = rich_bundle()
        study = unpacked(file)
        assert (study.created_at, study.imported_at) == (make.NOW, OTHER_DAY)
        assert set(Label.objects.values_list("created_at", flat=True)) == {OTHER_DAY}
        assert set(Guideline.objects.values_list("created_at", flat=True)) == {OTHER_DAY}
        later = Label.objects.filter(supersedes__isnull=False).select_related("supersedes")
        assert later.count() == 11
        for label in later:
            assert label.supersedes is not None
            assert (label.supersedes.response_id, label.supersedes.labeler_id) == (label.response_id, label.labeler_id)

    def test_can_be_indexed_and_judged_on(self) -> None:
        file = rich_bundle()
        study = unpacked(file)
        training = list(Prompt.objects.for_training().filter(studies=study).order_by("pk"))
        index = make_index(training, embedder=make_embedder(), store=MemoryStore())
        assert index.prompt_count == 2
        response = study.responses.finished().in_order()[0]
        assert verdicts_of([response.pk])[response.pk].is_correct is False
        make.make_label(response, "correct")
        make.make_label(response, "correct")
        assert verdicts_of([response.pk])[response.pk].is_correct is True

    def test_cannot_be_measured_further(self) -> None:
        study = make_rich_study()
        Study.objects.filter(pk=study.pk).update(state="paused")
        Response.objects.filter(pk=study.responses.in_order()[3].pk).update(state="pending", error="")
        file = packed(study)
        wipe()
        arrived = unpacked(file)
        with pytest.raises(StudyError, match="was imported: its answers were measured elsewhere"):
            start(study=arrived, now=make.NOW)
        arrived.refresh_from_db()
        assert arrived.state == "paused"

    def test_tells_where_it_came_from(self) -> None:
        file = rich_bundle()
        origin = unpacked(file, name="copy").imported_from
        assert (origin["study_name"], origin["machine"], origin["product_version"]) == ("rich", "lab", "0.1.0")


class TestPack:
    def test_holds_no_key_and_no_address(self) -> None:
        text = b"".join(members_of(packed(make_rich_study())).values())
        assert b"SECRET_KEY_OF_LAB" not in text
        assert b"11434" not in text

    def test_replaces_names_unless_they_are_asked_for(self) -> None:
        study = make_rich_study()
        judges = {row["judge"] for row in rows_of(packed(study), "labels")}
        assert judges == {None, "annotator-1", "annotator-2"}
        named = {row["judge"] for row in rows_of(packed(study, with_names=True), "labels")}
        assert named == {None, "ada", "bert"}

    def test_with_names_keeps_them_over_two_journeys(self) -> None:
        file = packed(make_rich_study(), with_names=True)
        wipe()
        study = unpacked(file)
        assert set(User.objects.values_list("username", flat=True)) == {
            f"{name}@{study.uuid.hex[:8]}" for name in ("ada", "bert")
        }
        assert not any(user.is_active or user.has_usable_password() for user in User.objects.all())
        assert members_of(packed(study, with_names=True)) == members_of(file)

    def test_refuses_a_running_study(self) -> None:
        study = make_rich_study()
        Study.objects.filter(pk=study.pk).update(state="running")
        with pytest.raises(BundleError, match="is running; pause it"):
            packed(study)

    def test_states_format_version_counts_and_hashes(self) -> None:
        with zipfile.ZipFile(packed(make_rich_study())) as archive:
            stated = json.loads(archive.read("manifest.json"))
        assert (stated["format"], stated["format_version"]) == ("greenllm-study-bundle", 1)
        assert stated["counts"]["responses"] == 12
        assert stated["counts"]["labels"] == 33
        assert all(len(member["sha256"]) == 64 for member in stated["members"])
        assert [member["name"] for member in stated["members"]] == [member.name for member in all_members()]


# relations that a bundle follows; a new one must be given a way to travel, or be named here as staying behind
CARRIED = {
    "Study": {"machine"},
    "ParameterSet": {"study"},
    "Prompt": {"dataset", "category"},
    "Deployment": {"language_model", "server"},
    "InferenceServer": {"machine"},
    "Measurement": {"machine"},
    "ChannelReading": {"measurement"},
    "EnergyTrace": {"measurement"},
    "Response": {"study", "deployment", "prompt", "parameter_set", "measurement"},
    "ResponseAttempt": {"response"},
    "StudyMeasurement": {"study", "measurement"},
    "Grade": {"response"},
    "Guideline": {"category"},
    "GoldAnswer": {"response"},
    "Label": {"response", "labeler", "grade", "guideline", "supersedes"},
    "Machine": set(),
    "LanguageModel": set(),
    "Dataset": set(),
    "Category": set(),
}
STAYS = {"GoldAnswer": {"set_by"}, "Label": {"correction"}, "Study": {"created_by"}}


class TestRelations:
    @pytest.mark.parametrize("name", sorted(CARRIED))
    def test_all_travel_or_are_known_to_stay(self, name: str) -> None:
        app = "labeling" if name in {"GoldAnswer", "Grade", "Guideline", "Label"} else "benchmarks"
        model = apps.get_model(app, name)
        relations = {one.name for one in model._meta.concrete_fields if one.is_relation}
        assert relations == CARRIED[name] | STAYS.get(name, set())


class TestUnpack:
    def test_refuses_what_is_there_already_and_changes_nothing(self) -> None:
        file = packed(make_rich_study())
        before = row_counts()
        with pytest.raises(BundleError, match="here already, as rich. Nothing was imported"):
            unpacked(file)
        with pytest.raises(BundleError, match="here already, as rich"):
            unpacked(file, name="second")
        assert row_counts() == before

    def test_refuses_a_taken_name_until_another_is_given(self) -> None:
        file = rich_bundle()
        make.make_study("rich")
        with pytest.raises(BundleError, match="Another study is named 'rich' here. Choose .* --as NAME"):
            unpacked(file)
        assert unpacked(file, name="from-lab").name == "from-lab"

    @pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 81])
    def test_refuses_what_is_no_name(self, name: str) -> None:
        file = packed(make_rich_study())
        with pytest.raises(BundleError, match="is not a name"):
            unpacked(file, name=name)

    def test_joins_prompts_and_models_that_are_here(self) -> None:
        file = rich_bundle()
        first = unpacked(file)
        before = row_counts()
        other = edited(file, "study", lambda rows: rows[0].update(uuid="11111111-1111-4111-8111-111111111111"))
        second = unpacked(other, name="second")
        after = row_counts()
        for table in ("Prompt", "Dataset", "LanguageModel", "Deployment", "Machine", "InferenceServer", "Guideline"):
            assert after[table] == before[table]
        assert after["Response"] == 2 * before["Response"]
        assert list(first.deployments.order_by("pk")) == list(second.deployments.order_by("pk"))

    @pytest.mark.parametrize("field", ["text", "item_text", "reference", "checks"])
    def test_refuses_a_prompt_with_another_text(self, field: str) -> None:
        file = rich_bundle()
        dataset = Dataset.objects.create(name="test")
        prompt = rows_of(file, "prompts")[1]
        make.make_prompt(
            **{name: prompt[name] for name in ("text", "item_text", "external_id", "reference", "checks", "position")},
            category=prompt["category"],
        )
        Prompt.objects.update(**{field: {"kind": "x"} if field == "checks" else "other"})
        before = row_counts()
        with pytest.raises(BundleError, match=f"prompts.jsonl, line 2: the prompt .* is here with another {field}"):
            unpacked(file)
        assert row_counts() == before
        assert dataset.prompts.count() == 1

    def test_gives_a_new_prompt_the_next_place_where_its_own_is_taken(self) -> None:
        file = rich_bundle()
        taken = rows_of(file, "prompts")[0]
        make.make_prompt("Mine?", category=taken["category"], position=taken["position"])
        unpacked(file)
        places = Prompt.objects.filter(category__name="math").order_by("position").values_list("position", flat=True)
        assert len(places) == len(set(places)) == 3

    def test_refuses_a_data_set_of_another_version(self) -> None:
        file = rich_bundle()
        Dataset.objects.create(name="test", version="2")
        with pytest.raises(BundleError, match="datasets.jsonl, line 1: the data set 'test' is here in the version '2'"):
            unpacked(file)

    def test_keeps_another_machine_of_the_same_name_apart(self) -> None:
        file = rich_bundle()
        ours = make.make_machine("lab", cpu_model="Another processor")
        server = rows_of(file, "servers")[0]
        InferenceServer.objects.create(name=server["name"], base_url="http://127.0.0.1:11434", machine=ours)
        study = unpacked(file)
        assert study.machine is not None
        assert (study.machine.name, study.machine.cpu_model) == ("lab-2", "Xeon")
        assert "A machine lab is here with other facts" in study.imported_from["notes"][0]
        assert set(Measurement.objects.values_list("machine__name", flat=True)) == {"lab-2"}
        assert {one.server.machine_id for one in study.deployments.all()} == {study.machine.pk}
        again = edited(file, "study", lambda rows: rows[0].update(uuid="11111111-1111-4111-8111-111111111111"))
        assert unpacked(again, name="again").machine == study.machine

    def test_makes_candidates_on_a_server_that_leads_nowhere(self) -> None:
        file = rich_bundle()
        study = unpacked(file)
        assert {one.state for one in study.deployments.all()} == {Deployment.State.CANDIDATE}
        assert InferenceServer.objects.get().base_url.endswith(".lab.invalid")

    def test_keeps_the_state_of_a_deployment_that_is_here(self) -> None:
        study = make_rich_study()
        file = packed(study)
        activate_everything()
        other = edited(file, "study", lambda rows: rows[0].update(uuid="11111111-1111-4111-8111-111111111111"))
        assert {one.state for one in unpacked(other, name="again").deployments.all()} == {Deployment.State.ACTIVE}

    def test_keeps_a_guideline_of_another_text_beside_the_study(self) -> None:
        file = rich_bundle()
        Guideline.objects.create(version=1, text="Our own words.")
        study = unpacked(file)
        assert Guideline.objects.get().text == "Our own words."
        assert not Label.objects.filter(guideline__isnull=False).exists()
        assert study.imported_from["guidelines"] == [{"category": None, "version": 1, "text": "Judge what is said."}]
        assert "has another text here" in study.imported_from["notes"][0]

    def test_says_where_labels_by_graders_do_not_count(self) -> None:
        file = rich_bundle()
        make_rule("math", grades_count=True)
        (note,) = unpacked(file).imported_from["notes"]
        assert "labels by graders in translation count for no verdict here, until graders may label there" in note

    def test_does_not_mistake_a_judge_for_somebody_here(self) -> None:
        study = make_rich_study()
        file = packed(study)
        suffix = f"@{study.uuid.hex[:8]}"
        wipe()
        make.make_user(f"annotator-1{suffix}")
        with pytest.raises(BundleError, match=r"labels.jsonl, line \d+: 'judge' would be .*, who is somebody else"):
            unpacked(file)

    def test_is_bounded(self) -> None:
        with pytest.raises(BundleError, match="unpacks to"):
            unpacked(packed(make_rich_study()), max_bytes=1000)


def setting(key: str, value: Any, line: int = 1) -> Callable[[list[Row]], None]:
    return lambda rows: rows[line - 1].update({key: value})


class TestBrokenRows:
    @pytest.mark.parametrize(
        ("member", "edit", "told"),
        [
            ("study", setting("state", "running"), "study.jsonl, line 1: a running study cannot be imported"),
            ("study", setting("state", "lost"), "study.jsonl, line 1: 'state' cannot be 'lost': it is none of"),
            ("study", setting("machine", "moon"), "study.jsonl, line 1: there is no machine 'moon'"),
            (
                "study",
                setting("machine", {"name": "moon"}),
                "study.jsonl, line 1: there is no machine {'name': 'moon'}",
            ),
            ("study", lambda rows: rows.append(dict(rows[0])), "study.jsonl, line 2: a bundle holds one study"),
            ("study", setting("colour", "red"), "study.jsonl, line 1: 'colour' is not known here"),
            ("study", setting("repeats", 0), "study.jsonl, line 1: 'repeats' cannot be 0"),
            ("study", setting("created_at", "yesterday"), "study.jsonl, line 1: 'created_at' cannot be 'yesterday'"),
            ("study", setting("created_at", "2026-01-01T00:00:00"), "it has no time zone"),
            ("machines", setting("name", "Not A Name"), "machines.jsonl, line 1: 'name' cannot be 'Not A Name'"),
            ("machines", setting("expected_lifespan_s", -1), "machines.jsonl, line 1: the database refuses it"),
            ("servers", setting("machine", "moon"), "servers.jsonl, line 1: there is no machine 'moon'"),
            ("deployments", setting("model", "x"), "deployments.jsonl, line 1: its model or its server is not"),
            ("deployments", setting("position", "1"), "deployments.jsonl, line 1: 'position' cannot be '1'"),
            ("prompts", setting("category", "x"), "prompts.jsonl, line 1: its data set or its category"),
            ("prompts", setting("text", None), "prompts.jsonl, line 1: 'text' is empty"),
            ("measurements", setting("energy_j", "12", 2), "measurements.jsonl, line 2: 'energy_j' cannot be '12'"),
            ("measurements", setting("energy_j", True), "measurements.jsonl, line 1: 'energy_j' cannot be True"),
            ("measurements", setting("energy_j", -1.0), "measurements.jsonl, lines 1 to 11: the database refuses it"),
            ("measurements", setting("quality", "guessed"), "'quality' cannot be 'guessed'"),
            ("channel_readings", setting("measurement", 99), "line 1: 'measurement' is 99, but there are 11"),
            ("channel_readings", setting("measurement", True), "line 1: 'measurement' is True"),
            ("channel_readings", setting("energy_j", 10**400), "line 1: 'energy_j' cannot be 1000"),
            ("channel_readings", setting("coverage", 1.5), "channel_readings.jsonl, lines 1 to 10: the database"),
            ("energy_traces", setting("values", [2**40]), "energy_traces.jsonl, lines 1 to 10: the database refuses"),
            ("energy_traces", setting("offsets", "no list"), "energy_traces.jsonl, line 1: 'offsets' cannot be"),
            ("energy_traces", setting("offsets", None), "energy_traces.jsonl, lines 1 to 10: the database refuses"),
            ("energy_traces", setting("packed_samples", "%", 2), "line 2: 'packed_samples' cannot be '%'"),
            ("responses", setting("prompt", 0), "responses.jsonl, line 1: 'prompt' is 0"),
            ("responses", setting("repeat", 40_000), "responses.jsonl, line 1: 'repeat' cannot be 40000"),
            ("responses", lambda rows: rows.append(dict(rows[0])), "responses.jsonl, lines 1 to 13: the database"),
            ("responses", lambda rows: rows[0].pop("prompt"), "responses.jsonl, line 1: 'prompt' "),
            ("attempts", setting("response", 13), "attempts.jsonl, line 1: 'response' is 13"),
            ("attempts", setting("ended_at", "2000-01-01T00:00:00+00:00"), "attempts.jsonl, lines 1 to 23: the data"),
            ("grades", setting("score", 7.0), "grades.jsonl, lines 1 to 11: the database refuses it"),
            ("labels", setting("verdict", "perhaps"), "labels.jsonl, line 1: 'verdict' cannot be 'perhaps'"),
            ("labels", setting("grade", ["other", 1]), "labels.jsonl, line 1: 'grade' is"),
            ("labels", setting("grade", 7), "labels.jsonl, line 1: 'grade' is 7"),
            ("labels", setting("grade", [[], {}]), "labels.jsonl, line 1: 'grade' is"),
            ("labels", setting("guideline", ["math", 9], 2), "labels.jsonl, line 2: 'guideline' is"),
            ("labels", setting("supersedes", 3, 3), "labels.jsonl, line 3: 'supersedes' is 3"),
            ("labels", setting("supersedes", "1", 3), "labels.jsonl, line 3: 'supersedes' is '1'"),
            ("labels", setting("judge", "a b", 2), "labels.jsonl, line 2: 'judge' cannot be"),
            ("labels", setting("judge", "x" * 130, 2), "labels.jsonl, line 2: 'judge' is no name"),
            ("labels", setting("judge", None, 2), "labels.jsonl, lines 1 to 33: the database refuses it"),
        ],
    )
    def test_are_named_and_import_nothing(self, member: str, edit: Callable[[list[Row]], None], told: str) -> None:
        file = rich_bundle()
        broken = edited(file, member, edit)
        with pytest.raises(BundleError) as refused:
            unpacked(broken)
        assert told in str(refused.value)
        assert not Study.objects.exists()
        assert not Machine.objects.exists()
        assert not User.objects.exists()

    def test_may_lack_a_column_that_a_later_version_added(self) -> None:
        file = rich_bundle()
        older = edited(file, "study", lambda rows: rows[0].pop("cooldown_limit_c"))
        assert unpacked(older).cooldown_limit_c == 60.0
