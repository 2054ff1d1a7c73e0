"""The parts of the drill: what it plans, what it counts as missed, and that its audit finds what is lost or doubled."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from benchmarks.models import ResponseAttempt
from router.models import GatewayRequest
from tests import factories as make
from tests.drill.__main__ import BOUND_S, Row
from tests.drill.audit import Audit
from tests.drill.clocks.sitecustomize import part_of
from tests.drill.faults import FAULTS, planned
from tests.drill.llm_twin import EMBEDDER, MODELS, OrderedStage
from tests.drill.llm_twin import FAULTS as LLM_FAULTS
from tests.drill.loads import Journal
from tests.drill.moving import INSTALL, Clocks, find_library
from tests.drill.place import DrillError
from tests.drill.watching import Progress, Watcher


class TestPlan:
    def test_takes_every_kind_and_the_long_ones_once(self) -> None:
        kinds = [one.kind for one in planned(40)]
        assert len(kinds) == 40
        assert set(kinds) == {one.kind for one in FAULTS}
        assert {kinds.count(kind) for kind in kinds if kind.startswith("pause")} == {1}
        assert min(kinds.count(one.kind) for one in FAULTS if not one.kind.startswith("pause")) >= 2

    def test_takes_only_what_is_wanted(self) -> None:
        assert [one.kind for one in planned(3, "429")] == ["llm 429"] * 3
        with pytest.raises(DrillError, match="kill worker"):
            planned(3, "flood")

    def test_orders_what_the_server_knows(self) -> None:
        assert {one.kind for one in FAULTS if one.kind.startswith("llm")} == {
            "llm hangs", "llm garbage", "llm half a stream", "llm 500", "llm 429",
        }  # fmt: skip


class TestRow:
    @pytest.mark.parametrize(
        ("row", "is_missed"),
        [
            pytest.param(Row("kill web", recovered_s=BOUND_S), False, id="in time"),
            pytest.param(Row("kill web", recovered_s=BOUND_S + 0.1), True, id="late"),
            pytest.param(Row("kill web"), True, id="never"),
            pytest.param(Row("kill web", recovered_s=1, lost=1), True, id="lost"),
            pytest.param(Row("kill web", recovered_s=1, doubled=1), True, id="doubled"),
            pytest.param(Row("kill web", recovered_s=1, is_untold=True), True, id="not told"),
            pytest.param(Row("disk full", skipped="no mounts"), False, id="skipped"),
        ],
    )
    def test_is_missed_where_a_bound_is(self, row: Row, is_missed: bool) -> None:
        assert row.is_missed is is_missed
        assert ("MISSED" in row.line(1)) is is_missed
        assert ("SKIPPED: no mounts" in row.line(1)) is bool(row.skipped)


class TestOrderedStage:
    def test_has_the_fault_that_the_file_names_but_not_for_the_embedder(self, tmp_path: Path) -> None:
        orders = tmp_path / "orders"
        stage = OrderedStage((), orders)
        assert stage.next_fault(MODELS[0], {}) is None
        for name, fault in LLM_FAULTS.items():
            orders.write_text(name)
            assert stage.next_fault(MODELS[0], {}) == fault
            assert stage.next_fault(EMBEDDER, {}) is None


class TestClocks:
    @pytest.fixture
    def clocks(self, tmp_path: Path) -> Clocks:
        library = find_library()
        if library is None:
            pytest.skip(INSTALL)
        return Clocks(library, tmp_path)

    def test_are_found_where_named_or_at_their_usual_place(self, tmp_path: Path) -> None:
        assert find_library({"GREENLLM_DRILL_FAKETIME": "/opt/clock.so"}, tmp_path) == Path("/opt/clock.so")
        assert find_library({}, tmp_path) is None
        usual = tmp_path / "usr/lib/some-linux-gnu/faketime/libfaketimeMT.so.1"
        usual.parent.mkdir(parents=True)
        usual.touch()
        assert find_library({}, tmp_path) == usual

    def test_are_of_the_worker_and_the_web_process_alone(self) -> None:
        assert part_of(["python", "/opt/manage.py", "work"]) == "worker"
        assert part_of(["python", "-m", "uvicorn", "greenllm.asgi:application", "--port", "1"]) == "web"
        assert part_of(["python", "manage.py", "up"]) == part_of(["python", "-c", "print('work')"]) == ""

    @pytest.mark.slow
    def test_that_do_nothing_are_told(self, tmp_path: Path) -> None:
        assert "/nowhere.so does not work here" in Clocks(Path("/nowhere.so"), tmp_path).problem()

    @pytest.mark.slow
    def test_move_alone_while_sleeps_and_waits_last_what_they_should(self, clocks: Clocks) -> None:
        assert clocks.problem() == ""

    @pytest.mark.slow
    def test_are_taken_by_the_worker_by_itself(self, clocks: Clocks, tmp_path: Path) -> None:
        """The same file, begun as the worker is and as anything else is, two hours back."""
        program = tmp_path / "program.py"
        program.write_text("import time; time.sleep(0.01); print(time.time())")
        env = {**os.environ, **clocks.environment(os.environ)}
        clocks.move("worker", -7200)

        def told(*arguments: str) -> float:
            command = [sys.executable, str(program), *arguments]
            return float(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)

        behind_s = told("up") - told("work")
        assert 7200 - 120 < behind_s <= 7200


@pytest.mark.django_db
class TestAudit:
    def looked(self, audit: Audit, journal: Journal, *, is_last: bool = False) -> tuple[dict[str, int], dict[str, int]]:
        connection.ensure_connection()
        raw: Any = connection.connection
        audit.look(raw, journal, is_last=is_last)
        return {k: v for k, v in audit.lost.items() if v}, {k: v for k, v in audit.doubled.items() if v}

    def test_finds_nothing_where_all_is_there_once(self) -> None:
        label = make.make_label(make.make_response(make.make_prompt(), make.make_deployment()))
        request = make.make_gateway_request(state=GatewayRequest.State.ANSWERED)
        journal = Journal(votes=[(0.0, (label.labeler_id or 0, label.response_id, label.verdict))])
        journal.answers.append((0.0, request.public_id))
        audit = Audit([label.labeler_id or 0], label.response.study_id)
        ResponseAttempt.objects.create(
            response=label.response, number=1, started_at=make.NOW, ended_at=make.NOW, outcome="finished"
        )
        assert self.looked(audit, journal, is_last=True) == ({}, {})

    def test_finds_what_is_lost(self) -> None:
        request = make.make_gateway_request(state=GatewayRequest.State.RUNNING)
        journal = Journal(votes=[(0.0, (1, 2, "correct"))], answers=[(0.0, request.public_id), (0.0, "req_nobody")])
        audit = Audit([1], 1, finished={7: "digest"})
        assert self.looked(audit, journal) == ({"votes": 1, "answers": 2, "responses": 1}, {})

    def test_finds_what_is_there_though_nobody_was_told_and_what_was_measured_twice(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        label = make.make_label(response)
        for number in (1, 2):
            ResponseAttempt.objects.create(
                response=response, number=number, started_at=make.NOW, ended_at=make.NOW, outcome="finished"
            )
        audit = Audit([label.labeler_id or 0], response.study_id)
        assert self.looked(audit, Journal()) == ({}, {"responses": 1})
        assert self.looked(audit, Journal(), is_last=True) == ({}, {"responses": 1, "votes": 1})


class TestProgress:
    def watcher(self, well_at: float | None) -> Watcher:
        watcher = Watcher("http://127.0.0.1:1", admin_session="")
        watcher._seen.well_at = well_at
        return watcher

    def test_is_recovered_with_the_last_that_goes_on(self) -> None:
        since = time.monotonic() - 10
        journal = Journal(votes=[(since + 1, (1, 2, "correct"))], answers=[(since - 1, "a"), (since + 2, "b")])
        counts = iter(range(100))
        progress = Progress(journal, lambda: next(counts), [1])
        found = progress.recovered_at(self.watcher(since + 3), since, timeout_s=600)
        assert found is not None
        assert since + 10 <= found <= time.monotonic()  # the study's response came last

    def test_is_not_recovered_while_a_part_is_away(self) -> None:
        since = time.monotonic()
        journal = Journal(votes=[(since + 1, (1, 2, "correct"))])
        progress = Progress(journal, lambda: None, [1, 5])
        assert progress.recovered_at(self.watcher(None), since, timeout_s=0.1) is None
        assert progress.missing == ["judge 5", "chat", "study"]


class TestJournal:
    def test_excuses_no_answer_500(self) -> None:
        journal = Journal()
        for what in ("vote 500", "vote 503", "API 500 internal_error", "API 200 upstream_error", "vote 500"):
            journal.trouble(what)
        assert journal.unforeseen() == {"vote 500": 2, "API 500 internal_error": 1}
