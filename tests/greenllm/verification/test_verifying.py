"""Each check holds for an installation that is sound, and names what SQL has broken in it."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from benchmarks.energy import integrate
from benchmarks.meters.base import Reading
from benchmarks.models import ChannelReading, EnergyTrace, Measurement, Response
from benchmarks.queueing import enqueue_study, queue_of
from benchmarks.scoring import apply_score, basis_of
from benchmarks.traces import pack
from greenllm.rollups import fold_rollups
from greenllm.verification import judgements
from greenllm.verification.tally import Tally
from greenllm.verification.verifying import verify
from labeling.models import Label
from labeling.verdicts import Decision, verdicts_of
from router.index import VectorStore
from router.models import ApiKey, IndexedPrompt, KeyDay, KeyHour, PromptIndex, RoutingDecision
from tests import factories as make

pytestmark = pytest.mark.django_db

Asking = Callable[[], dict[str, str]]
PERIOD_NS = 100_000_000
START_NS, STOP_NS = 10**12, 10**12 + 20 * PERIOD_NS


def sql(statement: str, *arguments: object) -> None:
    """Run a statement as somebody would who does not know GreenLLM's rules."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement, arguments)


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    """A store without a Chroma."""
    return VectorStore(chroma_url="http://127.0.0.1:1", cache_dir=tmp_path, exact_limit=10)


@pytest.fixture
def answer(store: VectorStore) -> Response:
    """A sound installation: a measured answer with its samples and labels, a decision, a budget."""
    response = make.make_response(make.make_prompt(), make.make_deployment(), energy_j=None)
    response.measurement = measured()
    response.save()
    make.make_label(response)
    key = ApiKey.objects.create(owner=make.make_user(), name="key", prefix="p", digest="d", soft_gco2e_per_day=1.0)
    request = make.make_gateway_request(api_key=key)
    make.make_decision(
        request=request,
        chosen=response.deployment,
        candidates=[
            {"deployment_id": response.deployment_id, "is_chosen": True, "p": 0.5, "sci_gco2e": 0.1},
            {"deployment_id": make.make_deployment("large").pk, "is_chosen": False, "p": None, "sci_gco2e": None},
        ],
    )  # fmt: skip
    KeyDay.objects.create(api_key=key, day=make.NOW.date(), spent_gco2e=0.2, request_count=1)
    hour = make.NOW.replace(minute=0, second=0)
    KeyHour.objects.create(api_key=key, began_at=hour, spent_gco2e=0.2, request_count=1)
    fold_rollups()
    return response


def measured() -> Measurement:
    """Make a measurement whose reading is what its trace makes."""
    readings = [
        Reading(START_NS + (n + 1) * PERIOD_NS - 30_000_123, PERIOD_NS, 9000 + 37 * (n % 5)) for n in range(-1, 22)
    ]
    made = integrate(readings, START_NS, STOP_NS, PERIOD_NS)
    machine = make.make_machine()
    measurement = Measurement(
        purpose="response", machine=machine, quality="measured", energy_j=made.energy_j, time_reserved_s=2.0,
        started_monotonic_ns=START_NS, finished_monotonic_ns=STOP_NS,
    )  # fmt: skip
    apply_score(measurement, basis_of(machine, 385.0))
    measurement.save()
    ChannelReading.objects.create(
        measurement=measurement, channel="machine", meter="mcp", is_in_boundary=True, energy_j=made.energy_j,
        mean_power_mw=made.mean_power_mw, sample_count=made.sample_count, coverage=made.coverage, quality="measured",
    )  # fmt: skip
    EnergyTrace.of(pack(readings, PERIOD_NS, PERIOD_NS), measurement=measurement, channel="machine").save()
    return measurement


@pytest.fixture
def broken(store: VectorStore) -> Asking:
    """Ask what is broken, by the name of the check."""
    return lambda: {one.name: " / ".join(one.tally.told) for one in verify(store=store) if one.tally.broken_count}


@pytest.mark.slow
@pytest.mark.usefixtures("answer")
class TestASoundInstallation:
    def test_has_nothing_broken(self, store: VectorStore) -> None:
        findings = list(verify(store=store))
        assert [one.tally.told for one in findings if one.tally.broken_count] == []
        looked_at = {one.name: one.tally.looked_at_count for one in findings}
        assert looked_at["traces"] == looked_at["decisions"] == looked_at["labels"] == 1
        assert looked_at["budgets"] == 2
        assert looked_at["verdicts"] == 1

    def test_is_told_in_one_line_a_check(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("verify")
        told = capsys.readouterr().out.splitlines()
        assert told[1] == "traces: 1 looked at, fine"
        assert told[-1] == "Everything holds."
        assert len(told) == 14


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_votes_meanwhile_look_like_no_broken_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    label = make.make_label(make.make_response(make.make_prompt(), make.make_deployment()))

    def vote_first(response_ids: Iterable[int]) -> dict[int, Decision]:
        """Have somebody vote between the two readings, on a connection of their own."""
        voting = Thread(target=vote)
        voting.start()
        voting.join()
        return verdicts_of(response_ids)

    def vote() -> None:
        Label.objects.filter(pk=label.pk).update(verdict="incorrect")
        connection.close()

    monkeypatch.setattr(judgements, "verdicts_of", vote_first)
    assert judgements.check_verdicts() == Tally(looked_at_count=1)
    monkeypatch.undo()
    assert Label.objects.get().verdict == "incorrect"
    assert judgements.check_verdicts() == Tally(looked_at_count=1)


BREAKS = [
    ("traces", "UPDATE benchmarks_energytrace SET packed_samples = '\\x80'", "cannot be unpacked: the last number"),
    ("traces", "UPDATE benchmarks_energytrace SET sample_count = sample_count - 3", "energy of 16.5958 J, .* 18.155 J"),
    ("traces", "UPDATE benchmarks_channelreading SET sample_count = 200", "makes 19 samples between the marks"),
    ("traces", "UPDATE benchmarks_channelreading SET energy_j = energy_j * 1.01", "its reading says 18"),
    ("traces", "UPDATE benchmarks_channelreading SET channel = 'gpu-1'", "it has no reading"),
    ("energies", "DELETE FROM benchmarks_energytrace", "channel machine of measurement .* has an energy and no trace"),
    ("energies", "UPDATE benchmarks_channelreading SET is_in_boundary = false", "no channel that makes it up"),
    ("missing", "UPDATE benchmarks_channelreading SET sample_count = 0", "with an energy of .* of 0 samples"),
    ("missing", "UPDATE router_routingdecision SET predicted_sci_gco2e = 0, predicted_quality = 'missing'",
     "expects 0 gCO2e of a quality that is missing"),
    ("scores", "UPDATE benchmarks_measurement SET sci_gco2e = sci_gco2e * 2", "has an SCI of .* its inputs make"),
    ("scores", "UPDATE benchmarks_measurement SET carbon_intensity_gco2e_per_kwh = 1", "has an SCI of"),
    ("verdicts", "UPDATE labeling_answerfact SET verdict = 'incorrect'", "counts as incorrect .* say correct"),
    ("verdicts", "UPDATE labeling_answerfact SET verdict = '', verdict_source = ''", r"counts as unjudged \(nobody\)"),
    ("rollups", "UPDATE labeling_answertally_ledger SET answer_count = answer_count + 1",
     r"labeling_answertally: \d wrong"),
    ("rollups", "UPDATE router_requesthour_ledger SET request_count = request_count + 1",
     r"router_requesthour: \d wrong"),
    ("decisions", "UPDATE router_routingdecision SET candidates = jsonb_set(candidates, '{0,is_chosen}', 'false') || "
     "jsonb_build_array(jsonb_set(candidates -> 1, '{is_chosen}', 'true'))", "is not the chosen model"),
    ("decisions", "UPDATE router_routingdecision SET candidates = candidates - 0", "is none of its candidates"),
    ("decisions", "UPDATE router_routingdecision SET candidates = jsonb_set(candidates, '{1,is_chosen}', 'true')",
     "several candidates are marked as chosen"),
    ("decisions", "UPDATE router_routingdecision SET candidates = jsonb_set(candidates, '{1,deployment_id}', '-7')",
     "is no model of the federation"),
    ("decisions", "UPDATE router_routingdecision SET candidates = jsonb_set(candidates, '{0,p}', '1.5')",
     "a probability beyond 0 to 1"),
    ("budgets", "UPDATE router_keyday SET request_count = 5", "5 requests are booked and 1 were made"),
    ("budgets", "UPDATE router_keyhour SET began_at = began_at + interval '1 day'", "1 requests are booked and 0"),
    ("budgets", "UPDATE router_keyday SET spent_gco2e = 'NaN'", "for NaN gCO2e"),
]  # fmt: skip


@pytest.mark.usefixtures("answer")
class TestABrokenInstallation:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "statement", "told"), BREAKS, ids=[f"{one[0]}-{n}" for n, one in enumerate(BREAKS)]
    )
    def test_is_named(self, name: str, statement: str, told: str, broken: Asking) -> None:
        sql(statement.replace("%", "%%"))
        found = broken()
        assert re.search(told, found[name]), found

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("assignment", "told"),
        [
            ("energy_j = 0", "is measured with an energy of 0 J"),
            ("quality = 'missing'", "is missing with an energy of"),
        ],
    )
    def test_has_a_zero_for_what_is_missing(self, assignment: str, told: str, broken: Asking) -> None:
        sql("ALTER TABLE benchmarks_measurement DROP CONSTRAINT measurement_missing_has_no_energy")
        sql("ALTER TABLE benchmarks_measurement DROP CONSTRAINT measurement_energy_positive")
        sql(f"UPDATE benchmarks_measurement SET {assignment}")
        assert told in broken()["missing"]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("table", "column", "told"),
        [
            ("labeling_label", "verdict", "label .*: verdict is 'lost', none of correct, incorrect, unsure"),
            ("benchmarks_response", "state", "response .*: state is 'lost', none of pending, running, finished"),
            ("router_routingdecision", "reason", "routing decision .*: reason is 'lost', none of cheapest_correct"),
        ],
    )
    def test_has_a_value_that_no_page_knows(self, table: str, column: str, told: str, broken: Asking) -> None:
        name = f"{table.partition('_')[2].replace('routingd', 'routing_d')}_{column}_known"
        sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        sql(f"UPDATE {table} SET {column} = 'lost'")
        assert re.search(told, broken()["values"])

    @pytest.mark.slow
    def test_has_a_constraint_that_holds_for_new_rows_only(self, broken: Asking) -> None:
        sql("ALTER TABLE labeling_label ADD CONSTRAINT label_short CHECK (length(comment) < 9) NOT VALID")
        assert "constraint label_short of labeling_label holds for new rows only" in broken()["values"]

    @pytest.mark.slow
    def test_has_a_label_that_counts_though_it_was_replaced(self, answer: Response, broken: Asking) -> None:
        older = Label.objects.get()
        make.make_label(answer, "incorrect", labeler=make.make_user(), supersedes=older)
        assert "has replaced it" in broken()["labels"]

    @pytest.mark.slow
    def test_has_a_judge_who_counts_twice(self, broken: Asking) -> None:
        sql("DROP INDEX label_one_current_per_judge")
        older = Label.objects.get()
        make.make_label(older.response, "incorrect", labeler=older.labeler)
        assert "has 2 current labels of one person" in broken()["labels"]

    @pytest.mark.slow
    def test_has_an_answer_leased_twice(self, answer: Response, broken: Asking) -> None:
        for name in ("lease_slot_once", "lease_once_per_person"):
            sql(f"ALTER TABLE labeling_lease DROP CONSTRAINT {name}")
        for _ in range(2):
            sql(
                "INSERT INTO labeling_lease (response_id, kind, slot, annotator_id, claimed_at, expires_at) "
                "SELECT %s, 'judgement', 1, min(id), now(), now() + interval '1 hour' FROM greenllm_user",
                answer.pk,
            )
        found = broken()["leases"]
        assert f"slot 1 (judgement) of response {answer.pk} is leased 2 times" in found
        assert f"response {answer.pk} is leased 2 times to person" in found

    @pytest.mark.slow
    def test_is_told_with_exit_code_1(self, capsys: pytest.CaptureFixture[str]) -> None:
        sql("DELETE FROM benchmarks_energytrace")
        with pytest.raises(CommandError, match="Broken: energies.") as raised:
            call_command("verify")
        assert raised.value.returncode == 1
        assert "energies: 2 looked at, 1 broken" in capsys.readouterr().out

    @pytest.mark.slow
    def test_tells_ten_of_many(self, capsys: pytest.CaptureFixture[str]) -> None:
        decision = RoutingDecision.objects.get()
        for _ in range(14):
            make.make_decision(chosen=decision.chosen, candidates=[{"deployment_id": -7, "is_chosen": False}])
        with pytest.raises(CommandError, match="Broken: decisions."):
            call_command("verify")
        assert "  and 18 more" in capsys.readouterr().out  # each names a model that is none, and lacks its own


class TestTheIndex:
    @pytest.mark.slow
    def test_cannot_be_looked_at_without_chroma(self, broken: Asking) -> None:
        prompt = make.make_prompt()
        index = PromptIndex.objects.create(
            state="current", embedder=make.make_deployment("embedder").language_model, dimension=8, prompt_count=2
        )
        IndexedPrompt.objects.create(index=index, prompt=prompt)
        found = broken()["index"]
        assert "has 1 rows of prompts" in found
        assert "cannot be looked at: Chroma at http://127.0.0.1:1" in found


@pytest.mark.slow
class TestJobs:
    @pytest.fixture(autouse=True)
    def study(self) -> Iterator[None]:
        machine = make.make_machine("verified")
        self.study = make.make_pending_study("http://127.0.0.1:9", "one", "two", machine=machine)
        yield
        queue_of(machine).empty()

    def test_are_missing_where_the_queue_was_emptied(self, broken: Asking) -> None:
        assert f"2 responses of study {self.study} wait and have no job" in broken()["jobs"]
        enqueue_study(study=self.study)
        assert broken() == {}

    def test_are_for_responses_that_there_are(self, broken: Asking) -> None:
        enqueue_study(study=self.study)
        pk = self.study.responses.order_by("pk")[0].pk
        self.study.responses.filter(pk=pk).delete()
        assert f"is for response {pk}, which there is not" in broken()["jobs"]

    def test_cannot_be_looked_at_without_a_queue(self, broken: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("django.conf.settings.REDIS_URL", "redis://127.0.0.1:1/0")
        assert "the queue of verified cannot be looked at" in broken()["jobs"]
