import argparse
import asyncio
import mmap
import os
import random
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.bench import load
from tests.bench.gateway_load import Asked, Target, apart, session, steady
from tests.bench.judging import Judge
from tests.bench.soak import Readings, private_mb, tell
from tests.bench.table import Table
from tests.environment import free_port

OPTIONS = argparse.Namespace(rate=60, new=5)


def judge_of(*durations_ms: float, retries: int = 0) -> Judge:
    return Judge(1, {}, random.Random(0), durations_ms=list(durations_ms), retry_count=retries)


def missed(known: Asked, new: Asked, judge: Judge) -> list[str]:
    table = Table()
    load.tell(table, known, new, [judge], OPTIONS)
    return table.missed


class TestTell:
    def test_misses_nothing_within_the_bounds(self) -> None:
        assert missed(Asked([10.0] * 100), Asked([20.0] * 10), judge_of(*[30.0] * 50)) == []

    @pytest.mark.parametrize(
        ("known", "new", "judge", "name"),
        [
            (Asked([10.0] * 90 + [900.0] * 10), Asked([1.0]), judge_of(1), "added, embedding kept, 60/s, p50 / p99"),
            (Asked([1.0] * 5000), Asked([900.0]), judge_of(1), "added, embedded anew, 5/s, p50 / p99"),
            (Asked([1.0], Counter(timeout=1)), Asked([1.0]), judge_of(1), "errors of chat"),
            (Asked([1.0]), Asked([1.0]), judge_of(1, retries=1), "votes sent again after an error"),
            (Asked([1.0]), Asked([1.0]), judge_of(101), "a vote and what comes next, 1 people, p50 / p95"),
            (Asked([1.0]), Asked([1.0]), judge_of(), "a vote and what comes next, 1 people, p50 / p95"),
        ],
        ids=["slow", "slow embedding", "error", "retry", "slow vote", "no vote"],
    )
    def test_names_what_was_missed(self, known: Asked, new: Asked, judge: Judge, name: str) -> None:
        assert missed(known, new, judge)[:1] == [name]


class TestSteady:
    async def test_counts_each_error(self) -> None:
        nobody = Target("nobody", f"http://127.0.0.1:{free_port()}")
        asked = await steady(nobody, rate=100, seconds=0.05, script=str)
        assert (asked.count, asked.errors.total(), asked.added_ms) == (5, 5, [])


class TestApart:
    async def test_tells_the_wait_for_a_connection_from_what_the_server_took(self) -> None:
        async def answer(_request: web.Request) -> web.Response:
            await asyncio.sleep(0.2)
            return web.json_response({"choices": [{"message": {"content": "0.2"}}]})

        application = web.Application()
        application.router.add_post("/v1/chat/completions", answer)
        async with TestServer(application) as server, session(1) as http:
            target = Target("slow", str(server.make_url("")).rstrip("/"))
            began = time.perf_counter()
            (_, none_ms), (added_ms, waited_ms) = await asyncio.gather(*(apart(http, target, "") for _ in range(2)))
            took_ms = (time.perf_counter() - began) * 1000
        assert none_ms == 0
        assert waited_ms > 150
        assert added_ms + waited_ms + 200 <= took_ms


class TestPrivateMemory:
    @pytest.mark.slow
    @pytest.mark.parametrize(("is_ring", "grows_by_mb"), [(True, 0), (False, 32)])
    def test_leaves_rings_out(
        self, is_ring: bool, grows_by_mb: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GREENLLM_SHARED_MEMORY", str(tmp_path if is_ring else tmp_path / "elsewhere"))
        size = 32_000_000
        with (tmp_path / "machine.ring").open("w+b") as file:
            file.truncate(size)
            with mmap.mmap(file.fileno(), size) as ring:
                before = private_mb(psutil.Process())
                for place in range(0, size, mmap.PAGESIZE):
                    ring[place] = 1
                assert private_mb(psutil.Process()) - before == pytest.approx(grows_by_mb, abs=8)

    @pytest.mark.slow
    def test_leaves_out_what_was_only_read_of_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GREENLLM_SHARED_MEMORY", str(tmp_path / "elsewhere"))
        library = tmp_path / "library"
        with library.open("wb") as file:
            file.write(b"x" * 32_000_000)
            os.fsync(file.fileno())  # until then its pages count as written to
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            before = private_mb(psutil.Process())
            assert sum(mapped[:: mmap.PAGESIZE]) > 0
            assert private_mb(psutil.Process()) - before == pytest.approx(0, abs=8)


class TestReadings:
    def readings(self, **probes: float) -> Readings:
        """Read each series for ten minutes: 50, and what it grows by every ten seconds after the first minute."""
        readings = Readings()
        for at in range(60):
            values = {name: 50 + growth * max(0, at - 6) for name, growth in probes.items()}
            readings.read(at * 10.0, {name: lambda value=value: value for name, value in values.items()})
        return readings

    def test_rise_where_they_grow_after_the_warm_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert tell(self.readings(leak=0.1, level=0, falling=-1), after_s=60) == ["leak"]
        assert "36.00" in capsys.readouterr().out  # a tenth every ten seconds is 36 an hour

    def test_do_not_count_the_warm_up(self) -> None:
        readings = self.readings(level=0)
        readings.values["level"][:6] = [1, 9, 20, 30, 40, 45]
        assert tell(readings, after_s=60) == []

    def test_of_what_threads_keep_is_told_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert tell(self.readings(**{"web malloc MB": 0.1, "web MB": 0}), after_s=60) == []
        assert ["told" in line for line in capsys.readouterr().out.splitlines()[-2:]] == [True, False]
