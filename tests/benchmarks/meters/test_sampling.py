"""The sampler as a real process in shared memory; these tests need real time, a second or less each."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path

import psutil
import pytest

import benchmarks
from benchmarks.energy import integrate
from benchmarks.meters.base import Quality, Reading
from benchmarks.meters.configuration import MeterConfiguration, SamplerConfiguration
from benchmarks.meters.ring_directory import ring_path
from benchmarks.meters.sampling import ReadingsMissing, SamplerBusy, SamplerGone, SamplerProcess
from benchmarks.traces import pack

pytestmark = pytest.mark.slow

PERIOD_MS = 20
PERIOD_NS = PERIOD_MS * 1_000_000
ROOT = Path(benchmarks.__file__).parent.parent
COME_FIRST = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
SAMPLER = (sys.executable, "-m", "benchmarks.meters.sampler")
ESTIMATE = MeterConfiguration("estimate", {"tdp_w": 95, "idle_power_w": 30})

Starter = Callable[..., SamplerProcess]
_numbers = count()


def replay(*steps: tuple[float, float], **options: object) -> MeterConfiguration:
    return MeterConfiguration("replay", {"steps": steps, **options})


def until(condition: Callable[[], bool], *, seconds: float = 5.0) -> bool:
    """Wait for something that another process does."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.005)
    return True


def wait(seconds: float) -> tuple[int, int]:
    """Return the moments before and after a wait."""
    start_ns = time.monotonic_ns()
    time.sleep(seconds)
    return start_ns, time.monotonic_ns()


def read_on_time(
    sampler: SamplerProcess, window: Callable[[], tuple[int, int]], *, period_ns: int
) -> tuple[list[Reading], int, int]:
    """Return the readings of the first window, of at most 20, in which a busy machine let the sampler read in time."""
    for _ in range(20):
        start_ns, stop_ns = window()
        with suppress(ReadingsMissing):
            readings = sampler.readings("machine", start_ns, stop_ns)
            if max(later.at_ns - earlier.at_ns for earlier, later in pairwise(readings)) <= 2 * period_ns:
                return list(readings), start_ns, stop_ns
    pytest.fail(f"in 20 windows the sampler never read every {period_ns / 1e6:g} ms")


def run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start samplers that are stopped at the end of the test."""
    started: list[SamplerProcess] = []

    def start_sampler(
        *meters: MeterConfiguration,
        period_ms: int = PERIOD_MS,
        name: str | None = None,
        directory: str | None = None,
    ) -> SamplerProcess:
        name = name or f"test-{os.getpid()}-{next(_numbers)}"
        sampler = SamplerProcess(SamplerConfiguration(meters, period_ms, name, directory))
        started.append(sampler)
        sampler.start()
        return sampler

    yield start_sampler
    for sampler in started:
        sampler.stop()


class TestReadings:
    def test_come_at_each_period_and_reach_over_both_edges(self, start: Starter) -> None:
        sampler = start(ESTIMATE)

        readings, _, stop_ns = read_on_time(sampler, lambda: wait(0.5), period_ns=PERIOD_NS)

        assert readings[-2].at_ns < stop_ns <= readings[-1].at_ns
        assert 15 <= len(readings) <= 28
        assert all(later.begins_at_ns == earlier.at_ns for earlier, later in pairwise(readings))
        assert all(30_000 <= reading.value <= 95_000 for reading in readings)

    def test_of_a_replayed_course_have_its_energy(self, start: Starter) -> None:
        """Over whole rounds of 0.2 s the course uses 0.1 s * 20 W + 0.1 s * 80 W = 10 J, so 50 W on average."""
        begins_at_ns = time.monotonic_ns()
        sampler = start(replay((0.1, 20), (0.1, 80), begins_at_ns=begins_at_ns), period_ms=10)

        def rounds() -> tuple[int, int]:
            now_ns, round_ns = time.monotonic_ns(), 200_000_000
            start_ns = now_ns + round_ns - (now_ns - begins_at_ns) % round_ns
            stop_ns = start_ns + 5 * round_ns
            time.sleep((stop_ns - now_ns) / 1e9)
            return start_ns, stop_ns

        result = integrate(*read_on_time(sampler, rounds, period_ns=10_000_000), 10_000_000)

        assert result.energy_j == pytest.approx(50.0, rel=0.01)

    def test_of_two_meters_are_apart(self, start: Starter) -> None:
        sampler = start(ESTIMATE, MeterConfiguration("replay", {"steps": [[1, 500]], "channel": "plug"}, 30))

        start_ns, stop_ns = wait(0.2)

        assert {reading.value for reading in sampler.readings("plug", start_ns, stop_ns)} == {500_000}
        assert max(reading.value for reading in sampler.readings("machine", start_ns, stop_ns)) <= 95_000
        assert [
            (sampled.meter, sampled.channel.name, sampled.channel.quality, sampled.period_ns)
            for sampled in sampler.channels()
        ] == [
            ("estimate", "machine", Quality.ESTIMATED, PERIOD_NS),
            ("replay", "plug", Quality.SIMULATED, 30_000_000),
        ]

    def test_of_a_gpu_that_renews_slowly_have_its_energy_and_can_be_kept(self, start: Starter) -> None:
        sampler = start(
            MeterConfiguration("simulated_nvml", {"steps": [[1, 150]], "is_shared": True}),
            MeterConfiguration("simulated_nvml", {"steps": [[1, 90]], "uuid": "old", "has_counter": False}),
            period_ms=99,
        )
        wait(0.3)

        start_ns, stop_ns = wait(1.0)

        for sampled, power_w in zip(sampler.channels(), (150, 90), strict=True):
            channel = sampled.channel
            readings = sampler.readings(channel.name, start_ns, stop_ns)
            trace = pack(readings, sampled.period_ns, channel.window_ns, channel.quantity)
            result = integrate(readings, start_ns, stop_ns, sampled.period_ns, quantity=channel.quantity)
            assert sampled.period_ns == 11_000_000
            assert channel.is_shared is (power_w == 150)
            assert trace.sample_count == len(readings)
            if result.energy_j is None:  # a machine that is too busy to read, which must be told
                assert result.gap_count > 0
                assert result.reason
            else:
                assert result.mean_power_mw == pytest.approx(power_w * 1000, rel=0.1)

    def test_of_a_meter_that_fails_are_missing_and_never_zero(self, start: Starter) -> None:
        sampler = start(replay((0.15, 40), is_repeated=False))

        start_ns, stop_ns = wait(0.4)

        assert sampler.is_alive()  # it goes on trying
        with pytest.raises(ReadingsMissing, match=r"reads failed, the latest one with: the recording lasts 0.15 s"):
            sampler.readings("machine", start_ns, stop_ns)
        early = sampler.readings("machine", start_ns, start_ns + PERIOD_NS)
        assert {reading.value for reading in early} == {40_000}

    def test_are_missing_for_a_time_before_the_sampler(self, start: Starter) -> None:
        before_ns = time.monotonic_ns()
        sampler = start(ESTIMATE)

        with pytest.raises(ReadingsMissing, match="after the measurement had begun"):
            sampler.readings("machine", before_ns, time.monotonic_ns())

    def test_are_missing_when_the_ring_vanished(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        ring_path(sampler.directory, "machine").unlink()

        with pytest.raises(ReadingsMissing, match="the ring of machine is not in"):
            sampler.readings("machine", *wait(0.05))
        assert not sampler.is_alive()

    def test_are_waited_for_only_a_few_periods(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        called_at_ns = time.monotonic_ns()

        with pytest.raises(ReadingsMissing, match="in time"):
            sampler.readings("machine", called_at_ns, called_at_ns + 10**12)

        assert time.monotonic_ns() - called_at_ns < 300 * PERIOD_NS

    def test_of_no_time_are_refused(self, start: Starter) -> None:
        with pytest.raises(ValueError, match="empty"):
            start(ESTIMATE).readings("machine", 5, 5)

    def test_can_be_asked_for_by_a_forked_process(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        start_ns, stop_ns = wait(0.1)

        child_pid = os.fork()
        if child_pid == 0:
            status = 1
            try:
                status = 0 if sampler.is_alive() and sampler.readings("machine", start_ns, stop_ns) else 2
            finally:
                os._exit(status)

        assert os.waitstatus_to_exitcode(os.waitpid(child_pid, 0)[1]) == 0
        assert sampler.is_alive()


@pytest.mark.slow
class TestDeath:
    def test_by_kill_is_noticed(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        start_ns = time.monotonic_ns()
        assert sampler.pid is not None

        os.kill(sampler.pid, signal.SIGKILL)

        assert until(lambda: not sampler.is_alive())
        with pytest.raises(SamplerGone, match="ended before"):
            sampler.readings("machine", start_ns, time.monotonic_ns())

    def test_is_overcome_by_a_restart(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        killed_pid = sampler.pid
        assert killed_pid is not None
        os.kill(killed_pid, signal.SIGKILL)

        sampler.restart()

        assert sampler.is_alive()
        assert sampler.pid != killed_pid
        assert sampler.readings("machine", *wait(0.1))

    def test_after_the_stop_leaves_the_readings_that_were_made(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        start_ns, stop_ns = wait(0.1)
        before = sampler.readings("machine", start_ns, stop_ns)
        assert sampler.pid is not None

        os.kill(sampler.pid, signal.SIGKILL)

        assert until(lambda: not sampler.is_alive())
        assert sampler.readings("machine", start_ns, stop_ns) == before

    def test_of_the_worker_ends_the_sampler(self, tmp_path: Path) -> None:
        directory = tmp_path / "rings"
        program = (
            "import sys, time\n"
            "from benchmarks.meters.configuration import *\n"
            "from benchmarks.meters.sampling import SamplerProcess\n"
            "sampler = SamplerProcess(SamplerConfiguration.from_json(sys.argv[1]))\n"
            "sampler.start()\n"
            "print(sampler.pid, flush=True)\n"
            "time.sleep(60)\n"
        )
        configuration = SamplerConfiguration((ESTIMATE,), directory=str(directory)).to_json()
        with subprocess.Popen(
            [sys.executable, "-c", program, configuration], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            sampler_pid = int(worker.stdout.readline())
            assert psutil.pid_exists(sampler_pid)

            worker.kill()

        assert until(lambda: not psutil.pid_exists(sampler_pid) and not directory.exists())

    def test_while_its_process_lives_is_noticed(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        assert sampler.pid is not None

        os.kill(sampler.pid, signal.SIGSTOP)

        assert until(lambda: not sampler.is_alive())
        os.kill(sampler.pid, signal.SIGCONT)
        assert until(sampler.is_alive)


@pytest.mark.slow
class TestStartAndStop:
    def test_leaves_nothing_behind(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        pid = sampler.pid
        assert sampler.directory.parent == Path(os.environ["GREENLLM_SHARED_MEMORY"])
        assert sampler.directory.stat().st_mode & 0o777 == 0o700

        sampler.stop()

        assert not sampler.directory.exists()
        assert pid is not None
        assert not psutil.pid_exists(pid)
        assert not sampler.is_alive()

    def test_keeps_to_one_of_the_cores_that_are_allowed(self, start: Starter) -> None:
        sampler = start(ESTIMATE)

        assert sampler.pid is not None
        assert os.sched_getaffinity(sampler.pid) == {max(os.sched_getaffinity(0))}

    def test_is_run_before_ordinary_processes_where_that_is_allowed(self, start: Starter) -> None:
        sampler = start(ESTIMATE)

        assert sampler.pid is not None
        is_real_time = os.sched_getscheduler(sampler.pid) == os.SCHED_RR
        assert is_real_time == (
            subprocess.run((sys.executable, "-c", COME_FIRST), check=False, stderr=subprocess.DEVNULL).returncode == 0
        )

    def test_start_twice_keeps_the_sampler(self, start: Starter) -> None:
        sampler = start(ESTIMATE)
        pid = sampler.pid

        sampler.start()

        assert sampler.pid == pid

    def test_stop_twice_does_no_harm(self, start: Starter) -> None:
        sampler = start(ESTIMATE)

        sampler.stop()
        sampler.stop()

        assert sampler.pid is None

    def test_start_takes_over_the_directory_of_a_killed_sampler(self, start: Starter) -> None:
        name = f"test-{os.getpid()}-killed"
        killed = start(ESTIMATE, name=name)
        assert killed.pid is not None
        os.kill(killed.pid, signal.SIGKILL)
        assert until(lambda: not killed.is_alive())
        assert ring_path(killed.directory, "machine").exists()

        successor = start(MeterConfiguration("replay", {"steps": [[1, 7]], "channel": "plug"}), name=name)

        assert [sampled.channel.name for sampled in successor.channels()] == ["plug"]

    def test_start_is_refused_while_another_sampler_has_the_directory(self, start: Starter) -> None:
        name = f"test-{os.getpid()}-busy"
        first = start(ESTIMATE, name=name)

        with pytest.raises(SamplerBusy, match=f"in use by the sampler with process number {first.pid}"):
            start(ESTIMATE, name=name)

        assert first.is_alive()

    @pytest.mark.parametrize(
        ("meters", "message"),
        [
            ((MeterConfiguration("wattmeter"),), "no meter is of kind 'wattmeter'"),
            ((ESTIMATE, ESTIMATE), "several meters have a channel machine"),
        ],
    )
    def test_start_says_what_is_wrong(
        self, start: Starter, meters: tuple[MeterConfiguration, ...], message: str
    ) -> None:
        with pytest.raises(SamplerGone, match=message):
            start(*meters)

    def test_start_names_the_remedy_for_a_directory_that_cannot_be(self, start: Starter, tmp_path: Path) -> None:
        with pytest.raises(SamplerGone, match="able to make directories there"):
            start(ESTIMATE, directory=str(tmp_path / "missing" / "rings"))

    def test_nothing_is_known_of_a_sampler_that_was_never_started(self) -> None:
        sampler = SamplerProcess(SamplerConfiguration((ESTIMATE,), name="test-never"))

        assert not sampler.is_alive()
        with pytest.raises(SamplerGone):
            sampler.channels()
        with pytest.raises(SamplerGone, match="no sampler runs that reads machine"):
            sampler.readings("machine", 1, 2)


class TestSamplerProgram:
    def test_takes_its_configuration_as_an_argument_and_stops_on_sigterm(self, tmp_path: Path) -> None:
        configuration = SamplerConfiguration((ESTIMATE,), directory=str(tmp_path / "rings")).to_json()
        with subprocess.Popen([*SAMPLER, configuration], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            announced = json.loads(process.stdout.readline())

            process.terminate()

            assert process.wait(5) == 0
        assert announced == {"error": "", "remedy": "", "is_busy": False, "facts": {"machine": {}}}
        assert not (tmp_path / "rings").exists()

    def test_ends_with_an_error_when_it_cannot_start(self) -> None:
        done = run(*SAMPLER, text="{")

        assert done.returncode == 1
        assert "not a sampler's configuration" in json.loads(done.stdout)["error"]

    def test_ends_when_its_parent_is_already_gone(self) -> None:
        configuration = SamplerConfiguration((ESTIMATE,), name="test-orphan", parent_pid=1).to_json()

        done = run(*SAMPLER, configuration)

        assert done.returncode == 1
        assert "process 1 is not the sampler's parent" in json.loads(done.stdout)["error"]

    def test_needs_neither_django_nor_numpy(self) -> None:
        program = (
            "import json, sys\n"
            "import benchmarks.meters.sampler, benchmarks.meters.estimate, benchmarks.meters.replay\n"
            "print(json.dumps(sorted(sys.modules)))\n"
        )

        done = run(sys.executable, "-c", program)

        modules = set(json.loads(done.stdout))
        assert "benchmarks.meters.sampler" in modules
        assert not {"django", "numpy"} & modules

    def test_stays_below_40_mb(self, start: Starter) -> None:
        sampler = start(ESTIMATE)

        wait(0.1)

        assert psutil.Process(sampler.pid).memory_info().rss < 40_000_000
