import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from greenllm.embedded import control
from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.catalog import UnknownServiceError, embedded_services
from greenllm.embedded.child import ServiceFailedError
from greenllm.embedded.locking import AlreadyRunningError, read_pid
from greenllm.embedded.postgres import PostgresError, remove_stale_pid_file
from greenllm.embedded.probes import PortInUseError
from greenllm.embedded.program import web_program, worker_program
from greenllm.embedded.service import Service, ServiceState
from greenllm.embedded.state import SupervisorRecord, read_state, write_state
from greenllm.embedded.supervisor import NotReadyError, ServiceEvent, Supervisor

pytestmark = pytest.mark.slow  # each test starts servers of its own

DATA_SERVICES = ("postgres", "valkey")


def connect(layout: EmbeddedLayout) -> psycopg.Connection:
    return psycopg.connect(host=str(layout.postgres_socket_dir), user="greenllm", dbname="greenllm", autocommit=True)


def eventually(is_true: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait for something that another process does."""
    give_up_at_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < give_up_at_s, "it did not happen in time"
        time.sleep(0.02)


def processes_of(layout: EmbeddedLayout) -> list[int]:
    """The living processes that name the folder in their command line or work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            names_it = str(layout.var_dir) in " ".join(process.cmdline())
            works_in_it = process.cwd().startswith(str(layout.var_dir))
        except psutil.Error:
            continue
        if (names_it or works_in_it) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


@pytest.fixture
def foreign_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        yield process
        process.kill()


def script(layout: EmbeddedLayout, code: str) -> Service:
    return worker_program(layout, [sys.executable, "-c", code])


class TestSupervisor:
    def test_serves_and_stops_without_a_trace(self, layout: EmbeddedLayout) -> None:
        events: list[ServiceEvent] = []

        with Supervisor(layout, embedded_services(layout, DATA_SERVICES), events.append):
            with connect(layout) as connection:
                assert connection.execute("SELECT current_database()").fetchone() == ("greenllm",)
            client = redis.Redis.from_url(layout.redis_url)
            assert client.set("key", "value")
            client.close()
            state = read_state(layout.state_path)
            assert state is not None
            assert state.pid == os.getpid()
            assert [service.state for service in state.services] == [ServiceState.READY] * 2

        assert processes_of(layout) == []
        ends = [event.service for event in events if event.state is ServiceState.STOPPED]
        assert ends == ["valkey", "postgres"]

    def test_a_second_one_is_refused(self, layout: EmbeddedLayout) -> None:
        with Supervisor(layout, []), pytest.raises(AlreadyRunningError, match=str(os.getpid())):
            Supervisor(layout, []).start()

        with Supervisor(layout, []):
            assert control.running(layout)

    def test_starts_a_crashed_service_again_with_its_data(self, layout: EmbeddedLayout) -> None:
        with Supervisor(layout, embedded_services(layout, DATA_SERVICES)) as supervisor:
            client = redis.Redis.from_url(layout.redis_url)
            client.set("key", "value")
            client.close()
            with connect(layout) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            for service in supervisor.statuses():
                assert service.pid is not None
                os.kill(service.pid, signal.SIGKILL)

            eventually(
                lambda: all(
                    service.restart_count == 1 and service.state is ServiceState.READY
                    for service in supervisor.statuses()
                )
            )

            client = redis.Redis.from_url(layout.redis_url)
            assert client.get("key") == b"value"
            client.close()
            with connect(layout) as connection:
                assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)

    def test_adds_programs_later(self, layout: EmbeddedLayout) -> None:
        with Supervisor(layout, []) as supervisor:
            supervisor.add(script(layout, "import time; time.sleep(600)"))
            supervisor.wait_ready("worker", 20.0)
            with pytest.raises(ValueError, match="already a service"):
                supervisor.add(script(layout, ""))

            (worker,) = supervisor.statuses()
            assert worker.state is ServiceState.READY
            assert worker.pid is not None
        eventually(lambda: not psutil.pid_exists(worker.pid or 0))

    def test_shows_the_log_of_a_program_that_ends_at_its_start(self, layout: EmbeddedLayout) -> None:
        with Supervisor(layout, []) as supervisor:
            supervisor.add(script(layout, "raise SystemExit('the settings are wrong')"))

            with pytest.raises(ServiceFailedError, match="the settings are wrong"):
                supervisor.wait_ready("worker", 20.0)

    def test_says_which_program_does_not_answer(self, layout: EmbeddedLayout) -> None:
        with Supervisor(layout, []) as supervisor:
            argv = [sys.executable, "-c", "import time; time.sleep(600)"]
            supervisor.add(web_program(layout, argv, port=layout.llm_port))

            with pytest.raises(NotReadyError, match=str(layout.llm_port)):
                supervisor.wait_ready("web", 0.3)

    def test_a_failed_start_leaves_nothing_running(self, layout: EmbeddedLayout) -> None:
        failing = script(layout, "raise SystemExit(3)")

        with pytest.raises(ServiceFailedError, match="exit code 3"):
            Supervisor(layout, [*embedded_services(layout, ["valkey"]), failing]).start()

        assert processes_of(layout) == []
        assert not control.running(layout)

    def test_survives_a_listener_that_raises(self, layout: EmbeddedLayout) -> None:
        def fail(event: ServiceEvent) -> None:
            if event.state is ServiceState.STARTING:
                raise RuntimeError("a bug in the listener")

        with Supervisor(layout, embedded_services(layout, ["valkey"]), fail) as supervisor:
            assert supervisor.statuses()[0].state is ServiceState.READY

    def test_writes_its_state_as_soon_as_a_full_disk_has_room(
        self, layout: EmbeddedLayout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        is_full = [True]

        def writing(path: Path, record: SupervisorRecord) -> None:
            if is_full[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            write_state(path, record)

        monkeypatch.setattr("greenllm.embedded.supervisor.write_state", writing)
        with Supervisor(layout, [script(layout, "import time; time.sleep(60)")]):
            assert read_state(layout.state_path) is None
            is_full[0] = False
            eventually(lambda: read_state(layout.state_path))
        assert len([one for one in caplog.messages if "cannot be written" in one]) == 1

    def test_a_port_in_use_stops_the_start(self, layout: EmbeddedLayout) -> None:
        with Supervisor(layout, []) as supervisor:
            argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(layout.llm_port)]
            supervisor.add(web_program(layout, argv, port=layout.llm_port))
            supervisor.wait_ready("web", 20.0)

            supervisor.add(web_program(layout, argv, port=layout.llm_port, name="second"))
            with pytest.raises(PortInUseError, match="GREENLLM_WEB_PORT"):
                supervisor.wait_ready("second", 20.0)


class TestDetached:
    def test_starts_answers_and_stops(self, layout: EmbeddedLayout) -> None:
        control.start_detached(layout, DATA_SERVICES)

        statuses = {status.name: status for status in control.status(layout)}
        assert [name for name, status in statuses.items() if status.is_up] == list(DATA_SERVICES)
        assert statuses["chroma"].record is None
        with pytest.raises(AlreadyRunningError):
            control.start_detached(layout, DATA_SERVICES)

        assert control.stop_detached(layout)
        assert not control.running(layout)
        assert not any(status.is_up for status in control.status(layout))
        eventually(lambda: processes_of(layout) == [])
        assert not control.stop_detached(layout)

    def test_reports_why_it_cannot_start(self, layout: EmbeddedLayout) -> None:
        with pytest.raises(control.ControlError, match="no service 'mysql'"):
            control.start_detached(layout, ["mysql"])

        assert not control.running(layout)

    def test_keeps_data_when_the_supervisor_is_killed(self, layout: EmbeddedLayout) -> None:
        control.start_detached(layout, DATA_SERVICES)
        client = redis.Redis.from_url(layout.redis_url)
        client.set("key", "value")
        client.close()
        with connect(layout) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        pid = read_pid(layout.lock_path)
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not control.running(layout))
        control.start_detached(layout, DATA_SERVICES)

        client = redis.Redis.from_url(layout.redis_url)
        assert client.get("key") == b"value"
        client.close()
        with connect(layout) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        log = (layout.log_dir / "postgres.log").read_text()
        assert "database system is shut down" in log
        assert "not properly shut down" not in log

    def test_all_children_end_with_a_killed_supervisor(self, layout: EmbeddedLayout) -> None:
        control.start_detached(layout, DATA_SERVICES)
        pid = read_pid(layout.lock_path)
        assert pid is not None
        assert len(processes_of(layout)) >= 3

        os.kill(pid, signal.SIGKILL)

        eventually(lambda: processes_of(layout) == [])

    def test_a_stale_pid_file_harms_neither_start_nor_foreign_process(
        self, layout: EmbeddedLayout, foreign_process: subprocess.Popen[bytes]
    ) -> None:
        control.start_detached(layout, ["postgres"])
        control.stop_detached(layout)
        stale = f"{foreign_process.pid}\n{layout.postgres_dir}\n1700000000\n5432\n{layout.socket_dir}\n\n"
        (layout.postgres_dir / "postmaster.pid").write_text(stale)

        control.start_detached(layout, ["postgres"])
        connect(layout).close()
        control.stop_detached(layout)

        assert foreign_process.poll() is None


class TestRemoveStalePidFile:
    def test_spares_a_postgres_that_was_started_by_hand(self, tmp_path: Path) -> None:
        with subprocess.Popen(["/bin/sleep", "600"], cwd=tmp_path) as owner:
            (tmp_path / "postmaster.pid").write_text(f"{owner.pid}\n")
            try:
                with pytest.raises(PostgresError, match=f"kill -INT {owner.pid}"):
                    remove_stale_pid_file(tmp_path)
            finally:
                owner.kill()

        assert (tmp_path / "postmaster.pid").exists()

    @pytest.mark.parametrize("text", ["", "not a number\n", f"{2**22 + 5}\n"])
    def test_removes_one_that_names_nobody(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "postmaster.pid").write_text(text)

        remove_stale_pid_file(tmp_path)
        remove_stale_pid_file(tmp_path)

        assert list(tmp_path.iterdir()) == []


def test_unknown_services_are_named(layout: EmbeddedLayout) -> None:
    with pytest.raises(UnknownServiceError, match="postgres, valkey, chroma, llm"):
        embedded_services(layout, ["mysql"])


@pytest.mark.slow
def test_chroma_keeps_its_data_over_a_kill(layout: EmbeddedLayout) -> None:
    import chromadb

    control.start_detached(layout, ["chroma"])
    client = chromadb.HttpClient(host="127.0.0.1", port=layout.chroma_port)
    collection = client.create_collection("prompts", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1.0, 0.0]])
    pid = read_pid(layout.lock_path)
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not control.running(layout))
    control.start_detached(layout, ["chroma"])

    again = chromadb.HttpClient(host="127.0.0.1", port=layout.chroma_port)
    assert again.get_collection("prompts", embedding_function=None).count() == 1
