"""Where the answers behind a figure are: on this installation's pages, or on those that a shared file names."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from benchmarks.models import Study
from greenllm.reports.cells import ReportCell
from greenllm.reports.queries import PromptCell
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

    def to_prompt(self, cell: PromptCell) -> str:
        """Return the page of a model's only answer to a prompt, with its power curve, or the list of its several."""
        if cell.answer_count == 1:
            return self._on(reverse("studies:response", args=[cell.response_id]))
        query = urlencode({"model": cell.model, "prompt": cell.prompt_id})
        return self._on(f"{reverse('studies:detail', args=[self.study.name])}?{query}#responses-title")

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
