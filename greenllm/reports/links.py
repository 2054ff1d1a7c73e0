"""Where the answers behind a figure are: on this installation's pages, or on those that a shared file names."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from benchmarks.models import Study
from greenllm.reports.cells import ReportCell
from router.evaluating import ComparisonRow


@dataclass(frozen=True)
class Links:
    """Links into the study's pages. `site` stands before each (empty: on this page's own site); None: no links."""

    study: Study
    site: str | None = ""

    def to_answers(self, cell: ReportCell, verdict: str) -> str:
        """Return the list of the training answers of a cell, of one verdict or of any."""
        asked = {"model": cell.model, "category": cell.category, "verdict": verdict, "prompts": "training"}
        query = urlencode({name: value for name, value in asked.items() if value})
        return self._on(f"{reverse('studies:detail', args=[self.study.name])}?{query}#responses-title")

    def to_answer(self, response_id: int) -> str:
        """Return the page of one answer, with its power curve."""
        return self._on(reverse("studies:response", args=[response_id]))

    def to_approach(self, row: ComparisonRow, measured: Study | None) -> str:
        """Return the answers behind a row of Figure 2.

        Those of a model over the validation prompts, those of the study that measured the router, and Table 2 of the
        same report for what is put together of models' answers.
        """
        if row.kind == "model":
            query = urlencode({"model": row.name, "prompts": "validation"})
            return self._on(f"{reverse('studies:detail', args=[self.study.name])}?{query}#responses-title")
        if row.kind == "measured-router" and measured is not None:
            return self._on(f"{reverse('studies:detail', args=[measured.name])}?prompts=validation#responses-title")
        return "" if self.site is None else "#table-2-title"

    def _on(self, path: str) -> str:
        return "" if self.site is None else f"{self.site}{path}"
