"""Dates have one form on all pages, which sorts and which a machine can read."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.template import Context, Template

from benchmarks.moments import written_day, written_moment

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAME_ELSEWHERE = AT.astimezone(timezone(timedelta(hours=-9)))  # where it is still the first of January


class TestWritten:
    @pytest.mark.parametrize("at", [AT, SAME_ELSEWHERE])
    def test_is_in_utc_with_the_year_first(self, at: datetime) -> None:
        assert written_day(at) == "2026-01-02"
        assert written_moment(at) == "2026-01-02 03:04\u00a0UTC"
        assert written_moment(at, to_second=True) == "2026-01-02 03:04:05\u00a0UTC"

    def test_takes_a_day_as_it_is(self) -> None:
        assert written_day(date(2026, 1, 2)) == "2026-01-02"


class TestFilters:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("day", '<time datetime="2026-01-02">2026-01-02</time>'),
            ("moment", '<time datetime="2026-01-02T03:04:05+00:00">2026-01-02 03:04\u00a0UTC</time>'),
            ("moment_to_second", '<time datetime="2026-01-02T03:04:05+00:00">2026-01-02 03:04:05\u00a0UTC</time>'),
        ],
    )
    def test_write_what_a_machine_reads_too(self, name: str, shown: str) -> None:
        written = Template("{% load moments %}{{ at|" + name + " }}")
        assert written.render(Context({"at": AT})) == shown
        assert written.render(Context({"at": None})) == "\u2013"

    def test_are_what_every_page_uses(self) -> None:
        folder = Path(__file__).parents[2] / "templates"
        pages = [*folder.rglob("*.html"), *folder.rglob("*.txt")]
        own_form = re.compile(r"\|(?:date|time)(?!:\"U\")")  # seconds since 1970, by which a table sorts
        assert len(pages) > 100
        assert [str(page) for page in pages if own_form.search(page.read_text())] == []
