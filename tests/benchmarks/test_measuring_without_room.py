"""Studies whose sampler has no room, or loses it: the real sampler on a real small tmpfs, real time."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from shutil import rmtree

import pytest

from benchmarks.federating import Timeouts, connect
from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.measuring import Lab, Outcome, measure_response
from benchmarks.meters.configuration import MeterConfiguration
from benchmarks.models import Measurement, Response, Study
from benchmarks.recording import SamplerRecorder
from tests.factories import NOW, make_pending_study

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

QUESTION = "One?"
ROOM = "16m"  # for an hour of samples

Act = Callable[[], object]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_until_the_end:
        yield open_until_the_end


@pytest.fixture
def memory(tmp_path: Path, stack: ExitStack) -> Path:
    """A tmpfs of 64 kB, where this user may mount one."""
    place = tmp_path / "memory"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    stack.callback(subprocess.run, ["umount", "-l", str(place)], capture_output=True, check=False)
    return place


def enlarge(memory: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={ROOM}", str(memory)], check=True)


def lab_at(stack: ExitStack, memory: Path) -> Lab:
    meter = MeterConfiguration("replay", {"steps": [[1, 42]]})
    recorder = SamplerRecorder(name="without-room", meters=[meter], directory=memory / "rings")
    stack.callback(recorder.stop)
    timeouts = Timeouts(5, 5, 5)
    return Lab(recorder, lambda response: connect(server=response.deployment.server, timeouts=timeouts), lambda: NOW)


def study_at(stack: ExitStack, during_first_answer: Act = lambda: None) -> Study:
    """Make a study of one prompt; something happens while it is answered for the first time."""
    acts = [during_first_answer]

    def answer(_model: str, _prompt: str) -> ScriptedAnswer:
        if acts:
            acts.pop()()
        return ScriptedAnswer("word " * 4, seconds_per_token=0.1)

    server = stack.enter_context(ScriptedOllama([ScriptedModel("tiny")], answers=answer))
    return make_pending_study(server.base_url, QUESTION, sampling_period_ms=200)


def measure(study: Study, lab: Lab) -> tuple[Outcome, Response]:
    outcome = measure_response(response_id=study.responses.get().pk, lab=lab)
    return outcome, study.responses.get()


def outcomes(response: Response) -> list[str]:
    return list(response.attempts.order_by("number").values_list("outcome", flat=True))


class TestATmpfs:
    def test_that_is_full_fails_the_attempt_with_the_remedy_which_helps(self, memory: Path, stack: ExitStack) -> None:
        lab, study = lab_at(stack, memory), study_at(stack)

        outcome, response = measure(study, lab)

        assert (outcome, response.state) == (Outcome.RETRY, "pending")
        assert "No space left on device" in response.error
        assert "make that tmpfs larger (mount -o remount,size=64M" in response.error
        assert list((memory / "rings").glob("*")) == []  # nothing half made takes the room that there is

        enlarge(memory)
        outcome, response = measure(study, lab)
        assert (outcome, outcomes(response)) == (Outcome.FINISHED, ["failed", "finished"])
        assert Measurement.objects.get().energy_j is not None

    def test_that_fills_up_later_does_no_harm(self, memory: Path, stack: ExitStack) -> None:
        def fill() -> None:
            with (memory / "other").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                all(file.write(bytes(4096)) for _ in count())

        enlarge(memory)
        outcome, response = measure(study_at(stack, fill), lab_at(stack, memory))

        assert (outcome, outcomes(response)) == (Outcome.FINISHED, ["finished"])
        assert Measurement.objects.get().energy_j is not None

    def test_that_is_unmounted_fails_the_attempt_and_the_next_one_makes_its_rings_anew(
        self, memory: Path, stack: ExitStack
    ) -> None:
        enlarge(memory)
        study = study_at(stack, lambda: subprocess.run(["umount", "-l", str(memory)], check=True))

        self.check_is_measured_at_the_second_attempt(study, lab_at(stack, memory))

    def test_whose_directory_is_removed_fails_the_attempt_and_the_next_one_makes_it_anew(
        self, tmp_path: Path, stack: ExitStack
    ) -> None:
        study = study_at(stack, lambda: rmtree(tmp_path / "rings"))

        self.check_is_measured_at_the_second_attempt(study, lab_at(stack, tmp_path))

    def check_is_measured_at_the_second_attempt(self, study: Study, lab: Lab) -> None:
        outcome, response = measure(study, lab)
        assert (outcome, response.state) == (Outcome.RETRY, "pending")
        assert "somebody removed it or unmounted its memory; it is made anew" in response.error

        outcome, response = measure(study, lab)
        assert (outcome, outcomes(response)) == (Outcome.FINISHED, ["failed", "finished"])
        assert Measurement.objects.get().energy_j is not None
