"""Constraints that hold a column to the choices of its field: pages look each value up, and know no other."""

from collections.abc import Sequence

from django.db.models import CheckConstraint, Q


def known(field: str, values: Sequence[str], *, name: str) -> CheckConstraint:
    """Return the constraint that a text column holds one of the values; a test holds these to the field's choices."""
    return CheckConstraint(condition=Q((f"{field}__in", list(values))), name=name)
