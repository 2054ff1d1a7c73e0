"""Figures in the database are those of the present rows, whichever process asks."""

from collections.abc import Callable

import psycopg
import pytest
from django.db import connection

from greenllm.comparing.studies import compare_studies
from greenllm.quality.tables import disagreements_sheet
from greenllm.reports.queries import bases, report_cells
from labeling import keeping, renewing, unchanged
from labeling.drift import Per, drift, drift_of_each
from labeling.keeping import kept_in_database
from labeling.pace import pace
from labeling.placing import judged_count
from labeling.reliability import reliability
from labeling.switching import grader_switches
from labeling.tallies import people_who_judged
from tests import factories as make


def keep(key: str, state: int, value: int) -> int:
    return kept_in_database(key, (state,), lambda: value, kind=int)


def kept_count() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM labeling_keptfigure")
        return int(cursor.fetchone()[0])


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Give what forgets all that this process keeps in memory."""

    def forget() -> None:
        monkeypatch.setattr(unchanged, "_shelf", unchanged.Shelf(most=100))
        monkeypatch.setattr(renewing, "_renewals", renewing.Renewals(most=50))

    return forget


@pytest.mark.django_db
class TestKeptInDatabase:
    def test_is_made_once_in_a_state(self) -> None:
        assert [keep("a", 1, 5), keep("a", 1, 6), keep("a", 2, 7), keep("a", 1, 8)] == [5, 5, 7, 8]

    def test_is_of_its_key(self) -> None:
        assert [keep("a", 1, 5), keep("b", 1, 6), keep("a", 1, 7)] == [5, 6, 5]

    def test_is_made_anew_by_other_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        keep("a", 1, 5)
        monkeypatch.setattr(keeping, "_code_digest", lambda: "another")
        assert keep("a", 1, 6) == 6

    def test_keeps_those_made_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeping, "MOST_FIGURES", 2)
        for key in ("a", "b", "a", "c"):
            keep(key, 1, 5)
        assert kept_count() == 2
        assert [keep("c", 1, 6), keep("b", 1, 6), keep("a", 1, 6)] == [5, 5, 6]

    def test_keeps_nothing_that_is_too_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeping, "MOST_CHARACTERS", 2)
        keep("a", 1, 55)
        keep("b", 1, 555)
        assert kept_count() == 1

    def test_waits_for_nobody_who_keeps_another(self) -> None:
        parameters = connection.get_connection_params()
        address = {
            one: parameters[one] for one in ("dbname", "user", "password", "host", "port") if parameters.get(one)
        }
        with psycopg.connect(**address) as other, connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            other.execute("SELECT pg_advisory_xact_lock(hashtext('labeling_keptfigure'))")
            assert keep("a", 1, 5) == 5
            assert kept_count() == 0
            other.rollback()
            keep("a", 1, 6)
            assert kept_count() == 1

    def test_is_not_logged(self) -> None:
        with connection.cursor() as cursor:
            tables = ["labeling_keptfigure", "labeling_keptcolumns"]
            cursor.execute("SELECT relpersistence::text FROM pg_class WHERE relname = ANY(%s)", [tables])
            assert cursor.fetchall() == [("u",), ("u",)]


@pytest.mark.django_db
class TestAnotherProcess:
    @pytest.mark.slow
    def test_finds_every_figure_as_it_was_worked_out(self, another_process: Callable[[], None]) -> None:
        study, other, deployment = make.make_study(), make.make_study(), make.make_deployment()
        for number in range(6):
            prompt = make.make_prompt(category=("math", "code")[number % 2])
            for one in (study, other):
                response = make.make_response(prompt, deployment, study=one, energy_j=1.0 + number)
                response.grades.create(grader="g", grader_version=1, verdict="correct", reason="x", duration_ms=1)
                make.make_label(response, ("correct", "incorrect")[number % 2])
        figures: list[Callable[[], object]] = [
            reliability, pace, judged_count, lambda: drift(per=Per.LABELS),
            lambda: disagreements_sheet(reliability(), {}), lambda: report_cells(study), lambda: bases(study),
            lambda: compare_studies(a=study, b=other),
        ]  # fmt: skip
        # of few answers or labels counted anew, of many made of columns that are kept
        counted_by_answer = [grader_switches, drift_of_each, people_who_judged]
        another_process()
        made = [one() for one in figures + counted_by_answer]
        count = kept_count()
        assert count >= len(figures)
        another_process()
        assert [one() for one in figures + counted_by_answer] == made
        assert kept_count() == count

    def test_finds_nothing_old(self, another_process: Callable[[], None]) -> None:
        make.make_label(make.make_response(make.make_prompt(), make.make_deployment()))
        another_process()
        assert judged_count() == 1
        make.make_label(make.make_response(make.make_prompt(), make.make_deployment("b")))
        another_process()
        assert judged_count() == 2
