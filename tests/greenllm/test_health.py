"""What is told of parts that are away, to monitors and on the pages of those who can do something about it."""

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings
from rq import Queue, Worker

from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.meters.ring import RingIdentity, RingWriter
from benchmarks.meters.ring_directory import default_directory, ring_path
from benchmarks.models import Study
from benchmarks.queueing import impatient_connection
from benchmarks.units import NANOSECONDS_PER_SECOND
from greenllm import health
from greenllm.health import HealthWatch, Needs, PartAway
from greenllm.roles import Role, grant_role
from tests import factories as make
from tests.environment import free_port

NOTHING = Needs()
ALL = ("postgres", "queue", "worker", "sampler", "chroma", "embedder", "inference")


class Unreachable(OSError):
    """Stands for whatever a part raises that is away."""


@pytest.fixture(autouse=True)
def own_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see what an earlier one found."""
    monkeypatch.setattr(health, "watch", HealthWatch(health.parts_health))


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[..., None]:
    """Replace the probes of all parts; those named are away."""
    settings.CHROMA_URL, settings.EMBEDDER_HOST = "http://chroma", "http://embedder"
    settings.OLLAMA_HOST = "http://inference"

    def setting(*away: str, needs: Needs = NOTHING, listening: tuple[str, ...] = ("default",)) -> None:
        def answer(name: str, value: object) -> object:
            if name in away:
                raise Unreachable
            return value

        monkeypatch.setattr(health, "_postgres", lambda: answer("postgres", needs))
        monkeypatch.setattr(health, "_queue", lambda: answer("queue", dict.fromkeys(listening, 1)))
        monkeypatch.setattr(health, "_sampler", lambda: answer("sampler", health.IDLE))
        monkeypatch.setattr(health, "_reach", lambda address: answer(address.removeprefix("http://"), None))

    return setting


class TestHealth:
    @pytest.mark.parametrize(
        ("away", "status", "said"),
        [
            pytest.param([], 200, "ok", id="all well"),
            pytest.param(["chroma"], 200, "degraded", id="no Chroma"),
            pytest.param(["embedder", "sampler", "inference"], 200, "degraded", id="no embedder, sampler, inference"),
            pytest.param(["postgres"], 503, "degraded", id="no Postgres"),
            pytest.param([name for name in ALL if name != "worker"], 503, "degraded", id="nothing"),
        ],
    )
    def test_tells_each_part(
        self, client: Client, parts: Callable[..., None], away: list[str], status: int, said: str
    ) -> None:
        parts(*away)
        response = client.get("/health")
        assert (response.status_code, response.json()["status"]) == (status, said)
        well = {name: "idle" if name == "sampler" else "ok" for name in ALL}
        told = {**well, **dict.fromkeys(away, "unreachable (Unreachable)")}
        told["worker"] = "unknown: the queue does not answer" if "queue" in away else "ok"
        assert response.json()["parts"] == told

    def test_answers_a_head_and_refuses_a_post(self, client: Client, parts: Callable[..., None]) -> None:
        parts()
        assert client.head("/health").status_code == 200
        assert client.post("/health").status_code == 405

    @pytest.mark.parametrize(
        ("listening", "told"),
        [
            ((), "none runs"),
            (("default",), "none runs on lab, where a study runs"),
            (("default", "measure-lab"), "ok"),
        ],
    )
    def test_wants_a_worker_where_a_study_runs(
        self, parts: Callable[..., None], listening: tuple[str, ...], told: str
    ) -> None:
        parts(needs=Needs(machines=("lab",)), listening=listening)
        assert health.parts_health()["worker"] == told

    def test_counts_the_servers_of_active_models(self, parts: Callable[..., None]) -> None:
        parts("second", needs=Needs(servers=("http://first", "http://second")))
        assert health.parts_health()["inference"] == "1 of 2 unreachable (Unreachable)"


@pytest.mark.django_db(transaction=True)
class TestProbes:
    def test_find_the_services_that_run_and_those_that_do_not(self, client: Client, settings: Settings) -> None:
        settings.CHROMA_URL = settings.OLLAMA_HOST = settings.EMBEDDER_HOST = f"http://127.0.0.1:{free_port()}"
        assert client.get("/health").json()["parts"] == {
            "postgres": "ok",
            "queue": "ok",
            "worker": "none runs",
            "sampler": "idle",
            **dict.fromkeys(("chroma", "embedder", "inference"), "unreachable (ConnectionRefusedError)"),
        }

    def test_know_what_is_needed(self) -> None:
        server = make.make_server(base_url="http://127.0.0.1:7")
        make.make_deployment(server=server, state="active")
        make.make_study(machine=server.machine, state=Study.State.RUNNING)
        assert health._postgres() == Needs(("http://127.0.0.1:7",), (server.machine.name,))

    @pytest.mark.parametrize(("pid", "is_counted"), [(os.getpid(), True), (2**22 + 1, False)], ids=["alive", "killed"])
    def test_count_no_worker_whose_process_is_gone(self, pid: int, is_counted: bool) -> None:
        with impatient_connection() as connection:
            worker = Worker([Queue("default", connection=connection)], connection=connection)
            worker.hostname, worker.pid = socket.gethostname(), pid
            worker.register_birth()
            try:
                assert bool(health._queue().get("default")) is is_counted
            finally:
                worker.register_death()


class TestHealthWatch:
    def test_looks_again_only_when_what_is_known_is_old(self) -> None:
        moment, looks = [0.0], [0]

        def look() -> dict[str, str]:
            looks[0] += 1
            return {"postgres": str(looks[0])}

        watch = HealthWatch(look, clock=lambda: moment[0])
        assert [watch.parts(fresh_s=5)["postgres"] for _ in range(3)] == ["1", "1", "1"]
        moment[0] = 6
        assert watch.parts(fresh_s=5)["postgres"] == "2"

    def test_lets_nobody_wait_for_a_part_that_hangs(self) -> None:
        moment, gate, looks = [0.0], threading.Event(), [0]

        def look() -> dict[str, str]:
            looks[0] += 1
            if looks[0] > 1:
                gate.wait(60)
            return {"postgres": str(looks[0])}

        watch = HealthWatch(look, clock=lambda: moment[0])
        watch.parts(fresh_s=5)
        moment[0] = 10
        assert [watch.parts(fresh_s=5, patience_s=0)["postgres"] for _ in range(3)] == ["1", "1", "1"]
        moment[0] = 100  # too old to be told
        assert watch.parts(fresh_s=5, patience_s=0) == {}
        gate.set()
        assert watch.parts(fresh_s=5)["postgres"] == "2"
        assert looks == [2]


@pytest.mark.django_db
class TestBanner:
    @pytest.mark.parametrize(("role", "is_told"), [(Role.ADMIN, True), (Role.RESEARCHER, False)])
    def test_tells_admins_what_is_away(
        self, client: Client, parts: Callable[..., None], settings: Settings, role: Role, is_told: bool
    ) -> None:
        settings.WATCHES_PARTS = True
        parts("queue")
        health.watch.parts(fresh_s=5)  # however slow the machine: the page has no patience
        user = make.make_user()
        grant_role(user=user, role=role)
        client.force_login(user)
        page = client.get("/account/").content.decode()
        assert ("Queue: unreachable (Unreachable)." in page) is is_told
        assert ("1 part is away: queue</summary>" in page) is is_told
        assert "No worker runs" not in page

    def test_folds_what_is_away_into_one_line(
        self, client: Client, parts: Callable[..., None], settings: Settings
    ) -> None:
        settings.WATCHES_PARTS = True
        parts("queue", "chroma")
        health.watch.parts(fresh_s=5)
        user = make.make_user()
        grant_role(user=user, role=Role.ADMIN)
        client.force_login(user)
        banner = client.get("/account/").content.decode().split('<aside class="away"')[1].split("</aside>")[0]
        assert "<details>" in banner
        summary = banner.split("<summary>")[1].split("</summary>")[0]
        assert summary.startswith("2 parts are away: ")
        assert sorted(summary.split(": ")[1].split(", ")) == ["chroma", "queue"]

    def test_is_not_there_while_all_is_well(
        self, client: Client, parts: Callable[..., None], settings: Settings
    ) -> None:
        settings.WATCHES_PARTS = True
        parts()
        health.watch.parts(fresh_s=5)
        user = make.make_user()
        grant_role(user=user, role=Role.ADMIN)
        client.force_login(user)
        assert 'class="away"' not in client.get("/account/").content.decode()


class TestSampler:
    @pytest.fixture
    def ring(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings) -> RingWriter:
        monkeypatch.setenv("GREENLLM_SHARED_MEMORY", str(tmp_path))
        assert health._sampler() == health.IDLE
        folder = default_directory(settings.MACHINE_NAME)
        folder.mkdir()
        channel = Channel("outlet-1", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW)
        return RingWriter(ring_path(folder, "outlet-1"), RingIdentity("mcp", channel, 30_000_000, 1, 0))

    def test_that_reads_is_well(self, ring: RingWriter) -> None:
        now_ns = time.monotonic_ns()
        ring.write_reading(Reading(now_ns, 30_000_000, 50_000), now_ns=now_ns + 60 * NANOSECONDS_PER_SECOND)
        assert health._sampler() == health.OK

    def test_that_was_killed_is_told(self, ring: RingWriter) -> None:
        at_ns = time.monotonic_ns() - 60 * NANOSECONDS_PER_SECOND
        ring.write_reading(Reading(at_ns, 30_000_000, 50_000), now_ns=at_ns)
        with pytest.raises(PartAway, match="silent for 6"):
            health._sampler()

    def test_whose_meter_is_pulled_out_is_told(self, ring: RingWriter) -> None:
        now_ns = time.monotonic_ns()
        ring.write_gap("gone", now_ns=now_ns)
        ring.beat(now_ns + 60 * NANOSECONDS_PER_SECOND)
        with pytest.raises(PartAway, match="no readings of outlet-1"):
            health._sampler()
