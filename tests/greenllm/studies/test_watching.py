"""What a study's page shows of the machine while it measures, with a real sampler on it."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks import jobs
from benchmarks.meters.ring_directory import default_directory, ring_path
from benchmarks.models import Machine
from benchmarks.recording import SamplerRecorder, recorder_for
from greenllm.roles import Role
from greenllm.studies import watching
from tests import factories as make
from tests.greenllm.studies import shown

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

POLLS = 'hx-get="/studies/first/power/" hx-trigger="every 2s"'
REPLAY = {"kind": "replay", "options": {"steps": [[1, 60]]}}


@pytest.fixture(autouse=True)
def machine(settings: Settings) -> Machine:
    """A machine of this process alone, whose study runs."""
    settings.MACHINE_NAME = f"test-watching-{os.getpid()}"
    machine = make.make_machine(settings.MACHINE_NAME)
    Machine.objects.filter(pk=machine.pk).update(meters=[REPLAY])
    machine.refresh_from_db()
    shown.make_shown_study("first", state="running", machine=machine)
    watching._temperatures.cache_clear()
    return machine


@pytest.fixture
def sampler(machine: Machine) -> Iterator[SamplerRecorder]:
    recorder = recorder_for(machine)
    recorder.ensure_running(period_ns=20_000_000)
    yield recorder
    recorder.stop()


@pytest.fixture(autouse=True)
def _researcher(client: Client) -> None:
    client.force_login(shown.make_person(Role.RESEARCHER))


def page_of(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def fragment(client: Client) -> str:
    return page_of(client.get("/studies/first/power/"))


def until(client: Client, condition: Callable[[str], bool]) -> str:
    """Look again until the page says something that another process brings about."""
    give_up_at = time.monotonic() + 10
    while not condition(page := fragment(client)):
        assert time.monotonic() < give_up_at, page
    return page


@pytest.mark.usefixtures("sampler")
class TestWhileASamplerRuns:
    def test_shows_each_channel_with_its_power_quality_and_period(self, client: Client) -> None:
        page = until(client, lambda page: "60.0 W" in page)

        assert POLLS in page
        assert '<span class="badge simulated">simulated</span>' in page
        assert "20 ms" in page.replace("&nbsp;", " ")
        assert "replay, whole machine" in page
        assert '"machine (simulated)"' in page  # the curve
        assert "<html" not in page

    def test_is_part_of_the_studys_page(self, client: Client) -> None:
        until(client, lambda page: "60.0 W" in page)

        page = page_of(client.get("/studies/first/"))

        assert POLLS in page
        assert "60.0 W" in page
        assert "plotly" in page

    def test_shows_the_temperatures_and_the_limit(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        readers = (lambda: {"coretemp Core 0": 51.4, "coretemp Core 1": 54.4}, lambda: {"gpu A": None})
        monkeypatch.setattr(watching, "process_thermometers", lambda: readers)

        page = fragment(client).replace("&nbsp;", " ")

        assert "<b>54 °C</b> CPU, coretemp Core 1 <small>(hottest of n = 2 sensors)</small>" in page
        assert "<b>not readable</b> GPU A" in page
        assert "above 60 °C an answer waits" in page

    def test_says_that_there_is_no_sensor(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "process_thermometers", lambda: (dict,))
        assert "unknown: this machine shows no sensor" in fragment(client)

    def test_says_that_the_sampler_was_killed(self, client: Client, machine: Machine) -> None:
        until(client, lambda page: "60.0 W" in page)
        recorder = jobs.recorder_for(machine)
        with pytest.raises(Exception, match="in use by the sampler with process number") as busy:
            recorder.ensure_running(period_ns=20_000_000)
        found = re.search(r"process number (\d+)", str(busy.value))
        assert found
        os.kill(int(found[1]), signal.SIGKILL)

        page = until(client, lambda page: ">stopped</span>" in page)

        assert "a worker starts it again with the next response" in page

    def test_names_a_meter_that_has_no_channel(self, client: Client, machine: Machine) -> None:
        Machine.objects.filter(pk=machine.pk).update(meters=[REPLAY, {"kind": "mcp"}])
        assert "No channel of the meter mcp is being read" in fragment(client)

    def test_names_a_channel_that_cannot_be_read(self, client: Client, machine: Machine) -> None:
        ring_path(default_directory(machine.name), "odd").write_bytes(b"nothing")
        page = fragment(client)
        assert "A channel cannot be read:" in page
        assert "Start the worker of" in page


class TestWithoutASampler:
    def test_says_when_it_starts(self, client: Client) -> None:
        page = fragment(client)
        assert "Nothing is being sampled at this moment. The sampler starts with the next response" in page
        assert POLLS in page

    def test_says_that_the_samples_are_on_another_machine(self, client: Client, settings: Settings) -> None:
        settings.MACHINE_NAME = "web-server"
        page = fragment(client)
        assert "this page is served by web-server, where its samples and temperatures cannot be seen" in page
        assert POLLS in page

    @pytest.mark.parametrize("state", ["draft", "paused", "finished", "cancelled"])
    def test_shows_nothing_of_a_study_that_does_not_run(self, client: Client, machine: Machine, state: str) -> None:
        machine.studies.update(state=state)
        assert fragment(client).strip() == '<div id="machine-now" hidden></div>'
        assert "machine-now" not in page_of(client.get("/studies/first/"))

    def test_needs_three_queries(self, client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        with django_assert_num_queries(3):  # session, person; study with its machine
            client.get("/studies/first/power/")
