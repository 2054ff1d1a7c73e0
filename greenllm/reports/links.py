"""Where the answers behind a figure are: on this installation's pages, or on those that a shared file names."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from benchmarks.models import Study
from greenllm.reports.cells import ReportCell


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

    def _on(self, path: str) -> str:
        return "" if self.site is None else f"{self.site}{path}"
