"""What rollups are made of: rows of differences that add up, and sums that are exact in whatever order they come.

A rollup is a view: a ledger of differences, and what changed since they were appended. Triggers note the changes and
nothing else, so that a write costs next to nothing, waits for nobody and cannot deadlock over a rollup; whoever reads
works out the difference they make, which is current in each snapshot. Every few hundred changes the writer that commits
the next one folds them into the ledger, and the ledger's rows of the same key into one (`benchmarks_fold_rollup`); that
changes no sum.
"""

from typing import Any

from django.db import models


class ExactSum(models.Field[Any, Any]):
    """A sum that loses nothing: Postgres' numeric without a limit, where floats would drift with each difference."""

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django gives it; it has no type of its own
        """Return the column's type."""
        return "numeric"


class Rollup(models.Model):
    """A difference in the figures of one key; only sums over all rows of a key mean something."""

    is_folded = models.BooleanField(default=False, db_default=False)

    class Meta:
        abstract = True
