"""A report as a file: HTML for sharing, Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from benchmarks import published_study as paper
from benchmarks.spreadsheets import harmless_row
from greenllm.reports.grids import FLAT_HEADER, as_markdown, flat_rows
from greenllm.reports.reporting import StudyReport
from greenllm.reports.what_if import what_if_data
from greenllm.reports.wording import written

_STYLES = ("greenllm/style.css", "greenllm/reports.css")


def shown_parts(report: StudyReport) -> dict[str, object]:
    """Return what the templates need that a page and a file share."""
    return {
        "report": report,
        "study": report.study,
        "what_if": what_if_data(report.cells, report.assumed),
        "paper_models": paper.MODELS,
        "paper_citation": paper.CITATION,
    }


def as_html(report: StudyReport) -> str:
    """Return a page that needs nothing else: its style is in it, its charts are drawings."""
    context = {**shown_parts(report), "is_file": True, "styles": _styles(), "script": _script()}
    return render_to_string("reports/file.html", context)


def as_md(report: StudyReport) -> str:
    """Return the report in Markdown, without charts."""
    study = report.study
    lines = [f"# Report of {study.title or study.name}", ""]
    lines += [f"> {warning}\n" for warning in report.warnings]
    if report.lacks:
        lines += ["## What this study lacks", "", *(f"* **{one.what}** {one.remedy}" for one in report.lacks), ""]
    for grid in report.grids:
        lines += [f"## {grid.title}", "", f"{grid.caption}.", "", as_markdown(grid, written), ""]
        lines += [f"{hint}\n" for hint in grid.hints]
    lines += ["## Method", "", *(f"* **{heading}.** {text}" for heading, text in report.method), ""]
    lines += ["## How to cite it", "", *(f"* {line}" for line in report.citation), ""]
    return "\n".join(lines)


def as_csv(report: StudyReport) -> str:
    """Return every cell of every table as a row of CSV, with its unit, interval, n and quality."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(FLAT_HEADER)
    for row in flat_rows(report.grids):
        writer.writerow(harmless_row(row))
    return file.getvalue()


def as_json(report: StudyReport) -> str:
    """Return the report as JSON: the study, the cells of every table, what is lacking, the method and the citation."""
    study = report.study
    written_out = {
        "study": {"name": study.name, "uuid": str(study.uuid), "kind": study.kind, "state": study.state},
        "cells": [dict(zip(FLAT_HEADER, row, strict=True)) for row in flat_rows(report.grids)],
        "warnings": list(report.warnings),
        "lacks": [asdict(one) for one in report.lacks],
        "method": [{"heading": heading, "text": text} for heading, text in report.method],
        "citation": list(report.citation),
    }
    return json.dumps(written_out, indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, tuple[str, Callable[[StudyReport], str]]] = {
    "html": ("text/html", as_html),
    "md": ("text/markdown", as_md),
    "csv": ("text/csv", as_csv),
    "json": ("application/json", as_json),
}


def _styles() -> SafeString:
    return format_html("<style>\n{}</style>", mark_safe("\n".join(_content(name) for name in _STYLES)))  # noqa: S308


def _script() -> SafeString:
    return format_html("<script>\n{}</script>", mark_safe(_content("greenllm/reports.js")))  # noqa: S308


def _content(name: str) -> str:
    """Return one of the product's own static files."""
    found = finders.find(name)
    if not isinstance(found, str):
        raise FileNotFoundError(name)
    return Path(found).read_text(encoding="utf8")
