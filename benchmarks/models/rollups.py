"""What rollups are made of: rows of differences that add up, and sums that are exact in whatever order they come.

A rollup is a ledger. Triggers append to it what each statement changed, and never touch a row that is there, so that
writers wait for nobody and cannot deadlock over it; what is known is the sum of its rows. Every few hundred rows one
writer folds those of the same key into one (`benchmarks_fold_rollup`), which changes no sum.
"""

from typing import Any

from django.db import models


class ExactSum(models.Field[Any, Any]):
    """A sum that loses nothing: Postgres' numeric without a limit, where floats would drift with each difference."""

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django gives it; it has no type of its own
        """Return the column's type."""
        return "numeric"


class Rollup(models.Model):
    """One row of a ledger, of a key of its own; each figure is a difference, and only their sums mean something."""

    is_folded = models.BooleanField(default=False, db_default=False)

    class Meta:
        abstract = True
